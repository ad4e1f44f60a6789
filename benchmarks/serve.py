"""The controller on the same hosts: a whole sweep beside one `stat` of the same paths through open shells, and from a
commit to the last host beside a bare apply of such a commit; both in turns, connections open.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import uvloop

from benchmarks.figure import Figure, median
from benchmarks.fixture import Fixture, Quiet
from benchmarks.floor import Work, all_run, connect
from benchmarks.look import _ended, _prelude, _stat, _target
from fleet.app import App
from fleet.controller.notify import Notify
from fleet.controller.queue import Priority
from fleet.controller.service import Habits, Service
from fleet.model.change import PassResult, Verdict
from fleet.model.host import HostSpec

LATE = 0.005  # seconds between two ticks of what measures the event loop's delay
WARM = 3  # sweeps until every host has what it keeps for them


def measure(made: Fixture, repeat: int) -> list[Figure]:
    """Hosts must be in sync already."""
    return uvloop.run(_measure(made, repeat))


async def _measure(made: Fixture, repeat: int) -> list[Figure]:
    async with running(made) as (service, app):
        sweeps = await _sweeps(made, service, app, repeat)
        commits = await _commits(made, service, repeat)
    return [*sweeps, *commits]


@asynccontextmanager
async def running(made: Fixture) -> AsyncIterator[tuple[Service, App]]:
    """A controller that has looked at every host once."""
    app = App(made.settings().model_copy(update={"state_dir": made.directory / "serve"}))
    service = await app.service(Notify(), Habits(poll=3600))
    task = asyncio.create_task(service.run())
    try:
        await until(lambda: service.ready and in_sync(service))
        yield service, app
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await app.aclose()


def in_sync(service: Service) -> bool:
    standings = service.loop.standings.values()
    hosts = sum(len(place.spec.hosts) for place in service.environments.places.values())
    return hosts > 0 and len(standings) == hosts and all(one.verdict == Verdict.IN_SYNC for one in standings)


async def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not what():
        if time.monotonic() > end:
            raise SystemExit("the controller did not come to where it should be")
        await asyncio.sleep(0.01)


class _Passes:
    """Hears every pass, and says when so many have ended."""

    def __init__(self, service: Service) -> None:
        self._service, self._heard = service, service.loop.heard
        service.loop.heard = self._hear
        self.count, self.wanted, self.done = 0, 0, asyncio.Event()
        self.first_change = 0.0

    def _hear(self, spec: HostSpec, result: PassResult) -> None:
        self._heard(spec, result)
        self.count += result.verdict in (Verdict.IN_SYNC, Verdict.CHANGED)
        if self.count >= self.wanted:
            self.done.set()

    def expect(self, count: int) -> None:
        self.count, self.wanted = 0, count
        self.done.clear()


async def _sweeps(made: Fixture, service: Service, app: App, repeat: int) -> list[Figure]:
    hosts: Sequence[HostSpec] = [*service.environments]
    shells = await connect(Work(tuple(_target(made, host) for host in hosts), made.settings().handshakes))
    try:
        await all_run(shells, [_ended(_prelude())] * len(hosts))
        await asyncio.sleep(1.1)  # so that no witness is as young as the look that remembers it
        passes, keys = _Passes(service), [(host.environment, host.name) for host in hosts]
        stats = [_ended(_stat(host)) for host in hosts]
        floor, ours, cpu, late = list[float](), list[float](), list[float](), list[float]()
        for _ in range(WARM):
            passes.expect(len(keys))
            service.loop.ask(keys, Priority.SWEEP, "benchmark")
            await passes.done.wait()
        for _ in range(repeat + 1):
            floor.append(await all_run(shells, stats))
            passes.expect(len(keys))
            ticker = asyncio.create_task(_tick(late))
            began, used = time.perf_counter(), time.process_time()
            service.loop.ask(keys, Priority.SWEEP, "benchmark")
            await passes.done.wait()
            ours.append(time.perf_counter() - began)
            cpu.append((time.process_time() - used) / len(keys) * 1000)
            ticker.cancel()
    finally:
        for connection, _ in shells:
            connection.abort()
    p99 = sorted(late)[int(len(late) * 0.99)] * 1000
    return [
        Figure("serve, sweep", median(ours[1:]), "s", _SWEEP, median(floor[1:]), 1.3),
        Figure(
            "serve, CPU of a sweep", median(cpu[1:]), "ms", "controller's own CPU time per host and sweep", 1.0, 1.0
        ),
        Figure("serve, loop delay", p99, "ms", "99th percentile of the event loop's delay while all sweep", 50.0, 1.0),
    ]


def _more(service: Service, commits: int) -> bool:
    return service.history.commits > commits


async def _tick(late: list[float]) -> None:
    while True:
        began = time.perf_counter()
        await asyncio.sleep(LATE)
        late.append(time.perf_counter() - began - LATE)


async def _commits(made: Fixture, service: Service, repeat: int) -> list[Figure]:
    """In turns: a commit that the controller is told of, and one that a bare apply makes."""
    bare = App(made.settings())
    ours, begun, floor = list[float](), list[float](), list[float]()
    passes = _Passes(service)
    count = len([*service.environments])
    try:
        for number in range(repeat + 1):
            commit(made, f"served {number}")
            passes.expect(count)
            intents = service.history.commits
            began = time.perf_counter()
            service.look()
            await until(partial(_more, service, intents + 1))
            begun.append(time.perf_counter() - began)
            await passes.done.wait()
            ours.append(time.perf_counter() - began)
            commit(made, f"bare {number}")
            began = time.perf_counter()
            fleet = bare.compile()
            done = await bare.run(fleet, tuple(fleet.hosts), True, Quiet())
            floor.append(time.perf_counter() - began)
            assert all(one.verdict is Verdict.CHANGED for one in done.results)
    finally:
        await bare.aclose()
    return [
        Figure("serve, commit to all", median(ours[1:]), "s", _COMMIT, median(floor[1:]), 1.3),
        Figure("serve, commit to first", median(begun[1:]), "s", "webhook to the first intent on disk", 1.0, 1.0),
    ]


def commit(made: Fixture, text: str) -> None:
    role = made.repository / "environments/base/roles/all.yaml"
    said = f'/srv/bench/index.html: {{content: "{text}\\n", owner: bench-app, group: bench-app}}'
    role.write_text(re.sub(r"/srv/bench/index.html: .*", lambda _: said, role.read_text()))
    identity = ("-c", "user.name=bench", "-c", "user.email=bench@example.org")
    subprocess.run(["git", "-C", str(made.repository), *identity, "commit", "-qam", text], check=True)


_SWEEP = (
    "one turn of every host through the controller's loop, in sync; floor: one `stat` of the same paths, open shells"
)
_COMMIT = "from the webhook to the last host converged, waves off; floor: compile and apply of such a commit, warm"
