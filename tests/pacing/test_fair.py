"""Flows take turns; within a flow the first that came is the first that goes; nobody is lost or served twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.pacing.fair import Fair


@given(st.lists(st.sampled_from("abc"), max_size=40))
def test_everybody_is_served_once_and_in_order(flows: list[str]) -> None:
    fair: Fair[tuple[str, int]] = Fair()
    for number, flow in enumerate(flows):
        fair.put(flow, (flow, number))
    served = [fair.take() for _ in flows]
    assert sorted(served) == sorted((flow, number) for number, flow in enumerate(flows))
    for flow in "abc":
        own = [number for name, number in served if name == flow]
        assert own == sorted(own)


@given(st.integers(1, 50), st.integers(1, 5))
def test_a_long_line_delays_a_short_one_by_one_turn_each(many: int, few: int) -> None:
    fair: Fair[str] = Fair()
    for _ in range(many):
        fair.put("dev", "dev")
    for _ in range(few):
        fair.put("production", "production")
    served = [fair.take() for _ in range(many + few)]
    assert len(served[: 2 * few]) >= few and served[: 2 * few].count("production") >= min(few, len(served) // 2)


def test_who_left_is_not_served() -> None:
    fair: Fair[int] = Fair()
    fair.put("a", 1)
    fair.put("b", 2)
    fair.discard("a", 1)
    fair.discard("a", 7)
    assert (len(fair), fair.take()) == (1, 2)
    with pytest.raises(LookupError):
        fair.take()
