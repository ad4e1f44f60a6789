"""What is read from the record. Times are Unix seconds (UTC); hosts are named by environment and host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One command. finished None: still running, or its process was killed (`alive` tells which).

    verdicts: verdict → number of hosts.
    """

    id: int
    command: str
    environment: str
    revision: str
    started: float
    finished: float | None
    trace_id: str
    who: str
    verdicts: Mapping[str, int]
    alive: bool = False

    @property
    def interrupted(self) -> bool:
        """Its process ended without a word."""
        return self.finished is None and not self.alive


@dataclass(frozen=True, slots=True)
class PassRecord:
    """One host once. seconds: stage → time. found: (resource id, action, attributes that differ) of the plan.

    remaining: resource id → what is still not right. error: "" or why it could not be reached. revision: of its run.
    """

    id: int
    run: int
    environment: str
    host: str
    verdict: str
    began: float
    ended: float
    seconds: Mapping[str, float]
    round_trips: int
    plan_digest: str
    found: tuple[tuple[str, str, tuple[str, ...]], ...]
    remaining: Mapping[str, str]
    error: str
    trace_id: str
    revision: str


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    """One change on one host.

    before, after: states as they were planned; None: absent. Of a sensitive resource only {"$sensitive": digest};
        content over the cap is {"$content": digest}, see `History.content`.
    intended: when the intent was on disk; None: skipped before anything was sent. ended: when its result was written.
    status: as of an Outcome; "running" while its process lives, and "unknown" when that ended without a result.
    output: what the host printed, first and last part, never trusted. output_size: all of it, in bytes.
    remaining: why the second look did not agree. cause: who moved, as of a PassResult. attempt: its journal.
    origin: "FILE:LINE:COLUMN" of the resource.
    """

    id: int
    run: int
    environment: str
    host: str
    resource: str
    action: str
    due: str
    attributes: tuple[str, ...]
    before: Any
    after: Any
    origin: str
    role: str
    plan_digest: str
    attempt: str
    intended: float | None
    ended: float | None
    status: str
    code: int | None
    step: int
    seconds: float
    output: bytes = field(repr=False)
    output_size: int
    remaining: str
    revision: str
    trace_id: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class ExecRecord:
    """One command that a person ran by hand on one host. run: one call, of many hosts perhaps. who: "PERSON@MACHINE",
    or "PERSON as USER@MACHINE" behind sudo. command: as one would type it into a shell.

    intended: when that was on disk; ended: when its result was written. status: as of model/executed.py; "running"
    while its process lives, "unknown" when that ended without a result. code: the exit status. output: see `Executed`.
    """

    id: int
    run: int
    environment: str
    host: str
    who: str
    reason: str
    command: str
    intended: float
    ended: float | None
    status: str
    code: int | None
    output: bytes = field(repr=False)
    truncated: bool
    error: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Taken:
    """Where an environment is: at a revision since then, or on its way there from the one before. rollout: how far, as
    JSON; "" when it is there."""

    environment: str
    revision: str
    before: str
    since: float
    rollout: str = ""


@dataclass(frozen=True, slots=True)
class Ordered:
    """A freeze (scope "") or a pause that holds. scope: "", ENVIRONMENT, ENVIRONMENT/HOST or role:NAME."""

    scope: str
    who: str
    reason: str
    since: float


@dataclass(frozen=True, slots=True)
class Audited:
    """What a person asked for. chain: hex sha256 over the entry before and this one."""

    id: int
    at: float
    who: str
    action: str
    said: Mapping[str, Any]
    chain: str


@dataclass(frozen=True, slots=True)
class Content:
    """What stands behind a digest. data is only the first part where it is shorter than size (bytes)."""

    digest: str
    size: int
    data: bytes = field(repr=False)

    @property
    def complete(self) -> bool:
        return len(self.data) == self.size
