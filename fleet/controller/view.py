"""What a controller says of itself: plain values for whoever asks, over HTTP or in a test. And what it can be asked to
do. Times are Unix seconds (UTC) unless they say otherwise; hosts are named by environment and name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from fleet.history.records import Ordered

# Git does not answer; its history was rewritten; the newest commit cannot be taken at all.
Trouble = Literal["", "git", "rewritten", "refused"]


@dataclass(frozen=True, slots=True)
class HostView:
    """One host as it was last seen. verdict: "" never looked at; since: when it came to be so; looked: when it was last
    looked at, 0 never. next: seconds until it is looked at again, below 0: now. reason: why then.

    revision: full commit id that it is to follow; wanted: the environment's newest, where a rollout has not come to it.
    drift: resource id → "external" | "intended" | "interrupted", of the last look. fought: resources that somebody
    changes back again and again. failures: in a row. parked: not tried again by itself for long. seconds: that the last
    pass took.
    """

    environment: str
    name: str
    verdict: str = ""
    since: float = 0.0
    looked: float = 0.0
    next: float = 0.0
    reason: str = ""
    running: bool = False
    revision: str = ""
    wanted: str = ""
    roles: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    drift: Mapping[str, str] = field(default_factory=dict)
    fought: tuple[str, ...] = ()
    failures: int = 0
    parked: bool = False
    paused: bool = False
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ChangeView:
    """One difference on one host, as far as it may be shown. action: create | update | remove | trigger; cause:
    external | intended | interrupted. attributes: name → before, after; diff: of the content, or a line on why there is
    none."""

    resource: str
    action: str
    cause: str
    attributes: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    diff: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExecView:
    """What a person ran by hand on a host (`fleet exec`). run: its number in the record, which has what it printed. at:
    when it was asked for. status: ok | failed | unknown | running; code: the exit status."""

    run: int
    who: str
    at: float
    reason: str
    command: str
    status: str
    code: int | None


@dataclass(frozen=True, slots=True)
class RolloutView:
    """An environment on its way to a revision. state: waiting (for approval) | running | pausing | stopped | done.
    wave: from 1, of `waves`."""

    revision: str
    state: str
    wave: int
    waves: int
    hosts: int
    converged: int
    failed: int
    unreachable: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class EnvironmentView:
    """revision: the last that compiles; since: when it was taken. problems: why `head` of the controller was not taken,
    each with file and line. verdicts: verdict → hosts. writes: "" or why nothing is changed there now."""

    name: str
    revision: str
    since: float
    hosts: int
    verdicts: Mapping[str, int]
    problems: tuple[str, ...] = ()
    writes: str = ""
    rollout: RolloutView | None = None


@dataclass(frozen=True, slots=True)
class DestinationView:
    """Who is told. sent, failed: messages since the start; waiting: news that was not told yet. error: "" or why the
    last one did not arrive."""

    name: str
    sent: int = 0
    failed: int = 0
    waiting: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class ControllerView:
    """head: newest commit fetched; fetched: when Git last answered; git: "" or why it is not followed; trouble: what
    sort of reason that is. record: "" or why the record cannot be written, so that nothing is changed. queue: hosts
    that are due. running: passes under way. breakers: environment, bastion or API → open (left alone) | half open
    (tried). ready: the first compile is done. told: who is notified, and how that goes."""

    version: str
    started: float
    ready: bool
    head: str
    fetched: float
    git: str
    queue: int
    running: int
    frozen: Ordered | None
    orders: tuple[Ordered, ...]
    environments: tuple[EnvironmentView, ...]
    breakers: Mapping[str, str] = field(default_factory=dict)
    record: str = ""
    trouble: Trouble = ""
    told: tuple[DestinationView, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. type: start | ready | stop | pass | revision | refused | rollout | fought | parked |
    order | git | record | breaker | settings | notify."""

    number: int
    at: float
    type: str
    environment: str = ""
    host: str = ""
    said: Mapping[str, Any] = field(default_factory=dict)


class Controller(Protocol):
    """What web and service managers may know and do. Nothing here waits for a host."""

    def view(self) -> ControllerView: ...

    def hosts(self) -> Sequence[HostView]: ...

    def changes(self, environment: str, host: str) -> Sequence[ChangeView]:
        """What differed there when it was last looked at."""
        ...

    async def execs(self) -> Mapping[tuple[str, str], Sequence[ExecView]]:
        """(environment, host) → what people ran there by hand since it was last found in sync, the latest first; none
        while the record cannot be read."""
        ...

    def events(self, after: int = 0) -> AsyncIterator[Event]:
        """From that number on as far as kept, then as they happen, until the caller stops."""
        ...

    def metrics(self, openmetrics: bool = False) -> str:
        """In the text format of Prometheus, or as OpenMetrics, with the traces of passes."""
        ...

    def look(self) -> None:
        """Ask Git now, if it was not asked a moment ago."""
        ...

    def reconcile(self, hosts: Sequence[tuple[str, str]], who: str) -> int:
        """As soon as may be; the number of hosts that are known."""
        ...

    async def order(self, scope: str, who: str, reason: str) -> Ordered:
        """Freeze ("") or pause; on disk when it returns. Raises UsageError: no such scope."""
        ...

    async def lift(self, scope: str, who: str) -> bool:
        """Take it back; False when there was none."""
        ...

    async def accept(self, commit: str, who: str) -> None:
        """Go on from this commit, though the history was rewritten. Raises GitError: it is not the newest."""
        ...

    async def approve(self, environment: str, revision: str, who: str) -> bool:
        """The rollout of that revision (its whole id) may begin; in the audit when it returns. False: none waits."""
        ...

    async def go_on(self, environment: str, who: str) -> bool:
        """A rollout that stopped goes on; False when there is none."""
        ...
