"""How the commit that is followed fares in each environment, as Git servers show it beside a commit. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from fleet.controller.standing import Moment
from fleet.controller.view import ControllerView, EnvironmentView
from fleet.pacing.backoff import Backoff

State = Literal["pending", "success", "failure"]
GOOD = ("in sync", "changed")
AGAIN = Backoff(base=5.0, cap=600.0)
TRIES = 8  # of one status, then it is left until it changes


@dataclass(frozen=True, slots=True)
class CommitStatus:
    """commit: its whole id. description: one harmless line."""

    environment: str
    commit: str
    state: State
    description: str


@dataclass(frozen=True, slots=True)
class Sent:
    commit: str
    state: State


def wanted(view: ControllerView, say: Callable[[str], str]) -> Iterator[CommitStatus]:
    """One for each environment. say: makes one harmless line of others' words."""
    for one in view.environments:
        if view.trouble == "refused":
            yield CommitStatus(one.name, view.head, "failure", f"refused: {say(view.git)}")
        elif one.problems:
            yield CommitStatus(one.name, view.head, "failure", f"does not compile: {say(one.problems[0])}")
        else:
            yield _followed(one, say)


def _followed(one: EnvironmentView, say: Callable[[str], str]) -> CommitStatus:
    rollout = one.rollout
    if rollout is not None and rollout.state == "stopped":
        return CommitStatus(one.name, one.revision, "failure", f"the rollout stopped: {say(rollout.reason)}")
    if rollout is not None and rollout.state != "done":
        return CommitStatus(one.name, one.revision, "pending", f"rolling out to {rollout.hosts} of {one.hosts} hosts")
    good = sum(one.verdicts.get(name, 0) for name in GOOD)
    if good == one.hosts:
        return CommitStatus(one.name, one.revision, "success", f"{good} hosts are as it says")
    return CommitStatus(one.name, one.revision, "pending", f"{good} of {one.hosts} hosts are as it says")


@dataclass(slots=True)
class Book:
    """sent: by environment, what the server took last. taken, failed: how many it took; did not, and are left."""

    sent: dict[str, Sent] = field(default_factory=dict)
    taken: int = 0
    failed: int = 0
    _tries: dict[str, tuple[Sent, int]] = field(default_factory=dict)  # of what was not taken, and how often
    _not_before: dict[str, float] = field(default_factory=dict)

    def due(self, now: Mapping[str, CommitStatus], at: Moment) -> list[CommitStatus]:
        """What is to be sent. What is no environment any more is forgotten."""
        for name in [name for name in self.sent if name not in now]:
            del self.sent[name]
        return [one for name, one in now.items() if self._news(name, one) and self._open(name, one, at)]

    def took(self, one: CommitStatus) -> None:
        self.sent[one.environment] = Sent(one.commit, one.state)
        self.taken += 1
        self._tries.pop(one.environment, None)

    def refused(self, one: CommitStatus, at: Moment, again: bool) -> bool:
        """again: whether trying again may help. Whether it is left now, which is to be told aloud."""
        what = Sent(one.commit, one.state)
        before, tries = self._tries.get(one.environment, (what, 0))
        tries = tries + 1 if before == what else 1
        left = not again or tries >= TRIES
        self._tries[one.environment] = (what, TRIES if left else tries)
        self._not_before[one.environment] = at.now + AGAIN.delay(tries, 0.5 + at.chance / 2)
        self.failed += left
        return left

    def _news(self, name: str, one: CommitStatus) -> bool:
        sent = self.sent.get(name)
        if sent is None or sent.commit != one.commit:
            return True
        # Later drift says nothing of the commit: what went well stays so.
        return sent.state != one.state and not (sent.state == "success" and one.state == "pending")

    def _open(self, name: str, one: CommitStatus, at: Moment) -> bool:
        what, tries = self._tries.get(name, (None, 0))
        if what != Sent(one.commit, one.state):
            return True
        return tries < TRIES and at.now >= self._not_before[name]
