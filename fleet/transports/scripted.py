"""A Session whose host is a function: tasks in, outcomes out, nothing run. For laws and for trying things out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fleet.model.host import Target
from fleet.model.port import Session
from fleet.model.step import Batch, Outcome, Report, Status, Task
from fleet.model.traffic import Traffic

Handler = Callable[[Task], Outcome]


class ScriptedSession:
    """Asks `handler` for each task whose needs are ok. batches: all that was sent, in order."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.batches: list[Batch] = []
        self.closed = False
        self.halted = False

    @property
    def round_trips(self) -> int:
        return len(self.batches)

    async def perform(self, batch: Batch, report: Report | None = None) -> Mapping[str, Outcome]:
        self.batches.append(batch)
        self.halted = False
        outcomes: dict[str, Outcome] = {}
        for task in batch.tasks:
            needed = [outcomes[need].status for need in task.needs if need in outcomes]
            ready = all(status is Status.OK for status in needed)
            if self.halted and batch.write is not None and not task.id.startswith("look:"):
                outcome = Outcome(task.id, Status.HALTED, 0)
            else:
                outcome = self._handler(task) if ready else Outcome(task.id, Status.SKIPPED, 0)
            outcomes[task.id] = outcome
            if report is not None:
                report(outcome)
        return outcomes

    async def halt(self) -> None:
        self.halted = True

    async def aclose(self) -> None:
        self.closed = True


class ScriptedTransport:
    """Sessions by host name. sessions: those that were opened."""

    def __init__(self, handler: Callable[[Target], Handler]) -> None:
        self._handler = handler
        self.sessions: dict[str, ScriptedSession] = {}

    async def connect(self, target: Target) -> Session:
        session = self.sessions[target.host] = ScriptedSession(self._handler(target))
        return session

    async def aclose(self) -> None:
        for session in self.sessions.values():
            await session.aclose()

    @property
    def traffic(self) -> Mapping[str, Traffic]:
        return {}

    @property
    def breakers(self) -> Mapping[str, str]:
        return {}
