"""Who may ask one API now: so many at once, so many a second, one environment after the other, nobody while it is down.

One gate for each API, shared by all environments that use it. Clock and timer come in as arguments.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fleet.pacing.breaker import Breaker
from fleet.pacing.bucket import Bucket
from fleet.pacing.budget import Budget
from fleet.pacing.fair import Fair

# (seconds, what to do then): a handle with `cancel`.
Later = Callable[[float, Callable[[], None]], Any]


@dataclass(frozen=True, slots=True)
class Clock:
    """now: seconds that never go back. later: calls back after so many. wall: seconds since 1970, for dates."""

    now: Callable[[], float]
    later: Later
    wall: Callable[[], float]


class Gate:
    """rate, burst, concurrency: of the API, 0 for no limit. Everything that one API needs to be left in peace."""

    def __init__(self, clock: Clock, rate: float = 0, burst: float = 1, concurrency: int = 0) -> None:
        self.clock = clock
        self.bucket, self.breaker, self.budget = Bucket(rate, burst), Breaker(), Budget()
        self._concurrency = concurrency
        self._running = 0
        self._waiting: Fair[asyncio.Future[None]] = Fair()
        self._timer: Any = None

    @asynccontextmanager
    async def turn(self, flow: str) -> AsyncIterator[float]:
        """The caller's turn, until the block ends; gives the seconds that it waited. flow: the environment."""
        began = self.clock.now()
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.put(flow, place)
        self._next()
        try:
            await place
        except asyncio.CancelledError:
            self._waiting.discard(flow, place)
            if place.done() and not place.cancelled():  # it was our turn already
                self._leave()
            raise
        try:
            yield self.clock.now() - began
        finally:
            self._leave()

    def hold(self, seconds: float) -> None:
        """Nobody asks for so long: the server said so."""
        self.bucket.hold(self.clock.now() + seconds)

    def _leave(self) -> None:
        self._running -= 1
        self._next()

    def _next(self) -> None:
        """Let in whoever may; for the others a timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while len(self._waiting) and not (self._concurrency and self._running >= self._concurrency):
            now = self.clock.now()
            pause = max(self.bucket.wait(now), self.breaker.wait(now))
            if pause > 0:
                self._timer = self.clock.later(pause, self._next)
                return
            place = self._waiting.take()
            if place.done():
                continue
            self.bucket.take(now)
            self.breaker.begin(now)
            self._running += 1
            place.set_result(None)
