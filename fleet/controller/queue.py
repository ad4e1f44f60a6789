"""Whose turn it is: host names, never events. The pass reads the world again, so saying a thing once is enough.

A host stands here at most once. Asked for twice, the earlier time and the more urgent reason hold. Asked for while a
pass over it is under way, it is remembered and comes back when that ends. Pure: the clock is the caller's.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import IntEnum

from fleet.pacing.fair import Fair

HostKey = tuple[str, str]  # environment, name


class Priority(IntEnum):
    """The lower the sooner, among those that are due."""

    ASKED = 0  # by a person
    REVISION = 1
    RETRY = 2
    SWEEP = 3


@dataclass(frozen=True, slots=True)
class Turn:
    """A host that is to be looked at. due: seconds of the caller's clock. reason: for people."""

    key: HostKey
    due: float
    priority: Priority = Priority.SWEEP
    reason: str = ""

    def joined(self, other: Turn) -> Turn:
        """Both at once."""
        first = min(self, other, key=lambda one: (one.priority, one.due))
        return replace(first, due=min(self.due, other.due))


class Workqueue:
    """Turns that wait, that are due, and hosts under way."""

    def __init__(self) -> None:
        self._turns: dict[HostKey, Turn] = {}  # waiting or due
        self._times: list[tuple[float, HostKey]] = []  # entries that no turn agrees with any more are stale
        self._due: dict[Priority, Fair[HostKey]] = {one: Fair() for one in Priority}
        self._standing: set[HostKey] = set()  # in one of these lines
        self._busy: dict[HostKey, Turn | None] = {}

    def __len__(self) -> int:
        return len(self._turns)

    def add(self, turn: Turn) -> None:
        if turn.key in self._busy:
            later = self._busy[turn.key]
            self._busy[turn.key] = turn if later is None else later.joined(turn)
            return
        known = self._turns.get(turn.key)
        joined = turn if known is None else known.joined(turn)
        if joined == known:
            return
        if known is not None:
            self._leave(known)
        self._turns[turn.key] = joined
        heapq.heappush(self._times, (joined.due, turn.key))

    def take(self, now: float, full: Collection[str] = ()) -> Turn | None:
        """The most urgent of those that are due, environments in turns; it is busy until `done`. full: environments
        that may have no more at once."""
        self._ripen(now)
        for waiting in self._due.values():
            for flow in waiting.flows():
                if flow not in full:
                    key = waiting.take(flow)
                    self._standing.discard(key)
                    self._busy[key] = None
                    return self._turns.pop(key)
        return None

    def done(self, key: HostKey) -> None:
        """Its pass has ended; what was asked for meanwhile holds now."""
        later = self._busy.pop(key, None)
        if later is not None:
            self.add(later)

    def forget(self, key: HostKey) -> None:
        """There is no such host any more. A pass that is under way ends by itself."""
        turn = self._turns.pop(key, None)
        if turn is not None:
            self._leave(turn)
        if key in self._busy:
            self._busy[key] = None

    def turn(self, key: HostKey) -> Turn | None:
        """When it is due and why; None: not at all, or a pass is under way."""
        return self._turns.get(key)

    def busy(self, key: HostKey) -> bool:
        return key in self._busy

    @property
    def running(self) -> int:
        return len(self._busy)

    def due(self, now: float) -> int:
        """How many wait that could begin."""
        self._ripen(now)
        return len(self._standing)

    def wait(self, now: float) -> float | None:
        """Seconds until one is due; 0 when one is; None: there is none."""
        self._ripen(now)
        if self._standing:
            return 0.0
        return max(self._times[0][0] - now, 0.0) if self._times else None

    def _ripen(self, now: float) -> None:
        """What has become due stands in line; stale entries go."""
        while self._times:
            due, key = self._times[0]
            turn = self._turns.get(key)
            stale = turn is None or turn.due != due
            if not stale and due > now:
                return
            heapq.heappop(self._times)
            if turn is not None and not stale and key not in self._standing:
                self._standing.add(key)
                self._due[turn.priority].put(key[0], key)

    def _leave(self, turn: Turn) -> None:
        if turn.key in self._standing:
            self._standing.discard(turn.key)
            self._due[turn.priority].discard(turn.key[0], turn.key)
