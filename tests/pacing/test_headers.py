"""Every way in which servers say when to come back."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.pacing.headers import LONGEST, wait

NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": format_datetime(datetime.fromtimestamp(NOW + 90, UTC), usegmt=True)}, 90),
        ({"retry-after": format_datetime(datetime.fromtimestamp(NOW - 90, UTC), usegmt=True)}, 0),
        ({"retry-after": "soon"}, 0),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "inf"}, 0),
        ({"retry-after": "99999999999"}, LONGEST),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "30"}, 30),
        ({"ratelimit-remaining": "1", "ratelimit-reset": "30"}, 0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "12"}, 12),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(NOW + 12)}, 12),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str((NOW + 12) * 1000)}, 12),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "who knows"}, 0),
        ({"ratelimit": '"default";r=0;t=30'}, 30),
        ({"ratelimit": '"burst";r=5;t=1, "daily"; r=0; t=400'}, 400),
        ({"ratelimit": '"default";r=3;t=30'}, 0),
        ({"retry-after": "5", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "60"}, 60),
    ],
)
def test_what_is_said_is_obeyed(headers: dict[str, str], seconds: float) -> None:
    assert wait(headers, NOW) == pytest.approx(seconds)


@given(
    st.dictionaries(st.sampled_from(["retry-after", "ratelimit", "ratelimit-remaining", "ratelimit-reset"]), st.text())
)
def test_whatever_a_server_says_is_a_bounded_time(headers: dict[str, str]) -> None:
    assert 0 <= wait(headers, NOW) <= LONGEST
