"""Durations: what people write is understood, and what is written back means the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.duration import LONGEST, seconds, spelt


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (0, 0), (30, 30), (1.5, 1.5), ("0", 0), ("45", 45), ("30s", 30), ("5m", 300), ("4h", 14400), ("1d", 86400),
        ("1h30m", 5400), ("90m", 5400), ("1.5h", 5400), ("0.25s", 0.25), ("1d2h3m4s", 93784),
    ],
)  # fmt: skip
def test_it_reads_what_people_write(said: object, found: float) -> None:
    assert seconds(said) == found


@pytest.mark.parametrize(
    "said",
    ["", "s", "5 m", "5x", "-5s", -1, True, None, [], "5s4m", "1h1h", "1e9", "٣s", "5S", ".5s", "{{ x }}",
     float("nan"), float("inf"), "367d", 1e12, "9" * 400],
)  # fmt: skip
def test_it_refuses_what_is_none(said: object) -> None:
    with pytest.raises(ValueError, match=r"30s|366d"):
        seconds(said)


@given(st.integers(0, int(LONGEST)) | st.integers(0, 10_000_000).map(lambda n: n / 1000))
def test_what_is_written_back_means_the_same(duration: float) -> None:
    assert seconds(spelt(duration)) == pytest.approx(duration, abs=0.001)
