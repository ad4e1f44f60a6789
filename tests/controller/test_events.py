"""Those who listen to events hear each once and in order, whenever they come, and cost what is new."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.controller.events import KEPT, Events
from fleet.controller.view import Event

pytestmark = pytest.mark.anyio


def events() -> Events:
    return Events(lambda: 0.0, lambda said: said)


async def heard(stream: AsyncIterator[Event], count: int) -> list[int]:
    async with asyncio.timeout(5):
        return [(await anext(stream)).number for _ in range(count)]


@given(st.integers(0, 40), st.integers(0, 60), st.integers(0, 20))
async def test_whoever_comes_hears_what_is_new_once_and_in_order(before: int, after: int, later: int) -> None:
    all_ = events()
    for _ in range(before):
        all_.put("x")
    start = 0 if after > before else after
    stream = all_.after(after)
    assert await heard(stream, before - start) == [*range(start + 1, before + 1)]
    for _ in range(later):
        all_.put("y")
    if before > start or after <= before:
        assert await heard(stream, later) == [*range(before + 1, before + later + 1)]


async def test_a_number_of_an_earlier_life_hides_nothing() -> None:
    """Before, who came back after a restart heard nothing until as much had happened again."""
    all_ = events()
    all_.put("x")
    assert await heard(all_.after(4000), 1) == [1]


async def test_what_is_no_longer_kept_is_passed_over() -> None:
    all_ = events()
    for _ in range(KEPT + 10):
        all_.put("x")
    assert await heard(all_.after(3), 2) == [11, 12]


class Counting(deque[Event]):
    """How many events were handed out."""

    looks = 0

    def __iter__(self) -> Iterator[Event]:
        for one in super().__iter__():
            Counting.looks += 1
            yield one

    def __reversed__(self) -> Iterator[Event]:
        for one in super().__reversed__():
            Counting.looks += 1
            yield one


async def test_a_reader_that_is_up_to_date_costs_one_look_for_each_event() -> None:
    """Before, each event cost every reader all five thousand that are kept: somebody who may only read could slow the
    controller down by reading often."""
    all_ = events()
    for _ in range(KEPT):
        all_.put("x")
    all_._kept = Counting(all_._kept, maxlen=KEPT)
    stream = all_.after(KEPT)
    Counting.looks = 0
    for _ in range(50):
        all_.put("y")
        await heard(stream, 1)
    assert Counting.looks <= 100
