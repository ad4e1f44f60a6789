"""Retries as a share of first tries, so that a service in trouble is not buried by those who want to help themselves:
https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/, "retries are selfish"."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Budget:
    """share: retries per first try, over the last `window` seconds. least: retries that a window allows in any case, so
    that a few hosts are not left without any."""

    share: float = 0.1
    window: float = 60.0
    least: int = 3
    _first: deque[float] = field(default_factory=deque)
    _again: deque[float] = field(default_factory=deque)

    def first(self, now: float) -> None:
        """A first try begins."""
        self._first.append(now)
        self._forget(now)

    def again(self, now: float) -> bool:
        """Whether a retry may begin; then it counts as begun."""
        self._forget(now)
        if len(self._again) >= max(self.least, int(self.share * len(self._first))):
            return False
        self._again.append(now)
        return True

    def _forget(self, now: float) -> None:
        for times in (self._first, self._again):
            while times and times[0] <= now - self.window:
                times.popleft()
