"""How an environment moves to a new revision, and when changes may begin there. Values only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of hosts, or a share of them in percent."""

    number: float
    percent: bool = False

    def of(self, total: int) -> int:
        """Rounded down."""
        return int(total * self.number / 100) if self.percent else int(self.number)

    def __str__(self) -> str:
        return f"{self.number:g}{'%' if self.percent else ''}"


@dataclass(frozen=True, slots=True)
class RolloutPolicy:
    """waves: how many hosts have the new revision after each, of those that it changes; the last is always all of them.

    max_failed: that may fail, a share being of those begun, so that the first one to fail among few stops it.
    max_unreachable: that may be out of reach, a share being of all hosts of the environment, at least one. Over either
    it stops. pause: seconds between two waves. stable_for: seconds that a wave must have stayed well. order: a label;
    hosts go by its value, then by name.
    """

    waves: tuple[Amount, ...] = (Amount(1), Amount(10, True), Amount(100, True))
    max_failed: Amount = Amount(2, True)
    max_unreachable: Amount = Amount(10, True)
    pause: float = 0.0
    stable_for: float = 0.0
    order: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """Changes may begin from each time that cron names (5 fields, crontab(5)), in that time zone (IANA), for so many
    seconds."""

    name: str
    cron: str
    duration: float
    timezone: str = "UTC"
