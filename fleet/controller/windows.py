"""Whether changes may begin now. Pure: the time is the caller's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from fleet.model.rollout import Window


def closed(windows: Sequence[Window], wall: float) -> str:
    """ "" when one of them is open, or there are none; else when the next one opens, in words."""
    if not windows:
        return ""
    at = datetime.fromtimestamp(wall, UTC)
    if any(is_open(one, at) for one in windows):
        return ""
    soonest = min((opens(one, at), one.name) for one in windows)
    return f"outside of its windows; {soonest[1]} opens {soonest[0].isoformat(timespec='minutes')}"


def is_open(window: Window, at: datetime) -> bool:
    """From a time that cron names for so many seconds, whatever clocks do meanwhile."""
    began = next(CronSim(window.cron, at.astimezone(ZoneInfo(window.timezone)) + timedelta(minutes=1), reverse=True))
    while began > at:
        began = next(CronSim(window.cron, began, reverse=True))
    return at.timestamp() < began.timestamp() + window.duration


def opens(window: Window, at: datetime) -> datetime:
    """The next time that cron names."""
    return next(CronSim(window.cron, at.astimezone(ZoneInfo(window.timezone))))
