"""Whatever happens in whatever order: nobody begins twice, beyond the wave, over a budget or after a stop; there is
always something that goes on or somebody to ask; and a restart changes nothing."""

from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fleet.controller.rollout import Rollout
from fleet.model.change import Verdict
from fleet.model.rollout import RolloutPolicy
from tests.controller.rollouts import BAD, GOOD, policies, rollout

# Good ones more often: a rollout that stops at once shows little.
verdicts = st.sampled_from([*GOOD, *GOOD, *GOOD, *BAD, Verdict.UNREACHABLE, Verdict.UNREACHABLE, Verdict.PENDING])


class Laws(RuleBasedStateMachine):
    @initialize(policy=policies, count=st.integers(0, 40), more=st.integers(0, 100))
    def begin(self, policy: RolloutPolicy, count: int, more: int) -> None:
        self.one = rollout(policy, count, count + more)
        self.now = 0.0
        self.begun: set[str] = set()
        self.reached: set[str] = set()
        self.away: set[str] = set()
        self.forgiven = (0, 0)
        self.states = ["running"]

    @rule(seconds=st.integers(0, 100))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule(most=st.integers(1, 12))
    def a_few_begin(self, most: int) -> None:
        self.some_begin(most)

    def some_begin(self, most: int) -> None:
        stopped = self.one.state in ("stopped", "done")
        found = self.one.startable(self.now)
        assert not (stopped and found)
        for name in found[:most]:
            self.may_begin()
            assert name not in self.begun
            self.one.started(name)
            self.begun.add(name)
            self.as_many_as_may()

    def may_begin(self) -> None:
        """Looked at before every single start."""
        view, policy, total = self.one.view(), self.one.policy, self.one.total
        assert self.one.state == "running"
        assert view.failed - self.forgiven[0] <= policy.max_failed.of(total)
        assert view.unreachable - self.forgiven[1] <= policy.max_unreachable.of(total)

    def as_many_as_may(self) -> None:
        """Looked at after every single start."""
        view, policy, total = self.one.view(), self.one.policy, self.one.total
        assert len(self.begun - self.away) <= policy.sizes(len(self.one.hosts))[view.wave - 1]
        if len(policy.waves) > 1:
            left = policy.max_failed.of(total) - max(view.failed - sum(self.forgiven), 0)
            assert len(self.one.under_way()) <= max(left + 1, view.converged)

    @precondition(lambda self: self.one.under_way())
    @rule(data=st.data(), verdict=verdicts)
    def one_finishes(self, data: st.DataObject, verdict: Verdict) -> None:
        self.finish(data.draw(st.sampled_from(self.one.under_way())), verdict)

    @rule(said=st.lists(verdicts, min_size=1))
    def a_round(self, said: list[Verdict]) -> None:
        self.some_begin(len(said))
        for name, verdict in zip(self.one.under_way(), said, strict=False):
            self.finish(name, verdict)

    @precondition(lambda self: self.begun)
    @rule(data=st.data(), verdict=verdicts)
    def one_is_looked_at_again(self, data: st.DataObject, verdict: Verdict) -> None:
        self.finish(data.draw(st.sampled_from(sorted(self.begun))), verdict)

    def finish(self, name: str, verdict: Verdict) -> None:
        running = name in self.one.under_way()
        self.one.finished(name, verdict, self.now)
        if verdict is Verdict.PENDING:
            self.begun -= {name} if running else set()
        elif verdict is not Verdict.UNREACHABLE:
            self.reached.add(name)
            self.away.discard(name)
        elif name not in self.reached:
            self.away.add(name)

    @precondition(lambda self: self.one.hosts)
    @rule(data=st.data(), verdict=verdicts)
    def one_without_a_turn_is_looked_at(self, data: st.DataObject, verdict: Verdict) -> None:
        name = data.draw(st.sampled_from(list(self.one.hosts)))
        if name not in self.begun:
            before = self.one.view()
            self.one.finished(name, verdict, self.now)
            assert self.one.view() == before

    @precondition(lambda self: self.one.under_way())
    @rule(data=st.data())
    def one_comes_back_undone(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.one.under_way()))
        self.one.returned([name])
        self.begun.remove(name)

    @rule()
    def a_person_says_go_on(self) -> None:
        if self.one.state == "stopped":
            self.forgiven = (self.one.view().failed, self.one.view().unreachable)
            self.one.resume(self.now)
            self.states = ["running"]
            assert self.one.state != "stopped"

    @rule()
    def the_controller_restarts(self) -> None:
        said = json.loads(json.dumps(self.one.said(self.now)))
        again = Rollout.read(said, self.one.policy, self.now)
        assert again == self.one and again.said(self.now) == self.one.said(self.now)
        assert (again.view(), again.wait(self.now)) == (self.one.view(), self.one.wait(self.now))
        self.one = again

    @invariant()
    def what_is_over_is_over(self) -> None:
        """Only a person ends a stop, and nothing a rollout that is done."""
        self.states.append(self.one.state)
        assert all(now == before for before, now in pairwise(self.states) if before in ("stopped", "done"))

    @invariant()
    def who_has_it_is_told(self) -> None:
        view = self.one.view()
        assert {name for name in self.one.hosts if self.one.releases(name)} == self.one.released() == self.begun
        assert set(self.one.under_way()) <= self.begun
        assert view.converged + view.failed + view.unreachable + len(self.one.under_way()) == len(self.begun)
        assert (self.one.reason != "") >= (view.state in ("stopped", "pausing"))
        if view.state == "done":
            assert view.converged + view.failed + view.unreachable == view.hosts

    @invariant()
    def something_goes_on(self) -> None:
        if self.one.under_way() or self.one.startable(self.now) or self.one.state in ("stopped", "done"):
            return
        wait = self.one.wait(self.now)
        assert self.one.state == "pausing" and wait is not None and wait > 0
        later = Rollout.read(self.one.said(self.now), self.one.policy, self.now)
        assert later.startable(self.now + wait) or later.state == "done"


Laws.TestCase.settings = settings(stateful_step_count=60)
TestLaws = Laws.TestCase
