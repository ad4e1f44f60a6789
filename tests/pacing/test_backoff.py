"""Back-off: bounded, growing, spread by chance over its whole range, and nothing else decides it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fleet.pacing.backoff import Backoff

CHANCE = st.floats(0, 1, exclude_max=True)


@given(st.integers(1, 10**6), CHANCE, st.floats(0.01, 10), st.floats(10, 1000))
def test_no_wait_is_longer_than_the_cap_or_negative(attempt: int, chance: float, base: float, cap: float) -> None:
    assert 0 <= Backoff(base, cap).delay(attempt, chance) <= cap


@given(st.integers(1, 100), CHANCE)
def test_waits_never_shrink_from_one_try_to_the_next(attempt: int, chance: float) -> None:
    backoff = Backoff()
    assert backoff.delay(attempt + 1, chance) >= backoff.delay(attempt, chance)


def test_waits_double_until_the_cap() -> None:
    backoff = Backoff(base=1, cap=10)
    assert [backoff.delay(n, 0.5) for n in range(1, 7)] == [0.5, 1, 2, 4, 5, 5]
    assert backoff.delay(3, 0.0) == 0
