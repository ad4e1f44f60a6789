"""One environment on its way to a revision, in waves, under a budget. Pure: the clock is the caller's.

A wave begins only when every host of the one before is accounted for, and has stayed so. What fails is counted against
the budget before every single start; over budget it stops, and the rest stays on what it has.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from fleet.controller.view import RolloutView
from fleet.model.change import Verdict
from fleet.model.rollout import RolloutPolicy

End = Literal["converged", "failed", "unreachable"]
ENDS: Mapping[Verdict, End] = {
    Verdict.IN_SYNC: "converged",
    Verdict.CHANGED: "converged",
    Verdict.WAITING: "converged",
    Verdict.FAILED: "failed",
    Verdict.CONFLICT: "failed",
    Verdict.UNREACHABLE: "unreachable",
}


@dataclass(slots=True)
class Rollout:
    """hosts: those that the revision changes, in order. total: hosts of the environment. begun: name → how it ended
    last, None while that is open. stopped: why, or ""."""

    policy: RolloutPolicy
    hosts: Sequence[str]
    total: int
    revision: str = ""
    begun: dict[str, End | None] = field(default_factory=dict)
    forgiven: set[str] = field(default_factory=set)
    wave: int = 0
    stopped: str = ""
    _well: float | None = None  # since when all that was begun is accounted for

    def startable(self, now: float) -> list[str]:
        """Who may begin now, in order."""
        if self.stopped or self.done:
            return []
        while self._over(now) and self.wave < len(self.policy.waves):
            self.wave, self._well = self.wave + 1, now
        return [name for name in self.hosts[: self._size(self.wave)] if name not in self.begun]

    def started(self, name: str) -> None:
        self.begun[name] = None
        self._well = None

    def finished(self, name: str, verdict: Verdict, now: float) -> None:
        """Each time a pass over a host that has begun ended; the last one counts."""
        end = ENDS.get(verdict)
        if name not in self.begun or end is None:
            return
        if self.begun[name] == "converged" and end != "converged":
            self._well = None
        self.begun[name] = end
        if end == "converged":
            self.forgiven.discard(name)
        if None not in self.begun.values() and self._well is None:
            self._well = now
        self._judge()

    def resume(self) -> None:
        """A person says: go on. What failed until now counts no more."""
        self.stopped = ""
        self.forgiven |= {name for name, end in self.begun.items() if end != "converged"}

    def wait(self, now: float) -> float | None:
        """Seconds until something may begin by itself; None: until a host says more, or a person."""
        if self.stopped or self.done or self._well is None:
            return None
        return max(self._well + self._rest() - now, 0.0)

    @property
    def done(self) -> bool:
        """Everything was begun and is accounted for."""
        return len(self.begun) == len(self.hosts) and None not in self.begun.values()

    def view(self, now: float) -> RolloutView:
        ends = list(self.begun.values())
        waiting = self.wait(now)
        state = "stopped" if self.stopped else "done" if self.done else "pausing" if waiting else "running"
        return RolloutView(
            revision=self.revision,
            state=state,
            wave=min(self.wave + 1, len(self.policy.waves)),
            waves=len(self.policy.waves),
            hosts=len(self.hosts),
            converged=ends.count("converged"),
            failed=ends.count("failed"),
            unreachable=ends.count("unreachable"),
            reason=self.stopped,
        )

    def said(self) -> dict[str, Any]:
        """Plain values, for the next life."""
        kept = {"hosts": list(self.hosts), "total": self.total, "begun": [*self.begun], "wave": self.wave}
        return kept | {"forgiven": sorted(self.forgiven), "stopped": self.stopped}

    @classmethod
    def read(cls, said: Mapping[str, Any], policy: RolloutPolicy, revision: str) -> Rollout:
        """Hosts that were begun are looked at again first."""
        one = cls(policy, said["hosts"], said["total"], revision, wave=said["wave"], stopped=said["stopped"])
        one.begun, one.forgiven = dict.fromkeys(said["begun"]), set(said["forgiven"])
        return one

    def _over(self, now: float) -> bool:
        """Whether the wave is over and has stayed well for long enough."""
        wave = self.hosts[: self._size(self.wave)]
        if any(self.begun.get(name) is None for name in wave):
            return False
        return self._well is None or now >= self._well + self._rest()

    def _rest(self) -> float:
        return max(self.policy.stable_for, self.policy.pause)

    def _size(self, wave: int) -> int:
        """How many hosts have begun after it; after the last one all have."""
        waves = self.policy.waves
        if wave >= len(waves) - 1:
            return len(self.hosts)
        one = waves[wave]
        share = math.ceil(len(self.hosts) * one.number / 100) if one.percent else int(one.number)
        return min(max(share, self._size(wave - 1) if wave else 1), len(self.hosts))

    def _judge(self) -> None:
        count = len(self.begun)
        failed = self._named("failed")
        gone = self._named("unreachable")
        unreachable = self.policy.max_unreachable
        most = max(unreachable.of(self.total), 1) if unreachable.percent and unreachable.number else unreachable.of(0)
        if len(failed) > self.policy.max_failed.of(count):
            self.stopped = _told(failed, "failed", f"max_failed is {self.policy.max_failed} of {count} begun")
        elif len(gone) > most:
            self.stopped = _told(gone, "cannot be reached", f"max_unreachable is {unreachable}")

    def _named(self, end: End) -> list[str]:
        return [name for name, one in self.begun.items() if one == end and name not in self.forgiven]


def ordered(hosts: Mapping[str, Mapping[str, str]], policy: RolloutPolicy, late: Sequence[str] = ()) -> list[str]:
    """hosts: name → labels. By the label's value, then by name, numbers as such. late: those out of reach come last."""
    last = set(late)
    return sorted(hosts, key=lambda name: (name in last, _natural(hosts[name].get(policy.order, "")), _natural(name)))


def _natural(text: str) -> list[tuple[int, int, str]]:
    """web-2 stands before web-10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]


def _told(names: Sequence[str], what: str, limit: str) -> str:
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{shown} {what}; {limit}"
