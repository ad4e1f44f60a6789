"""Whether it is worth trying at all: after so many failures in a row nothing is tried for a while, then one, and what
becomes of it decides. See M. Nygard, Release It!, "Circuit Breaker"."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from fleet.pacing.backoff import Backoff

State = Literal["closed", "open", "half open"]


@dataclass(slots=True)
class Breaker:
    """failures: in a row, that open it. rest: how long it stays open, longer each time the one try fails too."""

    failures: int = 5
    rest: Backoff = field(default_factory=lambda: Backoff(base=10.0, cap=300.0))
    _row: int = 0
    _opened: int = 0
    _until: float = float("-inf")
    _trying: bool = False

    def state(self, now: float) -> State:
        if not self._opened:
            return "closed"
        return "open" if now < self._until else "half open"

    def wait(self, now: float) -> float:
        """Seconds until one may be tried; 0: now. While the one try of a half open breaker is out, no other may: the
        rest once more."""
        if not self._opened:
            return 0.0
        if now >= self._until:
            return self.rest.base if self._trying else 0.0
        return self._until - now

    def begin(self, now: float) -> None:
        """One is tried now, after `wait` said 0."""
        self._trying = self.state(now) == "half open"

    def released(self) -> None:
        """The one try ended, and said nothing of whether it is worth it: another may be made."""
        self._trying = False

    def succeeded(self) -> None:
        self._row = self._opened = 0
        self._trying = False

    def failed(self, now: float, chance: float) -> None:
        """chance in [0, 1) spreads the rest over its upper half: many of us must not come back together."""
        self._row += 1
        if self._trying or (not self._opened and self._row >= self.failures):
            self._opened += 1
            self._until = now + self.rest.delay(self._opened, 0.5 + chance / 2)
        self._trying = False
