"""How often a message from outside may cost anything: which were heard before, and when the next look may be. Pure."""

from __future__ import annotations

from collections import OrderedDict


class Deliveries:
    """The marks of the messages that were heard last. limit: how many; beyond it the oldest are forgotten."""

    def __init__(self, limit: int = 1024) -> None:
        self._limit = limit
        self._heard: OrderedDict[str, None] = OrderedDict()

    def known(self, mark: str) -> bool:
        """Whether it was heard before; from now on it was."""
        if mark in self._heard:
            self._heard.move_to_end(mark)
            return True
        self._heard[mark] = None
        if len(self._heard) > self._limit:
            self._heard.popitem(last=False)
        return False


class Throttle:
    """At most one look in each `interval` of seconds, however many ask; and each that asks is followed by one. Times
    are of any clock that does not go back."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._next = float("-inf")
        self._asked = False

    def ask(self, now: float) -> float:
        """When the look that is asked for may be: now, or later."""
        self._asked = True
        return max(now, self._next)

    def due(self, now: float) -> bool:
        """Whether to look at this moment. If so, that is the look: what is asked from now on waits for another."""
        if not self._asked or now < self._next:
            return False
        self.looked(now)
        return True

    def looked(self, now: float) -> None:
        """A look begins, for whatever reason: it answers all that asked until now."""
        self._asked = False
        self._next = now + self._interval
