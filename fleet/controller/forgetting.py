"""Retention: what is too old is forgotten, a few times a day, by a clock that is not believed all it says.

A machine that wakes up in 2038 for a minute, before it hears what time it is, must not lose its record by that: since
the last that was written no more time has passed than this process has lived, as far as forgetting is concerned. Where
the controller was away for long, the old is kept for as much longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from fleet.errors import HistoryError
from fleet.history import History

PAUSE = 6 * 3600.0  # seconds


async def forgetting(
    history: History, retention: float, wall: Callable[[], float], monotonic: Callable[[], float]
) -> None:
    """Until cancelled. retention: seconds. wall: Unix seconds; monotonic: seconds that never jump."""
    began, newest = monotonic(), None
    with suppress(HistoryError):
        newest = await history.newest()
    while True:
        now = wall()
        if newest is not None:
            now = min(now, newest + monotonic() - began)
        with suppress(HistoryError):  # the next time, then
            await history.prune(now - retention)
        await asyncio.sleep(PAUSE)
