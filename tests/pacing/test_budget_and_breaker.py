"""Retries stay a share of first tries in every minute; a breaker lets one through at a time, and only that decides."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fleet.pacing.backoff import Backoff
from fleet.pacing.breaker import Breaker
from fleet.pacing.budget import Budget

chances = st.floats(0, 1, exclude_max=True)


@given(st.lists(st.tuples(st.floats(0, 5), st.booleans()), max_size=300), st.integers(0, 5))
def test_no_minute_sees_more_retries_than_its_share(steps: list[tuple[float, bool]], least: int) -> None:
    budget, now = Budget(least=least), 0.0
    first: list[float] = []
    again: list[float] = []
    for pause, retry in steps:
        now += pause
        if not retry:
            budget.first(now)
            first.append(now)
        elif budget.again(now):
            again.append(now)
            known = [one for one in first if one > now - 60]
            assert len([one for one in again if one > now - 60]) <= max(least, len(known) * 0.1)


def test_what_was_long_ago_counts_no_more() -> None:
    budget = Budget(least=1)
    assert budget.again(0) and not budget.again(59.9) and budget.again(60.1)


def test_it_opens_after_so_many_failures_in_a_row_only() -> None:
    breaker = Breaker(failures=3)
    for _ in range(2):
        breaker.failed(0, 0)
    breaker.succeeded()
    for _ in range(2):
        breaker.failed(0, 0)
    assert breaker.state(0) == "closed"
    breaker.failed(0, 0)
    assert breaker.state(0) == "open"


@given(chances)
def test_after_its_rest_one_is_tried_and_that_one_decides(chance: float) -> None:
    breaker = Breaker(failures=1, rest=Backoff(base=10, cap=100))
    breaker.failed(0, chance)
    rest = breaker.wait(0)
    assert 5 <= rest <= 10 and breaker.wait(rest / 2) > 0
    assert breaker.state(rest) == "half open" and breaker.wait(rest) == 0
    breaker.begin(rest)
    assert breaker.wait(rest + 1) > 0, "a second one beside the first"
    breaker.failed(rest + 1, chance)
    assert 10 <= breaker.wait(rest + 1) <= 20, "the rest grows"
    later = rest + 1 + breaker.wait(rest + 1)
    breaker.begin(later)
    breaker.succeeded()
    assert breaker.state(later) == "closed" and breaker.wait(later) == 0


@given(st.lists(st.tuples(st.sampled_from(["begin", "good", "bad"]), st.floats(0, 50)), max_size=60), chances)
def test_it_never_forbids_for_ever(steps: list[tuple[str, float]], chance: float) -> None:
    breaker, now = Breaker(failures=2, rest=Backoff(base=1, cap=60)), 0.0
    for step, pause in steps:
        now += pause
        if step == "begin" and breaker.wait(now) == 0:
            breaker.begin(now)
        elif step == "good":
            breaker.succeeded()
        elif step == "bad":
            breaker.failed(now, chance)
        assert breaker.wait(now) <= 60
