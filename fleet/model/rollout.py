"""What an environment says of how and when its hosts are changed: waves, budgets, change windows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """So many hosts, or so many of a hundred."""

    number: int
    percent: bool = False

    def of(self, total: int) -> int:
        """Hosts out of `total`, rounded down. A share above 0 % is one host at least, so that it means something in a
        small environment."""
        if not self.percent:
            return self.number
        return max(total * self.number // 100, 1) if self.number else 0

    def __str__(self) -> str:
        return f"{self.number}%" if self.percent else str(self.number)


@dataclass(frozen=True, slots=True)
class RolloutPolicy:
    """How a revision comes to an environment's hosts.

    waves: how many of the hosts that it changes have it after each wave; the last is all of them. max_failed and
    max_unreachable: of the environment's hosts so many may fail, or not be reached; one more stops it. stable_for:
    seconds that a wave must stay right before the next; pause: seconds beyond that. order: the label by whose value
    hosts take their turn, "" by name. approval: no host has a revision before a person has approved it.
    """

    waves: tuple[Share, ...] = (Share(1), Share(10, percent=True), Share(100, percent=True))
    max_failed: Share = Share(2, percent=True)
    max_unreachable: Share = Share(10, percent=True)
    pause: float = 0.0
    stable_for: float = 0.0
    order: str = ""
    approval: bool = False

    def sizes(self, hosts: int) -> tuple[int, ...]:
        """Hosts that may have the revision in each wave, growing; a wave that would add none is none."""
        found: list[int] = []
        for share in self.waves:
            size = min(share.of(hosts), hosts)
            if size > (found[-1] if found else 0):
                found.append(size)
        if hosts and (not found or found[-1] < hosts):
            found.append(hosts)
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which changes may start. cron: when it opens, in that time zone; duration: seconds that it stays so, as
    they pass: where clocks change meanwhile, it ends an hour earlier or later by the wall."""

    name: str
    cron: str
    duration: float
    timezone: str = "UTC"


SWEEP = 60.0  # seconds between two looks at a host, unless said
