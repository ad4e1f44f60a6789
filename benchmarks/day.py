"""The controller's usual day, shortened: every host looked at every few seconds while nothing happens, then files that
somebody edits by hand, then a commit. Real hosts on the same cores; the target of each figure is what was promised.
"""

from __future__ import annotations

import asyncio
import random
import re
import resource
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import uvloop

from benchmarks.figure import Figure
from benchmarks.fixture import Fixture, Quiet
from benchmarks.serve import LATE, commit, in_sync, running, until
from fleet.app import App
from fleet.controller.service import Service
from fleet.model.change import PassResult, Verdict
from fleet.model.host import HostSpec
from fleet.sandbox import SandboxHost

ROUNDS = 4  # periods that are watched
EDITED = 20  # hosts that somebody changes by hand
FILE = "/etc/bench/conf.d/20-b.conf"


def measure(made: Fixture, period: float) -> list[Figure]:
    """Hosts must be in sync already. period: seconds between two looks at a host."""
    return uvloop.run(_measure(made, period))


async def _measure(made: Fixture, period: float) -> list[Figure]:
    role = made.repository / "environments/base/environment.yaml"
    role.write_text(re.sub(r"sweep: \S+", f"sweep: {period:g}s", role.read_text()))
    commit(made, "a sweep every few seconds")
    async with running(made) as (service, _):
        heard = Heard(service)
        await until(lambda: in_sync(service))
        await asyncio.sleep(3 * period)  # so that every host has its connection and its memory
        return [
            *await _quiet(service, heard, period),
            *await _edits(made, heard, period),
            *await _commit(made, service, heard),
        ]


@dataclass
class Heard:
    """Every pass that ended: when, of which host, and how."""

    service: Service
    passes: list[tuple[float, str, Verdict]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._next, self.service.loop.heard = self.service.loop.heard, self._hear

    def _hear(self, spec: HostSpec, result: PassResult) -> None:
        self._next(spec, result)
        self.passes.append((time.perf_counter(), spec.name, result.verdict))

    def since(self, then: float, *verdicts: Verdict) -> dict[str, list[float]]:
        """Host → seconds after `then`."""
        found: dict[str, list[float]] = {}
        for at, name, verdict in self.passes:
            if at >= then and (verdict in verdicts or not verdicts):
                found.setdefault(name, []).append(at - then)
        return found


async def _quiet(service: Service, heard: Heard, period: float) -> list[Figure]:
    """Nothing happens: what that costs, and whether everybody is looked at in time."""
    late, began, used = list[float](), time.perf_counter(), time.process_time()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ticker = asyncio.create_task(_tick(late))
    await asyncio.sleep(period * ROUNDS)
    ticker.cancel()
    share = (time.process_time() - used) / (time.perf_counter() - began)
    hosts = [one.name for one in service.environments]
    looks = heard.since(began)
    gaps = [b - a for name in hosts for a, b in zip(looks.get(name, []), looks.get(name, [])[1:], strict=False)]
    missed = [name for name in hosts if len(looks.get(name, [])) < ROUNDS - 1]
    if missed:
        raise SystemExit(
            f"{len(missed)} of {len(hosts)} hosts were not looked at {ROUNDS - 1} times in {ROUNDS} periods"
        )
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
    return [
        Figure("day, between looks", _at(gaps, 0.99), "s", "99th percentile between two looks at a host", period, 1.1),
        Figure("day, CPU", share, "cores", "controller's share of one core while nothing happens", 1.0, 1.0),
        Figure("day, loop delay", _at(late, 0.99) * 1000, "ms", "99th percentile of the event loop's delay", 50.0, 1.0),
        Figure("day, memory", grown, "MB", "more memory at its most after that than before", 20.0, 1.0),
    ]


async def _edits(made: Fixture, heard: Heard, period: float) -> list[Figure]:
    """Somebody edits a file on some hosts at once: how long after its own edit each is as it was."""
    chosen = random.Random(7).sample([*made.sandbox.hosts], min(EDITED, len(made.sandbox.hosts)))
    began = time.perf_counter()
    edited = await asyncio.gather(*(asyncio.to_thread(edit, made, one) for one in chosen))
    await until(lambda: {one.name for one in chosen} <= heard.since(began, Verdict.CHANGED).keys())
    healed = heard.since(began, Verdict.CHANGED)
    late = [began + healed[one.name][0] - at for one, at in zip(chosen, edited, strict=True)]
    said = "the last of the hosts that were edited, each from its own edit; the period and one second are promised"
    return [Figure("day, edit to healed", max(late), "s", said, period + 1, 1.0)]


def edit(made: Fixture, host: SandboxHost) -> float:
    """When it was done."""
    subprocess.run([*made.sandbox.ssh_words(host), f"echo by hand >> {FILE}"], check=True, capture_output=True)
    return time.perf_counter()


async def _commit(made: Fixture, service: Service, heard: Heard) -> list[Figure]:
    """From a commit to each host's end of it, beside a bare apply of such a commit."""
    commit(made, "of the day")
    began = time.perf_counter()
    service.look()
    count = len([*service.environments])
    await until(lambda: len(heard.since(began, Verdict.CHANGED)) == count)
    each = [times[0] for times in heard.since(began, Verdict.CHANGED).values()]
    floor = await _bare(made)
    return [
        Figure(f"day, commit to {name} of hosts", _at(each, share), "s", "floor: a bare apply of all", floor, None)
        for name, share in (("50 %", 0.5), ("95 %", 0.95), ("all", 1.0))
    ]


async def _bare(made: Fixture) -> float:
    """Connections open."""
    bare = App(made.settings())
    try:
        fleet = bare.compile()
        await bare.run(fleet, tuple(fleet.hosts), False, Quiet())
        commit(made, "bare")
        began = time.perf_counter()
        fleet = bare.compile()
        await bare.run(fleet, tuple(fleet.hosts), True, Quiet())
        return time.perf_counter() - began
    finally:
        await bare.aclose()


async def _tick(late: list[float]) -> None:
    while True:
        began = time.perf_counter()
        await asyncio.sleep(LATE)
        late.append(time.perf_counter() - began - LATE)


def _at(values: Sequence[float], share: float) -> float:
    """The value that so large a share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
