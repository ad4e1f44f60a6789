"""Token buckets keep their rate in every span of time, use what they may, and are never early."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.pacing.bucket import LATE, Bucket

rates = st.floats(0.1, 1000)
bursts = st.integers(1, 50)


def starts(bucket: Bucket, arrivals: list[float], holds: dict[int, float]) -> list[float]:
    """When each of these begins, in order, on a clock that stands still while nobody waits."""
    now, found = 0.0, []
    for number, arrival in enumerate(arrivals):
        now = max(now, arrival)
        if number in holds:
            bucket.hold(now + holds[number])
        while (pause := bucket.wait(now)) > 0:
            now += pause
        bucket.take(now)
        found.append(now)
    return found


@given(rates, bursts, st.lists(st.floats(0, 100), min_size=1, max_size=60).map(sorted))
def test_no_span_of_time_sees_more_than_rate_and_burst(rate: float, burst: int, arrivals: list[float]) -> None:
    found = starts(Bucket(rate, burst), arrivals, {})
    for first in range(len(found)):
        for last in range(first, len(found)):
            assert last - first + 1 <= burst + LATE + rate * (found[last] - found[first]) + 1e-6


@given(rates, bursts, st.integers(1, 60))
def test_whoever_always_has_work_loses_nothing(rate: float, burst: int, count: int) -> None:
    found = starts(Bucket(rate, burst), [0.0] * count, {})
    assert found[-1] == pytest.approx(max(count - burst, 0) / rate, abs=1e-6)


@given(rates, bursts, st.floats(0.1, 1000), st.integers(0, 20))
def test_nothing_begins_before_what_was_asked_for(rate: float, burst: int, pause: float, at: int) -> None:
    found = starts(Bucket(rate, burst), [0.0] * 30, {at: pause})
    before = found[at - 1] if at else 0.0
    assert all(one >= before + pause - 1e-6 for one in found[at:])


def test_a_hold_is_never_shortened() -> None:
    bucket = Bucket(0)
    bucket.hold(10)
    bucket.hold(5)
    assert (bucket.wait(0), bucket.wait(9), bucket.wait(10)) == (10, 1, 0)


def test_no_rate_is_no_limit() -> None:
    assert starts(Bucket(0), [0.0] * 5, {}) == [0.0] * 5


@given(rates, st.lists(st.floats(0, 0.9), min_size=1, max_size=60))
def test_timers_that_are_a_little_late_lose_nothing(rate: float, lateness: list[float]) -> None:
    """Each start comes so much of LATE after it was due; the first sets the beat."""
    bucket, now = Bucket(rate), 0.0
    for late in lateness:
        now += bucket.wait(now) + late * LATE / rate
        bucket.take(now)
    assert now <= (len(lateness) - 1 + 2 * LATE) / rate + 1e-6
