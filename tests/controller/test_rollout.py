"""Waves: nobody twice, nobody before their wave, nobody after the budget is used up, and all when all goes well."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.controller.rollout import Rollout, ordered
from fleet.controller.windows import closed
from fleet.model.change import Verdict
from fleet.model.rollout import Amount, RolloutPolicy, Window

amounts = st.one_of(st.integers(0, 8).map(Amount), st.integers(0, 100).map(lambda n: Amount(n, True)))
waves = st.lists(st.one_of(st.integers(1, 8).map(Amount), st.integers(1, 100).map(lambda n: Amount(n, True))),
                 min_size=1, max_size=4).map(tuple)  # fmt: skip
policies = st.builds(
    RolloutPolicy, waves, amounts, amounts, st.integers(0, 30).map(float), st.integers(0, 30).map(float)
)
GOOD = (Verdict.IN_SYNC, Verdict.CHANGED, Verdict.WAITING)


@given(policies, st.integers(0, 40), st.data())
@settings(max_examples=150, deadline=None)
def test_whatever_happens_the_budget_and_the_waves_are_kept(
    policy: RolloutPolicy, count: int, data: st.DataObject
) -> None:
    names = [f"h{n}" for n in range(count)]
    rollout, now = Rollout(policy, names, count), 0.0
    begun: list[str] = []
    open_: list[str] = []
    for _ in range(30):
        if data.draw(st.booleans()):  # another life: what was begun is looked at again
            rollout, open_ = Rollout.read(json.loads(json.dumps(rollout.said())), policy, ""), [*begun]
        startable = rollout.startable(now)
        if rollout.stopped:
            assert startable == []
        assert startable == names[len(begun) : len(begun) + len(startable)], "in order, and nobody twice"
        few = startable[: data.draw(st.integers(0, 6))]
        for name in few:
            rollout.started(name)
        begun, open_ = begun + few, open_ + few
        for name in data.draw(st.lists(st.sampled_from(open_), unique=True)) if open_ else []:
            verdict = data.draw(st.sampled_from([*Verdict]))
            rollout.finished(name, verdict, now)
            if rollout.begun[name] is not None:
                open_.remove(name)
        ends = [*rollout.begun.values()]
        if ends.count("failed") > policy.max_failed.of(len(begun)):
            assert rollout.stopped
        now += data.draw(st.integers(0, 40))


@given(policies, st.integers(0, 60), st.sampled_from(GOOD))
def test_when_all_goes_well_all_have_it(policy: RolloutPolicy, count: int, verdict: Verdict) -> None:
    rollout, now, rounds = Rollout(policy, [f"h{n}" for n in range(count)], count), 0.0, 0
    while not rollout.done:
        for name in rollout.startable(now):
            rollout.started(name)
            rollout.finished(name, verdict, now)
        now += rollout.wait(now) or 0.0
        rounds += 1
        assert rounds <= 2 * len(policy.waves) + 1
    assert rollout.view(now).state == "done" and rollout.view(now).converged == count


def go(rollout: Rollout, now: float, verdict: Verdict = Verdict.CHANGED) -> list[str]:
    names = rollout.startable(now)
    for name in names:
        rollout.started(name)
        rollout.finished(name, verdict, now)
    return names


def test_by_default_one_then_a_tenth_then_all() -> None:
    rollout = Rollout(RolloutPolicy(), [f"h{n}" for n in range(200)], 200)
    assert [len(go(rollout, 0.0)) for _ in range(4)] == [1, 19, 180, 0]


def test_a_bad_commit_reaches_one_host_only() -> None:
    rollout = Rollout(RolloutPolicy(), [f"h{n}" for n in range(200)], 200)
    assert go(rollout, 0.0, Verdict.FAILED) == ["h0"] and rollout.startable(1e6) == []
    assert rollout.view(0.0).state == "stopped" and rollout.stopped == "h0 failed; max_failed is 2% of 1 begun"
    rollout.resume()
    assert len(go(rollout, 0.0)) == 19


def test_a_wave_has_to_stay_well() -> None:
    rollout = Rollout(RolloutPolicy(stable_for=30.0), ["a", "b"], 2)
    assert go(rollout, 0.0) == ["a"]
    assert rollout.startable(29.0) == [] and rollout.wait(29.0) == 1.0 and rollout.view(29.0).state == "pausing"
    rollout.finished("a", Verdict.FAILED, 29.5)
    assert rollout.startable(1e6) == [] and rollout.stopped


def test_what_is_out_of_reach_within_the_budget_holds_nobody_up() -> None:
    rollout = Rollout(RolloutPolicy(waves=(Amount(5), Amount(100, True))), [f"h{n}" for n in range(20)], 20)
    names = rollout.startable(0.0)
    for number, name in enumerate(names):
        rollout.started(name)
        rollout.finished(name, Verdict.UNREACHABLE if number < 2 else Verdict.CHANGED, 0.0)
    assert len(rollout.startable(0.0)) == 15
    third = rollout.startable(0.0)[0]
    rollout.started(third)
    rollout.finished(third, Verdict.UNREACHABLE, 0.0)
    assert rollout.stopped == "h0, h1, h5 cannot be reached; max_unreachable is 10%"


def test_hosts_go_by_label_then_by_number_and_those_out_of_reach_last() -> None:
    hosts = {"web-10": {"ring": "1"}, "web-2": {"ring": "1"}, "db-1": {"ring": "0"}, "new": {}}
    assert ordered(hosts, RolloutPolicy(order="ring")) == ["new", "db-1", "web-2", "web-10"]
    assert ordered(hosts, RolloutPolicy(), ["db-1"]) == ["new", "web-2", "web-10", "db-1"]


@pytest.mark.parametrize(
    ("window", "when", "open_"),
    [
        (Window("night", "0 22 * * 1-5", 4 * 3600, "UTC"), "2026-11-23T21:59", False),
        (Window("night", "0 22 * * 1-5", 4 * 3600, "UTC"), "2026-11-23T22:00", True),
        (Window("night", "0 22 * * 1-5", 4 * 3600, "UTC"), "2026-11-24T01:59", True),  # over midnight
        (Window("night", "0 22 * * 1-5", 4 * 3600, "UTC"), "2026-11-24T02:00", False),
        (Window("night", "0 22 * * 1-5", 4 * 3600, "UTC"), "2026-11-22T23:00", False),  # a Sunday
        (Window("night", "0 22 * * *", 3600, "Europe/Berlin"), "2026-07-01T20:30", True),  # summer: two hours ahead
        (Window("night", "0 22 * * *", 3600, "Europe/Berlin"), "2026-12-01T20:30", False),
        (Window("night", "0 22 * * *", 3600, "Europe/Berlin"), "2026-12-01T21:30", True),
        (Window("early", "30 1 * * *", 7200, "Europe/Berlin"), "2026-10-25T01:20", True),  # the hour that comes twice
        (Window("early", "30 1 * * *", 7200, "Europe/Berlin"), "2026-10-25T01:31", False),
        (Window("gap", "30 2 * * *", 3600, "Europe/Berlin"), "2026-03-29T01:10", True),  # an hour that is not there
    ],
)
def test_windows_are_open_when_they_say_so(window: Window, when: str, open_: bool) -> None:
    at = datetime.fromisoformat(when).replace(tzinfo=UTC).timestamp()
    assert (closed([window], at) == "") is open_, closed([window], at)
    assert closed([], at) == ""


def test_a_closed_window_says_when_it_opens() -> None:
    at = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
    said = closed([Window("night", "0 22 * * *", 3600, "Europe/Berlin")], at)
    assert said == "outside of its windows; night opens 2026-11-23T22:00+01:00"
