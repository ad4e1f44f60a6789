"""Rollouts for tests: policies, verdicts, and one played to its end."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from fleet.controller.rollout import Rollout
from fleet.model.change import Verdict
from fleet.model.rollout import RolloutPolicy, Share

GOOD = (Verdict.IN_SYNC, Verdict.CHANGED, Verdict.WAITING, Verdict.DRIFTED)
BAD = (Verdict.FAILED, Verdict.CONFLICT, Verdict.UNKNOWN)
ALL = Share(100, percent=True)

shares = st.builds(Share, st.integers(0, 5)) | st.builds(Share, st.integers(0, 100), st.just(True))
waves = st.lists(st.builds(Share, st.integers(1, 40), st.booleans()), max_size=3).map(lambda some: (*some, ALL))
seconds = st.integers(0, 60).map(float)
policies = st.builds(RolloutPolicy, waves, shares, shares, seconds, seconds)


def names(count: int) -> list[str]:
    return [f"web-{number}" for number in range(1, count + 1)]


def rollout(policy: RolloutPolicy, count: int, total: int = 0) -> Rollout:
    return Rollout(policy, names(count), total or count, "a" * 40)


def play(one: Rollout, verdict: Callable[[str], Verdict], now: float = 0.0) -> float:
    """Each host once, first come first, until it is done or stopped; the time then."""
    while one.state not in ("done", "stopped"):
        for name in one.startable(now):
            one.started(name)
        if one.under_way():
            name = one.under_way()[0]
            one.finished(name, verdict(name), now)
        elif (wait := one.wait(now)) is not None:
            now += wait
        else:
            assert one.state in ("done", "stopped"), "nothing would ever happen"
    return now
