"""When to try again. Pure: chance comes in as an argument, and waiting is the caller's.

Exponential back-off with full jitter: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """base: seconds before the second try, doubled for each further one, never above `cap`."""

    base: float = 0.5
    cap: float = 60.0

    def delay(self, attempt: int, chance: float) -> float:
        """Seconds to wait after the given failed attempt (from 1). chance in [0, 1) spreads it over the whole range."""
        return min(self.cap, self.base * 2.0 ** min(attempt - 1, 60)) * chance
