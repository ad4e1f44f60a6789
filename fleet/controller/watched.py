"""Breakers that open and close, as events. None is open for less than five seconds: a look every two misses none."""

from __future__ import annotations

from collections.abc import Mapping

from fleet.controller.events import Events

NAMED = 20  # events of one look at most: in a network that is down each device is one


class Watched:
    def __init__(self, events: Events) -> None:
        self._events = events
        self._open: set[str] = set()

    def tell(self, breakers: Mapping[str, str]) -> None:
        """breakers: those that are not closed, by name. From open to half open and back is no news."""
        for state, names in (("open", breakers.keys() - self._open), ("closed", self._open - breakers.keys())):
            for name in sorted(names)[:NAMED]:
                self._events.put("breaker", target=name, state=state)
            if len(names) > NAMED:
                self._events.put("breaker", target=f"{len(names) - NAMED} more", state=state)
        self._open = set(breakers)
