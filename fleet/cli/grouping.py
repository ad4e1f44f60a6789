"""Hosts that have the same thing to say, said once: PassResults in, Groups out. Pure.

Hosts are of one group when the same resources change in the same attributes. Where a value is each host's own (its
name in a file), the group keeps the variants of that one change apart, so that the rest is still said once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fleet.errors import TransportError
from fleet.model.change import Change, PassResult, Plan, Verdict
from fleet.model.step import Status

# What matters most comes last, where the reader's eye is.
ORDER = (
    Verdict.IN_SYNC,
    Verdict.PENDING,
    Verdict.WAITING,
    Verdict.DRIFTED,
    Verdict.CHANGED,
    Verdict.FAILED,
    Verdict.UNREACHABLE,
    Verdict.UNKNOWN,
    Verdict.CONFLICT,
)

HostNames = tuple[tuple[str, str], ...]  # (environment, name)


@dataclass(frozen=True, slots=True)
class Variant:
    """One change as it is on some of a group's hosts. whole: the plan that it is part of."""

    change: Change
    whole: Plan
    hosts: HostNames


@dataclass(frozen=True, slots=True)
class Group:
    """Hosts with the same verdict for the same reason, by environment and name; never empty."""

    verdict: Verdict
    members: tuple[PassResult, ...]
    why: str = ""

    @property
    def hosts(self) -> HostNames:
        return tuple((r.environment, r.host) for r in self.members)

    @property
    def sample(self) -> PassResult:
        """Any of them, which stands for all."""
        return self.members[0]

    @property
    def same(self) -> bool:
        """Whether every host has the very same change."""
        return len({r.plan.digest for r in self.members if r.plan is not None}) <= 1

    def variants(self) -> list[list[Variant]]:
        """For each change, in order: its variants, that of most hosts first."""
        plans = [(r, r.plan) for r in self.members if r.plan is not None]
        columns = zip(*([(c, plan, r) for c in plan.changes] for r, plan in plans), strict=True)
        return [_variants(column) for column in columns]


def group(results: Iterable[PassResult]) -> list[Group]:
    """By verdict, shape of the plan and reason; verdicts in `ORDER`, then the largest group first."""
    found: dict[tuple[Verdict, object, str], list[PassResult]] = {}
    for result in results:
        found.setdefault((result.verdict, _shape(result), reason(result)), []).append(result)
    groups = [
        Group(verdict, tuple(sorted(members, key=lambda r: (r.environment, r.host))), why)
        for (verdict, _, why), members in found.items()
    ]
    return sorted(groups, key=lambda g: (ORDER.index(g.verdict), -len(g.members), g.hosts))


def reason(result: PassResult) -> str:
    """Why it ended so, without what is each host's own: its address, what its steps said."""
    if isinstance(result.error, TransportError):
        return str(result.error.failure)
    if result.error is not None:
        return type(result.error).__name__
    bad = [f"{o.id} {o.status} {o.code}" for o in result.outcomes.values() if o.status is not Status.OK]
    left = [f"{one} {why}" for one, why in result.remaining.items()]
    return "\n".join([*sorted(bad), *sorted(left)])


def _shape(result: PassResult) -> object:
    """What changes, without the values. Hosts in sync or out of reach are alike, whatever they should be."""
    if result.plan is None or result.verdict in (Verdict.IN_SYNC, Verdict.UNREACHABLE):
        return ()
    changes = [(c.resource.id, c.action, c.attributes, c.due) for c in result.plan.changes]
    return tuple(changes), tuple(sorted([*result.plan.unreadable, *result.plan.waiting])), result.plan.provisional


def _variants(column: Iterable[tuple[Change, Plan, PassResult]]) -> list[Variant]:
    found: dict[object, list[tuple[Change, Plan, PassResult]]] = {}
    for one in column:
        change = one[0]
        found.setdefault((_words(change.before), _words(change.after), change.resource.content), []).append(one)
    variants = [
        Variant(same[0][0], same[0][1], tuple((r.environment, r.host) for _, _, r in same)) for same in found.values()
    ]
    return sorted(variants, key=lambda v: (-len(v.hosts), v.hosts))


def _words(state: object) -> str:
    return repr(sorted(state.items())) if isinstance(state, dict) else repr(state)
