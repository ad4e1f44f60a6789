"""Moments for people: Unix seconds in, "2026-11-23 01:20:05" (local time) or "3 minutes ago" out."""

from __future__ import annotations

from datetime import UTC, datetime

from fleet.cli.words import count

_STEPS = ((60, 1, "second"), (3600, 60, "minute"), (86400, 3600, "hour"), (float("inf"), 86400, "day"))


def moment(seconds: float) -> str:
    """Local time, to the second."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def iso(seconds: float | None) -> str | None:
    """For programs: UTC with a Z."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ago(then: float, now: float) -> str:
    """How long ago, in its largest unit; the clock may have moved, so never less than none."""
    passed = max(now - then, 0.0)
    for limit, unit, word in _STEPS:
        if passed < limit:
            return f"{count(int(passed // unit), word)} ago"
    raise AssertionError("the last limit is infinite")
