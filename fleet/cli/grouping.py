"""Hosts that have the same thing to say, said once: PassResults in, Groups out. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fleet.errors import TransportError
from fleet.model.change import PassResult, Plan, Verdict
from fleet.model.step import Status

# What matters most comes last, where the reader's eye is.
ORDER = (
    Verdict.IN_SYNC,
    Verdict.PENDING,
    Verdict.DRIFTED,
    Verdict.CHANGED,
    Verdict.FAILED,
    Verdict.UNREACHABLE,
    Verdict.UNKNOWN,
    Verdict.CONFLICT,
)


@dataclass(frozen=True, slots=True)
class Group:
    """Hosts with the same verdict for the same reason. sample: any one of their results, which stands for all."""

    verdict: Verdict
    hosts: tuple[tuple[str, str], ...]
    sample: PassResult
    why: str = ""

    @property
    def plan(self) -> Plan | None:
        return self.sample.plan


def group(results: Iterable[PassResult]) -> list[Group]:
    """By verdict, plan and reason; verdicts in `ORDER`, then the largest group first."""
    found: dict[tuple[Verdict, str, str], list[PassResult]] = {}
    for result in results:
        found.setdefault((result.verdict, _digest(result), reason(result)), []).append(result)
    groups = [
        Group(verdict, tuple(sorted((r.environment, r.host) for r in same)), same[0], why)
        for (verdict, _, why), same in found.items()
    ]
    return sorted(groups, key=lambda g: (ORDER.index(g.verdict), -len(g.hosts), g.hosts))


def reason(result: PassResult) -> str:
    """Why it ended so, without what is each host's own: its address, what its steps said."""
    if isinstance(result.error, TransportError):
        return str(result.error.failure)
    if result.error is not None:
        return type(result.error).__name__
    bad = [f"{o.id} {o.status} {o.code}" for o in result.outcomes.values() if o.status is not Status.OK]
    left = [f"{one} {why}" for one, why in result.remaining.items()]
    return "\n".join([*sorted(bad), *sorted(left)])


def _digest(result: PassResult) -> str:
    """Hosts in sync or out of reach are alike, whatever they should be."""
    alike = result.verdict in (Verdict.IN_SYNC, Verdict.UNREACHABLE) or result.plan is None
    return "" if alike or result.plan is None else result.plan.digest
