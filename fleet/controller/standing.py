"""The one switch that turns how a pass ended into what follows. Pure: clock and chance are the caller's.

Unreachable is not failed. What fails again and again is left alone for long, with an alarm, while all others go on; so
is what makes fleet itself fail. What somebody changes back again and again is told, and corrected less and less often.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from fleet.controller.queue import HostKey, Priority, Turn
from fleet.model.change import PassResult, Verdict
from fleet.model.step import Status
from fleet.pacing.backoff import Backoff

# How soon it is tried again, by how it ended. All else waits for the next sweep.
AGAIN: Mapping[Verdict, Backoff] = {
    Verdict.UNREACHABLE: Backoff(base=5.0, cap=300.0),
    Verdict.UNKNOWN: Backoff(base=1.0, cap=60.0),
    Verdict.FAILED: Backoff(base=10.0, cap=600.0),
    Verdict.CONFLICT: Backoff(base=10.0, cap=600.0),
}
PARKED_AFTER = 5  # failures in a row
PARKED = 3600.0  # seconds until it is tried once more
FOUGHT_AFTER, FOUGHT_WITHIN = 5, 600.0  # corrections, seconds
TRUCE = Backoff(base=600.0, cap=6 * 3600.0)


@dataclass(frozen=True, slots=True)
class Fight:
    """A resource that somebody else changes. times: when it was corrected, lately. held: it is only reported until
    then. rounds: how often that came to pass."""

    times: tuple[float, ...] = ()
    held: float = 0.0
    rounds: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """One host between two passes. since, looked: Unix seconds; since it has this verdict, and when it was last seen.
    failures: in a row. settled, withheld: see `Passed`."""

    last: PassResult | None = None
    since: float = 0.0
    looked: float = 0.0
    failures: int = 0
    parked: bool = False
    settled: Mapping[str, str] = field(default_factory=dict)
    withheld: tuple[str, ...] = ()
    cut: frozenset[str] = frozenset()
    fights: Mapping[str, Fight] = field(default_factory=dict)
    full: float = float("-inf")  # when everything was last looked at

    @property
    def verdict(self) -> str:
        return str(self.last.verdict) if self.last is not None else ""

    def held(self, now: float) -> frozenset[str]:
        """Resources that are only reported for now."""
        return frozenset(name for name, one in self.fights.items() if now < one.held)


@dataclass(frozen=True, slots=True)
class Moment:
    """now: seconds of a clock that never goes back; wall: Unix seconds; chance: in [0, 1)."""

    now: float
    wall: float
    chance: float


def after(standing: Standing, key: HostKey, result: PassResult, period: float, at: Moment) -> tuple[Standing, Turn]:
    """How the host stands now, and when it is looked at next. period: seconds between sweeps."""
    verdict = result.verdict
    failures = standing.failures + 1 if verdict in AGAIN else 0
    parked = failures >= PARKED_AFTER and verdict in (Verdict.FAILED, Verdict.CONFLICT)
    same = standing.last is not None and standing.last.verdict is verdict
    seen = verdict not in (Verdict.UNREACHABLE, Verdict.UNKNOWN)
    stands = replace(
        standing,
        last=result,
        since=standing.since if same else at.wall,
        looked=at.wall if seen else standing.looked,
        failures=failures,
        parked=parked,
        cut=standing.cut - (set(result.outcomes) if seen else set()) | _cut(result),
        fights=_fights(standing.fights, _corrected(result), at),
    )
    return stands, _next(stands, key, period, at)


def _next(stands: Standing, key: HostKey, period: float, at: Moment) -> Turn:
    assert stands.last is not None
    verdict, failures = stands.last.verdict, stands.failures
    again = AGAIN.get(verdict)
    if stands.parked:
        return Turn(key, at.now + PARKED, Priority.SWEEP, f"parked after {failures} failures in a row")
    if again is not None:
        # A herd that failed together does not come back together.
        pause = again.delay(failures, 0.5 + at.chance / 2)
        return Turn(key, at.now + pause, Priority.RETRY, f"again, it was {verdict}")
    return Turn(key, sweep(key, period, at.now), Priority.SWEEP, "sweep")


def sweep(key: HostKey, period: float, now: float) -> float:
    """When the host's own moment comes next: the same in every period, spread over it by a hash of the name."""
    # Not at once again: what was looked at a moment before its time waits for the time after that.
    return now + period / 10 + (phase(key) * period - now - period / 10) % period


def phase(key: HostKey) -> float:
    """In [0, 1), always the same for one host, and spread evenly over many."""
    digest = hashlib.blake2b("/".join(key).encode(errors="surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _cut(result: PassResult) -> frozenset[str]:
    """What was being changed when the connection was lost."""
    return frozenset(name for name, one in result.outcomes.items() if one.status is Status.UNKNOWN)


def _corrected(result: PassResult) -> Iterable[str]:
    """What somebody else had changed, and is as it should be again."""
    for name, one in result.outcomes.items():
        if result.causes.get(name) == "external" and one.status is Status.OK:
            yield name


def _fights(known: Mapping[str, Fight], corrected: Iterable[str], at: Moment) -> Mapping[str, Fight]:
    found = {name: one for name, one in known.items() if _recent(one, at.now) or at.now < one.held + FOUGHT_WITHIN}
    for name in corrected:
        one = found.get(name, Fight())
        times = (*_recent(one, at.now), at.now)
        if len(times) >= FOUGHT_AFTER or one.rounds:
            held = at.now + TRUCE.delay(one.rounds + 1, 1.0)
            found[name] = Fight((), held, one.rounds + 1)
        else:
            found[name] = replace(one, times=times)
    return found


def _recent(one: Fight, now: float) -> tuple[float, ...]:
    return tuple(time for time in one.times if time > now - FOUGHT_WITHIN)
