"""Retention: what is too old is forgotten, a few times a day, by a clock that is not believed all it says.

A machine that wakes up in 2038 for a minute, before it hears what time it is, must not lose its record by that: since
the last that was written no more time has passed than this process has lived, as far as forgetting is concerned. Where
the controller was away for long, the old is kept for as much longer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from fleet.errors import HistoryError
from fleet.history import History

PAUSE = 6 * 3600.0  # seconds


@dataclass(frozen=True, slots=True)
class Clocks:
    """wall: Unix seconds; monotonic: seconds that never jump."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


async def forgetting(history: History, retention: Callable[[], float], clocks: Clocks, sooner: asyncio.Event) -> None:
    """Until cancelled. retention: seconds. sooner: set when it became another."""
    began, newest = clocks.monotonic(), None
    with suppress(HistoryError):
        newest = await history.newest()
    while True:
        sooner.clear()
        now = clocks.wall()
        if newest is not None:
            now = min(now, newest + clocks.monotonic() - began)
        with suppress(HistoryError):  # the next time, then
            await history.prune(now - retention())
        with suppress(TimeoutError):
            async with asyncio.timeout(PAUSE):
                await sooner.wait()
