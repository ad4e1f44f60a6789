"""A host and the APIs that its resources name, as one Session: each task goes where its steps belong, in the order that
the tasks need."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from fleet.errors import TransportError
from fleet.model.port import Session
from fleet.model.step import Batch, Check, Outcome, Report, Request, Status, Task


class RoutedSession:
    """See model/port.py: Session. host: its own shell; apis: those that its resources name. When these are down, their
    resources are unreadable, and the host is still looked at."""

    def __init__(self, host: Session, apis: Session) -> None:
        self._host, self._apis = host, apis
        self._halted = False

    @property
    def round_trips(self) -> int:
        return self._host.round_trips + self._apis.round_trips

    async def halt(self) -> None:
        self._halted = True
        await asyncio.gather(self._host.halt(), self._apis.halt())

    async def aclose(self) -> None:
        await asyncio.gather(self._host.aclose(), self._apis.aclose())

    async def perform(self, batch: Batch, report: Report | None = None) -> Mapping[str, Outcome]:
        done: dict[str, Outcome] = {}
        self._halted = False
        for stage in stages(batch.tasks):
            ready: list[Task] = []
            for task in stage:
                if self._halted and batch.write is not None and not task.id.startswith("look:"):
                    done[task.id] = Outcome(task.id, Status.HALTED)
                    if report is not None:
                        report(done[task.id])
                elif any(need in done and done[need].status is not Status.OK for need in task.needs):
                    done[task.id] = Outcome(task.id, Status.SKIPPED)
                    if report is not None:
                        report(done[task.id])
                else:
                    ready.append(task)
            asks = replace(batch, tasks=tuple(task for task in ready if over_api(task)))
            runs = replace(batch, tasks=tuple(task for task in ready if not over_api(task)))
            for found in await asyncio.gather(self._run(runs, report), self._ask(asks, report)):
                done |= found
        return done

    async def _run(self, batch: Batch, report: Report | None) -> Mapping[str, Outcome]:
        """A host that is lost while looking is lost; while writing, what became of its APIs' part must be told."""
        try:
            return await self._host.perform(batch, report) if batch.tasks else {}
        except TransportError as error:
            if batch.write is None:
                raise
            return _failed(batch, error, report)

    async def _ask(self, batch: Batch, report: Report | None) -> Mapping[str, Outcome]:
        try:
            return await self._apis.perform(batch, report) if batch.tasks else {}
        except TransportError as error:
            return _failed(batch, error, report)


def _failed(batch: Batch, error: TransportError, report: Report | None) -> Mapping[str, Outcome]:
    found = {task.id: Outcome(task.id, Status.FAILED, output=str(error).encode()) for task in batch.tasks}
    if report is not None:
        for one in found.values():
            report(one)
    return found


def over_api(task: Task) -> bool:
    return any(isinstance(step, Request | Check) for step in task.steps)


def stages(tasks: Sequence[Task]) -> list[list[Task]]:
    """As few as the needs between the host and its APIs allow. Tasks of either keep their order; looks come last."""
    known = {task.id: task for task in tasks}
    depth: dict[str, int] = {}

    def of(task: Task) -> int:
        if task.id not in depth:
            depth[task.id] = 0  # a circle ends here; the compiler has told of it
            before = [known[need] for need in task.needs if need in known]
            depth[task.id] = max((of(one) + (over_api(one) != over_api(task)) for one in before), default=0)
        return depth[task.id]

    changes = [task for task in tasks if not task.id.startswith("look:")]
    last = max(map(of, changes), default=0)
    found: list[list[Task]] = [[] for _ in range(last + 1)]
    for task in tasks:
        found[last if task.id.startswith("look:") else of(task)].append(task)
    return found
