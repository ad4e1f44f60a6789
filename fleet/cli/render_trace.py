"""Where the time went: PassResults in, a table of the slowest hosts out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from fleet.cli.printable import one_line
from fleet.model.change import PassResult

STAGES = ("connect", "observe", "plan", "apply", "verify")


def render(results: Sequence[PassResult], limit: int = 10) -> str:
    """The slowest hosts, stage by stage in seconds, then the median of all."""
    if not results:
        return "no host was contacted"
    stages = _stages(results)
    slowest = sorted(results, key=lambda r: -total(r))[:limit]
    names = [one_line(f"{r.environment}/{r.host}", 32) for r in slowest]
    width = max(len(name) for name in [*names, "median of all"])
    head = f"{'slowest hosts':<{width}} {'total':>8} " + " ".join(f"{s:>8}" for s in stages) + "  round trips"
    rows = [
        _row(name, width, [total(r), *(r.seconds.get(s, 0.0) for s in stages)], r.round_trips)
        for name, r in zip(names, slowest, strict=True)
    ]
    middle = [median(total(r) for r in results), *(median(r.seconds.get(s, 0.0) for r in results) for s in stages)]
    last = _row("median of all", width, middle, round(median(r.round_trips for r in results)))
    return "\n".join([head, *rows, last])


def document(results: Iterable[PassResult], trace_id: str) -> dict[str, Any]:
    """The key `trace` under --json: every host, slowest first."""
    hosts = [
        {
            "host": r.host,
            "environment": r.environment,
            "total_seconds": round(total(r), 4),
            "seconds": {stage: round(taken, 4) for stage, taken in r.seconds.items()},
            "round_trips": r.round_trips,
        }
        for r in sorted(results, key=lambda r: -total(r))
    ]
    return {"trace_id": trace_id, "hosts": hosts}


def total(result: PassResult) -> float:
    """Seconds of all stages of one host."""
    return sum(result.seconds.values())


def _stages(results: Sequence[PassResult]) -> list[str]:
    known = {stage for result in results for stage in result.seconds}
    return [s for s in STAGES if s in known] + sorted(known - set(STAGES))


def _row(name: str, width: int, numbers: Sequence[float], trips: int) -> str:
    return f"{name:<{width}} " + " ".join(f"{n:>8.3f}" for n in numbers) + f"  {trips:>11}"
