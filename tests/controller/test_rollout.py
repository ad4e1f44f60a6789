"""A rollout of one host after the other says what people expect: canaries, budgets, pauses, and who is to blame."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.controller.rollout import Rollout, ordered
from fleet.model.change import Verdict
from fleet.model.rollout import RolloutPolicy, Share
from tests.controller.rollouts import ALL, BAD, GOOD, names, play, policies, rollout

AT_ONCE = RolloutPolicy((ALL,))
NONE = Share(0)


def _begin(one: Rollout, now: float = 0.0) -> list[str]:
    found = one.startable(now)
    for name in found:
        one.started(name)
    return found


@given(policies, st.integers(0, 60), st.data())
def test_when_all_is_well_every_host_has_its_turn_and_it_is_done(
    policy: RolloutPolicy, count: int, data: st.DataObject
) -> None:
    one, turns, now = rollout(policy, count), list[str](), 0.0
    while one.state != "done":
        turns += _begin(one, now)
        if one.under_way():
            one.finished(data.draw(st.sampled_from(one.under_way())), data.draw(st.sampled_from(GOOD)), now)
        elif one.state == "pausing":
            wait = one.wait(now)
            assert wait is not None and wait > 0
            now += wait
        else:
            assert one.view().state == "done", "nothing would ever happen"
    assert turns == names(count) and one.released() == frozenset(turns) and one.reason == ""
    view = one.view()
    assert (view.converged, view.failed, view.unreachable, view.wave) == (count, 0, 0, view.waves)
    waves = len(policy.sizes(count))
    assert now == policy.stable_for * waves + policy.pause * max(waves - 1, 0)


@given(policies, st.integers(1, 60), st.integers(0, 60))
def test_when_all_goes_wrong_no_more_fail_than_the_law_says(policy: RolloutPolicy, count: int, good: int) -> None:
    """The first `good` hosts converge, and all that follow fail."""
    one = rollout(policy, count, total=100)
    play(one, lambda name: Verdict.CHANGED if int(name[4:]) <= good else Verdict.FAILED)
    view, most = one.view(), policy.max_failed.of(100)
    if len(policy.waves) > 1:
        assert view.failed <= max(most + 1, most + view.converged)
    assert (one.state == "done") == (view.failed <= most and (view.converged > 0))
    if one.state == "stopped":
        assert "failed" in one.reason and f"web-{view.converged + 1}" in one.reason


def test_nobody_is_done_at_once() -> None:
    one = rollout(RolloutPolicy(pause=60, stable_for=60), 0)
    assert one.state == "done" and one.startable(0) == [] and one.wait(0) is None and one.released() == frozenset()
    assert (one.view().wave, one.view().waves) == (0, 0)


def test_all_at_once_is_all_at_once() -> None:
    assert _begin(rollout(AT_ONCE, 500)) == names(500)


def test_a_canary_a_few_and_then_faster_and_faster() -> None:
    one, sizes = rollout(RolloutPolicy(), 200), []
    while one.state != "done":
        batch = _begin(one)
        sizes.append(len(batch))
        for name in batch:
            one.finished(name, Verdict.CHANGED, 0)
    assert sizes == [1, 5, 6, 8, 20, 40, 80, 40]


def test_a_canary_that_fails_stops_it_within_any_budget() -> None:
    one = rollout(RolloutPolicy(max_failed=ALL, waves=(Share(1), ALL)), 50)
    assert play(one, lambda name: Verdict.FAILED) == 0
    assert (one.state, one.reason) == ("stopped", "no host has converged on it, and web-1 failed")
    assert one.released() == {"web-1"}


def test_a_canary_that_cannot_be_reached_leaves_its_place_to_the_next() -> None:
    one = rollout(RolloutPolicy(), 50)
    assert _begin(one) == ["web-1"]
    one.finished("web-1", Verdict.UNREACHABLE, 0)
    assert (one.state, one.view().wave) == ("running", 1)
    assert _begin(one) == ["web-2"]
    one.finished("web-2", Verdict.IN_SYNC, 0)
    assert one.view().wave == 2 and one.released() == {"web-1", "web-2"}
    one.finished("web-1", Verdict.CHANGED, 1)  # the sweep came by
    assert one.view().unreachable == 0 and play(one, lambda name: Verdict.IN_SYNC) == 0


def test_too_many_that_cannot_be_reached_stop_it() -> None:
    one = rollout(RolloutPolicy((Share(40), ALL), max_failed=Share(39), max_unreachable=Share(2)), 100)
    play(one, lambda name: Verdict.UNREACHABLE)
    assert one.startable(0) == [] and one.view().hosts - len(one.released()) == 58
    assert one.reason == "3 hosts cannot be reached where 2 may: web-1, web-2, web-3"
    for name in one.under_way():
        one.finished(name, Verdict.UNREACHABLE, 0)
    assert one.reason.endswith(": web-1, web-2, web-3, web-4, web-5 and 37 more")


def test_who_does_not_have_it_is_named_when_it_is_done() -> None:
    one = rollout(RolloutPolicy((Share(1), ALL), max_unreachable=ALL), 60)
    bad = {"web-9": Verdict.CONFLICT, "web-7": Verdict.UNREACHABLE}
    play(one, lambda name: bad.get(name, Verdict.CHANGED))
    assert (one.state, one.reason) == ("done", "failed: web-9; not reached yet: web-7")
    one.finished("web-1", Verdict.FAILED, 9000)  # another day's trouble
    one.finished("web-9", Verdict.UNREACHABLE, 9000)
    one.finished("web-7", Verdict.CHANGED, 9000)
    assert (one.state, one.reason) == ("done", "failed: web-9")


def test_a_wave_waits_until_the_one_before_was_right_for_a_while_and_a_pause_longer() -> None:
    one = rollout(RolloutPolicy(pause=10, stable_for=30), 3)
    _begin(one)
    one.finished("web-1", Verdict.CHANGED, 100)
    assert (one.state, one.wait(100), one.wait(139), one.startable(139)) == ("pausing", 40, 1, [])
    assert one.reason == "wave 1 of 2 is through; wave 2 of 2 follows when it stays so for 30s and another 10s pass"
    one.finished("web-1", Verdict.IN_SYNC, 120)  # looked at again, and nothing is new
    assert one.startable(140) == ["web-2", "web-3"] and one.wait(140) is None
    assert _begin(one, 140) == ["web-2", "web-3"]
    one.finished("web-3", Verdict.CHANGED, 150)
    one.finished("web-2", Verdict.CHANGED, 150)
    assert one.reason == "wave 2 of 2 is through; the rollout is done when it stays so for 30s"
    assert one.wait(150) == 30 and one.startable(180) == [] and one.state == "done"


@pytest.mark.parametrize("verdict", [*BAD, Verdict.UNREACHABLE])
def test_who_fails_or_falls_silent_while_it_should_be_stable_has_failed(verdict: Verdict) -> None:
    one = rollout(RolloutPolicy((Share(1), ALL), max_failed=NONE, stable_for=30), 3)
    _begin(one)
    one.finished("web-1", Verdict.CHANGED, 0)
    one.finished("web-1", verdict, 29)
    assert (one.state, one.reason) == ("stopped", "1 host failed where none may: web-1")


def test_who_falls_silent_later_is_unreachable_and_silence_does_not_undo_a_failure() -> None:
    one = rollout(RolloutPolicy((Share(2), ALL), max_failed=Share(1), stable_for=30), 4)
    assert _begin(one) == ["web-1", "web-2"]
    one.finished("web-1", Verdict.CHANGED, 0)
    one.finished("web-2", Verdict.FAILED, 100)
    one.finished("web-1", Verdict.UNREACHABLE, 100)
    one.finished("web-2", Verdict.UNREACHABLE, 101)
    assert (one.view().failed, one.view().unreachable) == (1, 1)


def test_who_recovers_has_not_failed() -> None:
    one = rollout(RolloutPolicy((Share(1), ALL), max_failed=NONE), 3)
    _begin(one)
    one.finished("web-1", Verdict.UNKNOWN, 0)
    one.finished("web-1", Verdict.CHANGED, 1)
    assert one.state == "stopped", "a person looks at it all the same"
    one.resume(2)
    assert one.startable(2) == ["web-2"] and one.view().failed == 0


@given(policies, st.integers(1, 60))
def test_a_revision_that_needs_approval_waits_for_it_and_then_goes_as_any(policy: RolloutPolicy, count: int) -> None:
    one, other = rollout(replace(policy, approval=True), count), rollout(policy, count)
    assert (one.state, one.startable(0), one.wait(0), one.released()) == ("waiting", [], None, frozenset())
    assert "nobody has approved it" in one.reason and "web-1" in one.reason
    for verdict in (Verdict.IN_SYNC, Verdict.FAILED):
        one.finished("web-1", verdict, 0)  # of the revision before
    one = Rollout.read(json.loads(json.dumps(one.said(0))), one.policy, 0)
    assert one.state == "waiting", "also over a restart"
    one.approve(0)
    assert one.view() == other.view() and one.startable(0) == other.startable(0)
    one.approve(0)
    assert one.view() == other.view(), "said twice, it is said once"


def test_a_person_says_go_on_and_the_budget_counts_anew() -> None:
    one = rollout(RolloutPolicy((Share(2), ALL), max_failed=Share(1)), 20)
    play(one, lambda name: Verdict.FAILED)
    assert one.reason == "2 hosts failed where 1 may: web-1, web-2" and one.startable(9) == []
    one.resume(10)
    assert (one.state, one.reason) == ("running", "")
    play(one, lambda name: Verdict.FAILED, 10)
    assert one.reason == "2 hosts failed where 1 may: web-3, web-4"
    one.resume(20)
    play(one, lambda name: Verdict.CHANGED, 20)
    assert (one.state, one.reason) == ("done", "failed: web-1, web-2, web-3, web-4")


def test_who_was_forgiven_and_recovered_may_fail_again_and_counts() -> None:
    one = rollout(RolloutPolicy((Share(1), ALL), max_failed=NONE), 20)
    play(one, lambda name: Verdict.FAILED)
    one.resume(0)
    one.finished("web-1", Verdict.FAILED, 1)
    assert one.state == "running", "nothing new"
    one.finished("web-1", Verdict.CHANGED, 2)
    one.finished("web-1", Verdict.FAILED, 3)
    assert one.reason == "1 host failed where none may: web-1"


def test_what_was_not_to_be_changed_yet_has_its_turn_again() -> None:
    one = rollout(RolloutPolicy(), 3)
    _begin(one)
    one.finished("web-1", Verdict.PENDING, 0)
    assert one.startable(0) == ["web-1"] and one.released() == frozenset()


def test_nobody_begins_out_of_turn() -> None:
    one = rollout(RolloutPolicy(), 3)
    for name in ("web-4", "db-1"):
        with pytest.raises(ValueError, match=f"not the turn of {name}"):
            one.started(name)
    _begin(one)
    for name in ("web-1", "web-2"):
        with pytest.raises(ValueError, match=f"not the turn of {name}"):
            one.started(name)
    one.finished("web-2", Verdict.FAILED, 0)  # the sweep's verdict on the revision it has
    assert one.view().failed == 0


def test_the_order_is_a_labels_then_the_names() -> None:
    hosts = {"web-10": {"rank": "2"}, "web-9": {"rank": "10"}, "web-2": {}, "db": {"rank": "2"}, "web-1": {}}
    assert ordered(hosts, RolloutPolicy()) == ["db", "web-1", "web-2", "web-9", "web-10"]
    assert ordered(hosts, RolloutPolicy(order="rank")) == ["db", "web-10", "web-9", "web-1", "web-2"]


def test_a_controller_that_comes_back_goes_on_under_the_policy_of_now() -> None:
    one = rollout(RolloutPolicy(stable_for=30), 40)
    _begin(one)
    one.finished("web-1", Verdict.CHANGED, 1000)
    said = json.loads(json.dumps(one.said(1010)))
    after = Rollout.read(said, RolloutPolicy(stable_for=30), 5)  # another machine, another clock
    assert (after.state, after.wait(5)) == ("pausing", 20)
    assert Rollout.read(said, RolloutPolicy(), 5).startable(5) == ["web-2", "web-3"]
    assert len(Rollout.read(said, AT_ONCE, 5).startable(5)) == 39


def test_hosts_that_were_under_way_have_their_turn_again_after_a_restart() -> None:
    one = rollout(AT_ONCE, 4)
    _begin(one)
    one.finished("web-2", Verdict.CHANGED, 0)
    after = Rollout.read(one.said(0), AT_ONCE, 0)
    assert after == one and after.under_way() == ("web-1", "web-3", "web-4")
    after.returned(after.under_way())
    assert after.startable(0) == ["web-1", "web-3", "web-4"]


@pytest.mark.parametrize("said", [{}, {"hosts": 1}, {"revision": "a"}])
def test_what_is_no_rollout_is_refused(said: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no rollout"):
        Rollout.read(said, RolloutPolicy(), 0)
