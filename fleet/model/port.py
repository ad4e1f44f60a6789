"""What the edges must offer. The driver knows these and nothing of SSH, HTTP or SQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from fleet.model.change import PassResult, Plan
from fleet.model.host import Target
from fleet.model.made import Made
from fleet.model.step import Batch, Outcome, Report
from fleet.model.traffic import Traffic


class Session(Protocol):
    """An open way to one host. One batch at a time; a second caller waits.

    perform never raises for what happens on the host: every task of the batch has an Outcome, UNKNOWN when the
    connection was lost or the deadline passed before its result came. It raises TransportError only when it is certain
    that nothing was started. Cancelling it ends the work on the host too. `report` hears each outcome as it comes.
    """

    async def perform(self, batch: Batch, report: Report | None = None) -> Mapping[str, Outcome]: ...

    async def halt(self) -> None:
        """Of a batch that writes at this moment no further task is begun: those are HALTED; the one under way ends as
        it will, and looks come after all. Where that cannot be said to the host, all goes on. Never raises."""
        ...

    async def aclose(self) -> None: ...

    @property
    def round_trips(self) -> int: ...


class Transport(Protocol):
    """Opens sessions. Raises TransportError, classified; never sends a byte to a host whose key is not pinned."""

    async def connect(self, target: Target) -> Session: ...

    async def aclose(self) -> None: ...

    @property
    def traffic(self) -> Mapping[str, Traffic]:
        """Environment → what was carried since this transport was made."""
        ...

    @property
    def breakers(self) -> Mapping[str, str]:
        """Name of what several hosts need → "open" (left alone for a while) or "half open" (it is tried); those that
        are closed are not named."""
        ...


class Journal(Protocol):
    """The record. `intend` returns only once the intent is on disk; the rest may be batched."""

    async def start_run(self, command: str, environment: str, revision: str, trace_id: str) -> int: ...

    async def intend(self, run: int, plan: Plan, attempt: str) -> None: ...

    async def record(self, run: int, result: PassResult, trace_id: str) -> None: ...

    async def looked(self, environment: str, host: str, in_sync: float | None = None) -> None:
        """It is as its latest pass says. in_sync: when a look that found it in sync began (Unix seconds)."""
        ...

    async def settle(
        self, environment: str, host: str, digests: Mapping[str, str], withheld: Collection[str] = ()
    ) -> None: ...

    async def keep_made(
        self, environment: str, host: str, made: Sequence[Made], gone: Collection[Made] = ()
    ) -> None: ...

    async def finish_run(self, run: int, verdicts: Sequence[str]) -> None: ...


class Watcher(Protocol):
    """Hears how a run goes while it goes: progress bars, logs, later server-sent events. Must not raise or block.

    host: "ENVIRONMENT/NAME". stage: "connect" | "observe" | "apply".
    """

    def stage(self, host: str, stage: str) -> None: ...

    def outcome(self, host: str, outcome: Outcome) -> None: ...

    def done(self, result: PassResult) -> None: ...
