"""So many a second on average, so many at once at most: a token bucket, counted as the generic cell rate algorithm does
(ITU-T I.371, annex A), which keeps one number and never drifts."""

from __future__ import annotations

from dataclasses import dataclass

# Of the time between two starts: what a late one does not lose.
LATE = 0.25


@dataclass(slots=True)
class Bucket:
    """rate: starts a second, 0 for no limit. burst: starts that may come at once after a rest, at least 1.

    Times are seconds of one clock that never goes back. In any span of S seconds at most burst + LATE + rate * S may
    start: who was waited for a little too long, as timers do, does not make all who follow late.
    """

    rate: float
    burst: float = 1.0
    _next: float = float("-inf")  # when the next would be due, had all come evenly
    _held: float = float("-inf")

    def wait(self, now: float) -> float:
        """Seconds until one may start; 0: now."""
        earliest = self._held
        if self.rate > 0:
            earliest = max(earliest, self._next - (self.burst - 1) / self.rate)
        return max(earliest - now, 0.0)

    def take(self, now: float) -> None:
        """One starts now, after `wait` said 0."""
        if self.rate > 0:
            late = now - self._next > LATE / self.rate
            self._next = (now if late else self._next) + 1 / self.rate

    def hold(self, until: float) -> None:
        """Nothing starts before that time. A hold is never shortened."""
        self._held = max(self._held, until)
