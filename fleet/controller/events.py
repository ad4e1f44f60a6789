"""What happens, in order, for whoever listens: the last few thousand are kept, so that who was away can catch up."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from itertools import islice
from typing import Any

from fleet.controller.view import Event

KEPT = 5000


class Events:
    """wall: Unix seconds. mask: takes secrets out of what is said. log: writes a line of it; True: a detail. detailed:
    whether anybody wants details now, which cost a little for each look that finds nothing."""

    def __init__(
        self,
        wall: Callable[[], float],
        mask: Callable[[Any], Any],
        log: Callable[[Event, bool], None] = lambda event, detail: None,
        detailed: Callable[[], bool] = lambda: False,
    ) -> None:
        self._wall, self._mask, self._log, self.detailed = wall, mask, log, detailed
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._more = asyncio.Event()
        self._number = 0

    def put(self, type_: str, environment: str = "", host: str = "", **said: Any) -> None:
        self._number += 1
        event = Event(self._number, self._wall(), type_, environment, host, self._mask(said))
        self._kept.append(event)
        self._log(event, False)
        more, self._more = self._more, asyncio.Event()
        more.set()

    def detail(self, type_: str, environment: str = "", host: str = "", **said: Any) -> None:
        """For the log alone, and there for those who want everything."""
        self._log(Event(0, self._wall(), type_, environment, host, self._mask(said)), True)

    async def after(self, number: int) -> AsyncIterator[Event]:
        """Those with a higher number, as far as they are kept, then each as it happens. A number that was not reached
        yet is one of an earlier life: all are new to whoever says it."""
        if number > self._number:
            number = 0
        while True:
            more, new = self._more, min(self._number - number, len(self._kept))
            # From the end: who reads along pays for what is new, not for all that is kept.
            for one in [*islice(reversed(self._kept), new)][::-1]:
                yield one
                number = one.number
            if not new:
                await more.wait()
