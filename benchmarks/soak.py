"""An hour of the controller's life at the usual period, as fast as the hosts answer: so many looks at every host, with
a file edited by hand in each round, and commits. What must not grow is measured after a while, and at the end.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

from benchmarks.day import Heard, edit
from benchmarks.figure import Figure
from benchmarks.fixture import Fixture
from benchmarks.serve import commit, in_sync, running, until
from fleet.controller.queue import Priority
from fleet.controller.service import Service
from fleet.model.change import Verdict

ROUNDS = 60  # of a minute each, by the usual period
SETTLED = 15  # rounds after which nothing should grow any more


def measure(made: Fixture) -> list[Figure]:
    """Hosts must be in sync already."""
    return uvloop.run(_measure(made))


@dataclass(frozen=True, slots=True)
class _Size:
    """memory: bytes that the process has. objects: that Python's collector knows. changes: made so far."""

    memory: int
    objects: int
    files: int
    tasks: int
    record: int
    changes: int


async def _measure(made: Fixture) -> list[Figure]:
    async with running(made) as (service, app):
        heard = Heard(service)
        await until(lambda: in_sync(service))
        sizes = list[_Size]()
        for number in range(1, ROUNDS + 1):
            await _round(made, service, heard, number)
            heard.passes.clear()
            if number in (SETTLED, ROUNDS):
                await service.history.flush()
                changes = len(await service.history.changes(limit=1_000_000))
                sizes.append(_size(app.settings.state_dir, changes))
    return _figures(sizes)


async def _round(made: Fixture, service: Service, heard: Heard, number: int) -> None:
    began = time.perf_counter()
    host = made.sandbox.hosts[number % len(made.sandbox.hosts)]
    await asyncio.to_thread(edit, made, host)
    if number % 10 == 1:  # not in the rounds that are measured: what was just changed is remembered until the next look
        commit(made, f"round {number}")
        service.look()
        await until(lambda: len(heard.since(began, Verdict.CHANGED)) == len(made.sandbox.hosts))
        return
    keys = [(one.environment, one.name) for one in service.environments]
    service.loop.ask(keys, Priority.SWEEP, "soak")
    await until(lambda: len(heard.since(began)) == len(keys) and host.name in heard.since(began, Verdict.CHANGED))


def _size(state: Path, changes: int) -> _Size:
    gc.collect()
    memory = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    record = sum(one.stat().st_size for one in state.glob("*.db*"))
    files = len([*Path("/proc/self/fd").iterdir()])
    return _Size(memory, len(gc.get_objects()), files, len(asyncio.all_tasks()), record, changes)


def _figures(sizes: Sequence[_Size]) -> list[Figure]:
    first, last = sizes
    changes = last.changes - first.changes
    each = (last.record - first.record) / max(changes, 1) / 1024
    says = f"after {ROUNDS} looks at every host; floor: after {SETTLED}"
    return [
        Figure("soak, memory", last.memory / 2**20, "MB", says, first.memory / 2**20, 1.05),
        Figure("soak, objects", last.objects / 1000, "1000", says, first.objects / 1000, 1.05),
        Figure("soak, open files", last.files, "files", says, first.files, 1.0),
        Figure("soak, tasks", last.tasks, "tasks", says, first.tasks, 1.0),
        Figure("soak, record", each, "kB", f"more on disk for each of {changes:,} changes in between", None),
    ]
