"""A flood of messages costs one look in each interval, and none that was asked for is lost."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fleet.web.throttle import Deliveries, Throttle

INTERVAL = 10.0
# Seconds that pass, and what happens then: somebody asks, or it is seen whether to look, or a look comes by itself.
STEPS = st.lists(st.tuples(st.sampled_from([0.0, 0.001, 1.0, 9.999, 10.0, 25.0]), st.sampled_from("adl")), max_size=200)


@given(STEPS)
def test_one_look_in_each_interval_and_none_is_lost(steps: list[tuple[float, str]]) -> None:
    throttle, now, looks, waiting = Throttle(INTERVAL), 100.0, [], False
    last = float("-inf")
    for pause, what in steps:
        now += pause
        if what == "a":
            assert throttle.ask(now) == max(now, last + INTERVAL)
            waiting = True
        elif what == "l":
            throttle.looked(now)
            last, waiting = now, False
        elif throttle.due(now):
            assert waiting and now >= last + INTERVAL
            looks.append(now)
            last, waiting = now, False
        else:
            assert not waiting or now < last + INTERVAL
    if waiting:
        assert throttle.due(throttle.ask(now))
    assert all(later - earlier >= INTERVAL for earlier, later in pairwise(looks))


def test_a_thousand_in_a_second() -> None:
    throttle, looks = Throttle(INTERVAL), 0
    for n in range(1000):
        throttle.ask(n / 1000)
        looks += throttle.due(n / 1000)
    assert looks == 1
    assert throttle.due(INTERVAL) and not throttle.due(2 * INTERVAL)


@given(st.lists(st.integers(0, 30), max_size=200))
def test_what_was_heard_lately_is_known(numbers: list[int]) -> None:
    heard: list[int] = []
    deliveries = Deliveries(8)
    for number in numbers:
        assert deliveries.known(str(number)) == (number in heard)
        heard = [*(one for one in heard if one != number), number][-8:]
