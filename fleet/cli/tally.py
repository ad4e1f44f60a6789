"""How far a run is: what a Watcher hears in, counts and the slowest hosts out. Bookkeeping only, prints nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fleet.model.change import PassResult, Verdict
from fleet.model.step import Outcome, Status

BAD = frozenset({Verdict.FAILED, Verdict.CONFLICT, Verdict.UNREACHABLE, Verdict.UNKNOWN})


@dataclass(slots=True)
class Tally:
    """A Watcher. Hosts are "ENVIRONMENT/NAME".

    running: host → (stage, when it began). heard: called with each result after it was counted.
    """

    total: int
    clock: Callable[[], float] = time.monotonic
    heard: Callable[[PassResult], None] | None = None
    began: float = 0.0
    running: dict[str, tuple[str, float]] = field(default_factory=dict)
    first_seen: dict[str, float] = field(default_factory=dict)
    results: list[PassResult] = field(default_factory=list)
    steps: dict[Status, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.began = self.clock()

    def stage(self, host: str, stage: str) -> None:
        now = self.clock()
        self.first_seen.setdefault(host, now)
        self.running[host] = (stage, now)

    def outcome(self, host: str, outcome: Outcome) -> None:
        self.steps[outcome.status] = self.steps.get(outcome.status, 0) + 1

    def done(self, result: PassResult) -> None:
        self.running.pop(f"{result.environment}/{result.host}", None)
        self.results.append(result)
        if self.heard is not None:
            self.heard(result)

    def counts(self) -> dict[Verdict, int]:
        """Finished hosts by verdict, in the verdicts' own order."""
        found = dict.fromkeys(Verdict, 0)
        for result in self.results:
            found[result.verdict] += 1
        return {verdict: count for verdict, count in found.items() if count}

    def seconds(self) -> float:
        return self.clock() - self.began

    def rate(self) -> float:
        """Hosts a second since the start."""
        return len(self.results) / max(self.seconds(), 0.001)

    def slowest(self, count: int) -> Sequence[tuple[str, str, float]]:
        """Running hosts that began longest ago: (host, stage, seconds since the first stage)."""
        now = self.clock()
        oldest = sorted(self.running, key=lambda host: self.first_seen[host])[:count]
        return [(host, self.running[host][0], now - self.first_seen[host]) for host in oldest]
