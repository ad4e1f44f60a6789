"""Whose turn it is: so many at once, so many a second, one environment after the other, nobody while all of it is down.

One gate for each API and one for all SSH handshakes, shared by all environments that use it. Clock, timer and chance
come in as arguments.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
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


def real_clock() -> Clock:
    """The machine's."""
    return Clock(time.monotonic, lambda s, do: asyncio.get_running_loop().call_later(s, do), time.time)


@dataclass(slots=True)
class _Share:
    """What one environment may, 0 for no limit."""

    bucket: Bucket = field(default_factory=lambda: Bucket(0))
    concurrency: int = 0
    running: int = 0

    def full(self) -> bool:
        return bool(self.concurrency) and self.running >= self.concurrency


class Gate:
    """Everything that a server needs to be left in peace. Each environment keeps what it was given by `join`; all of
    them together keep the largest of these. chance: a number in [0, 1) for jitter.

    at_once: of all environments together, instead of the largest. Of these no environment has the last quarter while
    there are others: a thousand of its hosts that do not answer keep nobody else out.
    """

    def __init__(self, clock: Clock, chance: Callable[[], float], at_once: int = 0) -> None:
        self.clock, self.chance = clock, chance
        self._at_once = at_once
        self.breaker, self.budget = Breaker(), Budget()
        self._all = _Share()
        self._shares: dict[str, _Share] = {}
        self._waiting: Fair[asyncio.Future[None]] = Fair()
        self._timer: Any = None
        self._trial: asyncio.Future[None] | None = None  # whose turn is the one try of a half open breaker
        self.asked = clock.now()  # when somebody last wanted a turn

    def join(self, environment: str, rate: float = 0, burst: float = 1, concurrency: int = 0) -> None:
        """What an environment may: starts a second, starts at once after a rest, requests at a time; 0: no limit. Said
        twice, the less of both."""
        share = self._shares.setdefault(environment, _Share(Bucket(rate, burst), concurrency))
        share.bucket.rate = _less(share.bucket.rate, rate)
        share.bucket.burst = min(share.bucket.burst, burst)
        share.concurrency = int(_less(share.concurrency, concurrency))
        shares = self._shares.values()
        buckets, most = [one.bucket for one in shares], [one.concurrency for one in shares]
        self._all.bucket.rate = max(one.rate for one in buckets) if all(one.rate for one in buckets) else 0
        self._all.bucket.burst = max(one.burst for one in buckets)
        self._all.concurrency = self._at_once or (max(most) if all(most) else 0)

    @asynccontextmanager
    async def turn(self, environment: str) -> AsyncIterator[float]:
        """The caller's turn, until the block ends; gives the seconds that it waited."""
        began = self.asked = self.clock.now()
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.put(environment, place)
        self._next()
        try:
            await place
        except asyncio.CancelledError:
            self._waiting.discard(environment, place)
            if place.done() and not place.cancelled():  # it was our turn already
                self._end(place, environment)
            raise
        try:
            yield self.clock.now() - began
        finally:
            self._end(place, environment)

    def failed(self) -> None:
        """The API did not do what it is there for."""
        self.breaker.failed(self.clock.now(), self.chance())

    def hold(self, seconds: float) -> None:
        """Nobody asks for so long: the server said so."""
        self._all.bucket.hold(self.clock.now() + seconds)

    def _end(self, place: asyncio.Future[None], environment: str) -> None:
        """A try that was cut, or came to nothing before the API was asked, must not keep all others out for ever."""
        if self._trial is place:
            self._trial = None
            self.breaker.released()
        self._leave(environment)

    def _leave(self, environment: str) -> None:
        self._all.running -= 1
        self._share(environment).running -= 1
        self._next()

    def _may(self, share: _Share) -> bool:
        if share.full():
            return False
        shared = self._at_once and len(self._shares) > 1
        return not shared or share.running < self._at_once - self._at_once // 4

    def _share(self, environment: str) -> _Share:
        return self._shares.setdefault(environment, _Share())

    def _next(self) -> None:
        """Let in whoever may; for the others a timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while len(self._waiting) and not self._all.full():
            now = self.clock.now()
            common = max(self._all.bucket.wait(now), self.breaker.wait(now))
            open_ = [flow for flow in self._waiting.flows() if self._may(self._share(str(flow)))]
            if not open_:
                return
            pauses = {flow: max(common, self._share(str(flow)).bucket.wait(now)) for flow in open_}
            flow = min(open_, key=lambda one: pauses[one])  # the first in line among those who may soonest
            if pauses[flow] > 0:
                self._timer = self.clock.later(pauses[flow], self._next)
                return
            self._enter(str(flow), now)

    def _enter(self, environment: str, now: float) -> None:
        place = self._waiting.take(environment)
        if place.done():
            return
        share = self._share(environment)
        for one in (self._all, share):
            one.bucket.take(now)
            one.running += 1
        self.breaker.begin(now)
        if self.breaker.state(now) == "half open":
            self._trial = place
        place.set_result(None)


def _less(one: float, other: float) -> float:
    """0 is no limit."""
    return min(one, other) if one and other else one or other
