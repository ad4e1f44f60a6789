"""One environment on its way to a revision: which hosts may have it next, when it stops, when it is done. Pure: nothing
is started here, and clocks (seconds that never go back) come in as arguments.

Hosts have their turn in waves. A wave is as large as the policy says, counted in hosts that could be reached: who could
not leaves its place to the next, so that a first wave of one host is somebody who tried. The next wave begins when all
of one are settled, nothing has changed with them for `stable_for`, and `pause` has passed after that.

Both budgets are looked at before every single start, and one host over either of them stops the rollout until a person
says go on. Hosts under way may fail as well, so no more are under way than
  what is left of `max_failed`, and one; or than have converged on this revision, where that is more.
Nobody risks more hosts at once than have proved the revision good: it starts slowly, and doubles with each round. The
law: whatever becomes of those under way, no more than max(max_failed + 1, max_failed + converged) hosts fail.
A policy of a single wave (`waves: [100%]`) asks for everything at once, and has it: only the budgets hold there.
And where some failed and none converged, even within the budget, no further wave begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

from fleet.controller import rollout_words as words
from fleet.controller.rollout_verdicts import CONVERGED, Progress, becomes
from fleet.controller.view import RolloutView
from fleet.model.change import Verdict
from fleet.model.natural import natural
from fleet.model.rollout import RolloutPolicy

State = Literal["waiting", "running", "pausing", "stopped", "done"]


def ordered(hosts: Mapping[str, Mapping[str, str]], policy: RolloutPolicy) -> list[str]:
    """Names in the order of their turns. hosts: name → labels. Those without the label come last."""

    def turn(name: str) -> tuple[bool, Any, Any]:
        value = hosts[name].get(policy.order)
        return value is None, natural(value or ""), natural(name)

    return sorted(hosts, key=turn)


@dataclass(slots=True)
class Rollout:
    """hosts: whom the revision changes, in the order of their turns. total: all hosts of the environment, of which the
    budgets are shares."""

    policy: RolloutPolicy
    hosts: Sequence[str]
    total: int
    revision: str
    _state: State | Literal["new"] = "new"
    _reason: str = ""  # why it stopped
    _wave: int = 1
    _groups: dict[Progress, dict[str, None]] = field(default_factory=lambda: {one: {} for one in Progress})
    _since: dict[str, float] = field(default_factory=dict)  # when a host came to be as it is
    _settled: float = float("-inf")  # when the last one did
    _away: set[str] = field(default_factory=set)  # never reached, so they take no place in a wave
    _forgiven: set[str] = field(default_factory=set)  # in trouble when a person said go on
    _waiting: dict[str, None] = field(init=False)
    _sizes: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.hosts = tuple(dict.fromkeys(self.hosts))
        self._sizes = self.policy.sizes(len(self.hosts))
        self._wave = min(self._wave, len(self._sizes))
        self._line_up()
        if not self.hosts:
            self._state = "done"
        elif self._state == "new":
            self._state = "waiting" if self.policy.approval else "running"

    @property
    def state(self) -> State:
        assert self._state != "new"  # not after it was made
        return self._state

    @property
    def reason(self) -> str:
        """One sentence that names hosts, or ""."""
        if self._state == "waiting":
            return words.waiting(self.hosts)
        if self._state == "pausing":
            return words.pausing(self._wave, len(self._sizes), self.policy)
        if self._state == "done":
            return words.left(self._groups[Progress.FAILED], self._groups[Progress.UNREACHABLE])
        return self._reason

    def startable(self, now: float) -> list[str]:
        """Who may begin now, first come first. All of them may, so long as nothing else is said meanwhile."""
        self._advance(now)
        return list(islice(self._waiting, self._free()))

    def started(self, name: str) -> None:
        """Raises ValueError where it may not begin, or no longer."""
        if name not in self._waiting or not self._free():
            raise ValueError(f"it is not the turn of {name}")
        del self._waiting[name]
        self._groups[Progress.UNDER_WAY][name] = None

    def finished(self, name: str, verdict: Verdict, now: float) -> None:
        """After the pass that `started` spoke of, and after any later one: the last verdict counts, so that a host may
        fail after all, or recover. Of hosts that had no turn yet it says nothing; when all is done, only of those who
        recover."""
        was = self._standing(name)
        if was is None or (self._state == "done" and verdict not in CONVERGED):
            return
        if verdict is Verdict.PENDING:  # nobody was allowed to change it: it has its turn again
            if was is Progress.UNDER_WAY:
                self.returned([name])
        else:
            lately = now - self._since.get(name, now) < self.policy.stable_for
            self._move(name, was, becomes(was, verdict, lately), now)
        self._advance(now)
        if self._state == "stopped":
            self._reason = self._trouble() or self._reason  # it may have become worse

    def returned(self, names: Iterable[str]) -> None:
        """They were under way, and nothing came of it."""
        for name in names:
            self._groups[Progress.UNDER_WAY].pop(name, None)
        self._line_up()

    def under_way(self) -> tuple[str, ...]:
        """Who began and did not finish."""
        return tuple(self._groups[Progress.UNDER_WAY])

    def released(self) -> frozenset[str]:
        """Who may have the revision at any time, as often as it takes: all who had their turn."""
        return frozenset(self.hosts) - self._waiting.keys()

    def releases(self, name: str) -> bool:
        """The same of one host; whom the revision does not change may have it, too."""
        return name not in self._waiting

    def wait(self, now: float) -> float | None:
        """Seconds until time alone may change something; None: never."""
        return max(self._rest(now), 0.0) if self._state == "pausing" else None

    def resume(self, now: float) -> None:
        """A person says go on: the budgets count from here."""
        if self._state == "stopped":
            self._forgiven = {*self._groups[Progress.FAILED], *self._groups[Progress.UNREACHABLE]}
            self._state, self._reason = "running", ""
            self._advance(now)

    def approve(self, now: float) -> None:
        """A person has seen what it changes, and allows it."""
        if self._state == "waiting":
            self._state = "running"
            self._advance(now)

    def view(self) -> RolloutView:
        converged, failed, unreachable = (len(self._groups[one]) for one in list(Progress)[1:])
        counts = (self._wave, len(self._sizes), len(self.hosts), converged, failed, unreachable)
        return RolloutView(self.revision, self.state, *counts, self.reason)

    def said(self, now: float) -> dict[str, Any]:
        """For JSON. Times are ages: the next controller's clock may begin elsewhere."""
        return {
            "revision": self.revision,
            "hosts": list(self.hosts),
            "total": self.total,
            "state": self._state,
            "reason": self._reason,
            "wave": self._wave,
            "groups": {str(one): list(names) for one, names in self._groups.items()},
            "since": {name: now - then for name, then in self._since.items()},
            "settled": now - self._settled if self._since else None,
            "away": sorted(self._away),
            "forgiven": sorted(self._forgiven),
        }

    @classmethod
    def read(cls, said: Mapping[str, Any], policy: RolloutPolicy, now: float) -> Rollout:
        """Goes on where `said` was; hosts under way are so still, until `returned`. The policy may have changed
        meanwhile. Raises ValueError for what no rollout said."""
        try:
            return cls(
                policy, said["hosts"], said["total"], said["revision"], said["state"], said["reason"], said["wave"],
                {one: dict.fromkeys(said["groups"][one]) for one in Progress},
                {name: now - age for name, age in said["since"].items()},
                now - said["settled"] if said["settled"] is not None else float("-inf"),
                set(said["away"]), set(said["forgiven"]),
            )  # fmt: skip
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"no rollout: {error!r}") from error

    def _advance(self, now: float) -> None:
        """As far as what is known, and the time, allow."""
        while self._state in ("running", "pausing"):
            if trouble := self._trouble():
                self._state, self._reason = "stopped", trouble
            elif not self._through():
                self._state = "running"
                return
            elif self._rest(now) > 0:
                self._state = "pausing"
                return
            elif not self._waiting:
                self._state = "done"
            else:
                self._wave += 1

    def _through(self) -> bool:
        """Every host of this wave, and of those before, is settled."""
        return not self._groups[Progress.UNDER_WAY] and (not self._waiting or self._places() <= 0)

    def _rest(self, now: float) -> float:
        pause = self.policy.pause if self._waiting else 0.0
        return self._settled + self.policy.stable_for + pause - now

    def _places(self) -> int:
        """Hosts that this wave has room for."""
        taken = sum(map(len, self._groups.values())) - len(self._away)
        return self._sizes[self._wave - 1] - taken if self._sizes else 0

    def _free(self) -> int:
        """Hosts that may begin."""
        return max(min(self._places(), self._room()), 0) if self._state == "running" else 0

    def _room(self) -> int:
        """Hosts that may be under way beside those that are."""
        if len(self.policy.waves) == 1:
            return len(self._waiting)
        left = self.policy.max_failed.of(self.total) - len(self._counted(Progress.FAILED))
        return max(left + 1, len(self._groups[Progress.CONVERGED])) - len(self._groups[Progress.UNDER_WAY])

    def _counted(self, one: Progress) -> list[str]:
        return [name for name in self._groups[one] if name not in self._forgiven]

    def _trouble(self) -> str:
        """Why nothing more may start, or ""."""
        failed, unreachable = self._counted(Progress.FAILED), self._counted(Progress.UNREACHABLE)
        if len(failed) > (most := self.policy.max_failed.of(self.total)):
            return words.too_many(failed, "failed", most)
        if len(unreachable) > (most := self.policy.max_unreachable.of(self.total)):
            return words.too_many(unreachable, "cannot be reached", most)
        if failed and self._through() and not self._groups[Progress.CONVERGED]:
            return words.unproven(failed)
        return ""

    def _move(self, name: str, was: Progress, to: Progress, now: float) -> None:
        if was is to:
            return
        del self._groups[was][name]
        self._groups[to][name] = None
        self._since[name] = self._settled = now
        self._forgiven.discard(name)
        if to is not Progress.UNREACHABLE:
            self._away.discard(name)
        elif was is Progress.UNDER_WAY:
            self._away.add(name)

    def _standing(self, name: str) -> Progress | None:
        return next((one for one, names in self._groups.items() if name in names), None)

    def _line_up(self) -> None:
        self._waiting = {name: None for name in self.hosts if self._standing(name) is None}
