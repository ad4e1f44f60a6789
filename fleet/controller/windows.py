"""Change windows: whether changes may start at a moment, and when that may be otherwise. Pure: the time comes in.

A window opens when its cron line says so in its time zone, and stays open for so many seconds as they pass. What would
open in an hour that a clock leaps over opens at the end of the leap; of an hour that comes twice the first counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from fleet.model.rollout import Window

_SET_BACK = timedelta(hours=3)  # clocks are set back by less
_LINKS = 24  # windows that follow each other without a gap, before somebody had better ask again
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Opening:
    """open: changes may start. until: when to ask again (UTC), since it closes or opens then; None: never.

    windows: names of those that are open.
    """

    open: bool
    until: datetime | None = None
    windows: tuple[str, ...] = ()

    def wait(self, at: datetime) -> float | None:
        """Seconds from then."""
        return None if self.until is None else max((self.until - at).total_seconds(), 0.0)


def open_until(windows: Sequence[Window], at: datetime) -> Opening:
    """Without any window it is always open. `at` has a time zone."""
    if not windows:
        return Opening(True)
    at = at.astimezone(UTC)
    names = tuple(one.name for one in windows if _closes(one, at) is not None)
    if not names:
        return Opening(False, min((next_ for one in windows if (next_ := _opens(one, at)) is not None), default=None))
    end = at
    for _ in range(_LINKS):
        ends = [closing for one in windows if (closing := _closes(one, end)) is not None]
        if not ends:
            break
        end = max(ends)
    return Opening(True, end, names)


def _closes(window: Window, at: datetime) -> datetime | None:
    """When it closes, if it is open then: its last start counts, since all are open equally long."""
    zone = ZoneInfo(window.timezone)
    # The line is read by the wall clock. If that was set back a while ago, a start of before may seem yet to come.
    after = _SET_BACK if at.astimezone(zone).utcoffset() != (at - _SET_BACK).astimezone(zone).utcoffset() else _SECOND
    for start in CronSim(window.cron, (_floor(at) + after).astimezone(zone), reverse=True):
        if (began := start.astimezone(UTC)) <= at:
            end = began + timedelta(seconds=window.duration)
            return end if at < end else None
    return None


def _opens(window: Window, at: datetime) -> datetime | None:
    """Its next start after then."""
    starts = CronSim(window.cron, _floor(at).astimezone(ZoneInfo(window.timezone)))
    return next((began for start in starts if (began := start.astimezone(UTC)) > at), None)


def _floor(at: datetime) -> datetime:
    return at.replace(microsecond=0)
