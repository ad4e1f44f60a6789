"""Differences, plans, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from fleet.errors import FleetError
from fleet.model.host import Resource
from fleet.model.step import Outcome
from fleet.model.value import State


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A resource that could not be observed, and why. Never planned as absent."""

    reason: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A resource that was told how to be and is not so yet: neither drift nor success. reason: what it waits for."""

    reason: str


# Why something differs: the host moved, Git moved, or a change was cut short.
Cause: TypeAlias = Literal["external", "intended", "interrupted"]
Observed: TypeAlias = "State | Unreadable | Waiting | None"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference on one host.

    before: the observed State (None: absent); after: the desired one (None: to be removed).
    attributes: those that differ, sorted. due: "reload" | "restart" | "run" | "": what a watched resource made due.
    """

    resource: Resource
    before: State | None
    after: State | None
    attributes: tuple[str, ...] = ()
    due: str = ""

    @property
    def action(self) -> Literal["create", "update", "remove", "trigger"]:
        if self.after is None:
            return "remove"
        if self.before is None:
            return "create"
        return "update" if self.attributes else "trigger"


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes of one host, in dependency order. digest: hex sha256 over ids, before and after.

    provisional: ids whose change may still differ, since something before them has effects nobody can foresee.
    waiting: id → what it waits for.
    """

    host: str
    changes: tuple[Change, ...] = ()
    unreadable: Mapping[str, Unreadable] = field(default_factory=dict)
    provisional: frozenset[str] = frozenset()
    digest: str = ""
    environment: str = ""
    waiting: Mapping[str, str] = field(default_factory=dict)


class Verdict(StrEnum):
    """How one pass over one host ended."""

    IN_SYNC = "in sync"
    PENDING = "pending"  # plan only: there are changes
    CHANGED = "changed"  # changed, and the second look agrees
    WAITING = "waiting"  # told how to be, and not so before a reboot
    DRIFTED = "drifted"  # differs, and only reporting was asked for
    FAILED = "failed"
    CONFLICT = "conflict"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"  # the connection was lost while something was being changed


@dataclass(frozen=True, slots=True)
class PassResult:
    """One host once through observe, plan, apply, verify.

    plan: what the first look found, and what later looks added; outcomes: per resource id, of the changes made;
    remaining: ids still not right after the last look, with why. seconds: stage → time. round_trips: batches sent.
    causes: per resource id, why it differed. run: its number in the record, 0: none. id, trace_id:
    by which log lines, and the trace if there is one, are found.
    """

    host: str
    environment: str
    verdict: Verdict
    plan: Plan | None = None
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    remaining: Mapping[str, str] = field(default_factory=dict)
    error: FleetError | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    round_trips: int = 0
    causes: Mapping[str, Cause] = field(default_factory=dict)
    run: int = 0
    id: str = ""
    trace_id: str = ""
