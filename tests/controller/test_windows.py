"""Windows open and close when people would say so, through nights in which clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from fleet.controller.windows import Opening, open_until
from fleet.model.rollout import Window

NIGHT = Window("night", "0 22 * * 1-5", 4 * 3600, "Europe/Berlin")
SMALL = Window("small", "30 2 * * *", 3600, "Europe/Berlin")  # opens in the hour that is leapt over, or comes twice
LATE = Window("late", "0 1 * * *", 4 * 3600, "Europe/Berlin")  # the change is in the middle of it
HOURLY = Window("hourly", "15 * * * *", 600, "Europe/Berlin")
CASES = [
    # what it shows, windows, at (UTC), open, until (UTC)
    ("before it opens", [NIGHT], "2024-06-03 19:59", False, "2024-06-03 20:00"),
    ("the moment it opens", [NIGHT], "2024-06-03 20:00", True, "2024-06-04 00:00"),
    ("over midnight", [NIGHT], "2024-06-03 23:59", True, "2024-06-04 00:00"),
    ("the moment it closes", [NIGHT], "2024-06-04 00:00", False, "2024-06-04 20:00"),
    ("Friday's reaches into Saturday", [NIGHT], "2024-06-07 23:00", True, "2024-06-08 00:00"),
    ("not at the weekend", [NIGHT], "2024-06-08 21:00", False, "2024-06-10 20:00"),
    ("in winter an hour later by UTC", [NIGHT], "2024-12-02 20:30", False, "2024-12-02 21:00"),
    ("two that overlap", [NIGHT, Window("b", "0 23 * * *", 7200)], "2024-06-03 21:00", True, "2024-06-04 01:00"),
    ("two that touch are one", [NIGHT, Window("b", "0 0 * * *", 3600)], "2024-06-03 21:00", True, "2024-06-04 01:00"),
    ("the next of two", [NIGHT, Window("b", "0 12 * * *", 3600)], "2024-06-03 05:00", False, "2024-06-03 12:00"),
    ("two starts of one", [Window("x", "0 5,6 * * *", 7200)], "2024-06-03 05:30", True, "2024-06-03 08:00"),
    ("a leap year's day", [Window("x", "0 0 29 2 *", 3600)], "2024-03-01 00:00", False, "2028-02-29 00:00"),
    # Spring: at 01:00 UTC clocks go from 02:00 to 03:00.
    ("leapt over, so at the end of the leap", [SMALL], "2024-03-31 00:59", False, "2024-03-31 01:00"),
    ("and as long as ever", [SMALL], "2024-03-31 01:59", True, "2024-03-31 02:00"),
    ("not twice", [SMALL], "2024-03-31 02:00", False, "2024-04-01 00:30"),
    ("four hours as they pass, in spring", [LATE], "2024-03-31 03:59", True, "2024-03-31 04:00"),
    ("each hour that there is, in spring", [HOURLY], "2024-03-31 00:30", False, "2024-03-31 01:15"),
    # Autumn: at 01:00 UTC clocks go from 03:00 back to 02:00.
    ("the first of two hours", [SMALL], "2024-10-27 00:29", False, "2024-10-27 00:30"),
    ("while clocks are set back", [SMALL], "2024-10-27 01:05", True, "2024-10-27 01:30"),
    ("not in the second of two hours", [SMALL], "2024-10-27 01:30", False, "2024-10-28 01:30"),
    ("in the second of two hours, tomorrow's", [Window("x", "30 2 * * *", 600, "Europe/Berlin")],
     "2024-10-27 01:05", False, "2024-10-28 01:30"),
    ("four hours as they pass, in autumn", [LATE], "2024-10-27 02:59", True, "2024-10-27 03:00"),
    ("both of two hours, for what is hourly", [HOURLY], "2024-10-27 01:20", True, "2024-10-27 01:25"),
    ("before the second of two hours", [HOURLY], "2024-10-27 00:30", False, "2024-10-27 01:15"),
    ("half an hour on Lord Howe", [Window("x", "45 1 * * *", 3600, "Australia/Lord_Howe")],
     "2024-04-06 15:20", True, "2024-04-06 15:45"),
]  # fmt: skip


@pytest.mark.parametrize(("windows", "at", "open_", "until"), [pytest.param(*c[1:], id=c[0]) for c in CASES])
def test_open_or_not_and_until_when(windows: list[Window], at: str, open_: bool, until: str) -> None:
    found = open_until(windows, _utc(at))
    assert (found.open, found.until) == (open_, _utc(until))


def test_without_windows_it_is_always_open() -> None:
    assert open_until([], _utc("2024-06-03 20:00")) == Opening(True)
    assert Opening(True).wait(_utc("2024-06-03 20:00")) is None


def test_it_says_which_are_open_and_how_long_to_wait() -> None:
    at = _utc("2024-06-03 19:59")
    assert open_until([NIGHT], at).wait(at) == 60.0
    assert open_until([NIGHT], at.astimezone(ZoneInfo("Asia/Tokyo"))).wait(at) == 60.0
    other = Window("other", "0 20 * * *", 7200)
    assert open_until([NIGHT, SMALL, other], at + timedelta(minutes=1, microseconds=1)).windows == ("night", "other")


def test_windows_without_a_gap_are_asked_again_some_day() -> None:
    always = Window("always", "* * * * *", 60)
    at = _utc("2024-06-03 20:00")
    found = open_until([always], at)
    assert found.open and found.until is not None and found.until > at


zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago"])
crons = st.one_of(
    st.builds("{} {} * * *".format, st.integers(0, 59), st.integers(0, 23)),
    st.builds("{} {} * * {}".format, st.integers(0, 59), st.integers(0, 4), st.sampled_from(["0", "1-5", "6,0"])),
    st.sampled_from(["*/20 * * * *", "30 */2 * * *", "5 0-4 * * *", "* 2 * * *"]),
)
windows_ = st.builds(Window, st.just("w"), crons, st.integers(60, 100_000).map(float), zones)
# Around days on which some of these zones change their clocks.
days = st.sampled_from(
    ["2024-03-10", "2024-03-31", "2024-10-27", "2024-11-03", "2024-04-06", "2024-09-08", "2024-10-05"]
)
moments = st.builds(
    lambda day, seconds: _utc(f"{day} 00:00") + timedelta(seconds=seconds), days, st.integers(-90_000, 180_000)
)


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _open(window: Window, at: datetime) -> bool:
    """Counted forward from long before, start by start."""
    duration = timedelta(seconds=window.duration)
    for start in CronSim(window.cron, (at - duration - timedelta(days=1)).astimezone(ZoneInfo(window.timezone))):
        if start.astimezone(UTC) > at:
            return False
        if at < start.astimezone(UTC) + duration:
            return True
    return False


@given(st.lists(windows_, min_size=1, max_size=3), moments)
def test_it_is_open_when_some_start_was_not_too_long_ago(windows: list[Window], at: datetime) -> None:
    assert open_until(windows, at).open == any(_open(one, at) for one in windows)


@given(st.lists(windows_, min_size=1, max_size=3), moments, st.floats(0, 0.999))
def test_nothing_changes_before_it_says(windows: list[Window], at: datetime, part: float) -> None:
    found = open_until(windows, at)
    assert found.until is not None and found.until > at
    between = at + (found.until - at) * part
    assert open_until(windows, between).open == found.open
    if not found.open:
        assert open_until(windows, found.until).open
