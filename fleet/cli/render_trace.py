"""Where the time went: HostTimes in, a table of the slowest hosts out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from fleet.cli.printable import one_line
from fleet.telemetry import HostTime

# In the order in which they happen; "waiting" is for others: limits on handshakes and scripts, the record.
STAGES = ("connect", "observe", "plan", "apply", "verify")


def render(times: Sequence[HostTime], limit: int = 10) -> str:
    """The slowest hosts, stage by stage in seconds, then their median. times: slowest first."""
    if not times:
        return "no host was contacted"
    stages = _stages(times)
    names = [one_line(time.host, 24) for time in times[:limit]]
    width = max(len(name) for name in [*names, "slowest hosts", "median"])
    heads = ["total", *stages, "waiting"]
    lines = [f"{'slowest hosts':<{width}} " + " ".join(f"{head:>7}" for head in heads) + "  trips"]
    for name, one in zip(names, times, strict=False):
        lines.append(_row(name, width, _numbers(one, stages), one.round_trips))
    middle = [median(column) for column in zip(*(_numbers(time, stages) for time in times), strict=True)]
    lines.append(_row("median", width, middle, round(median(time.round_trips for time in times))))
    return "\n".join(lines)


def document(times: Sequence[HostTime], trace_id: str) -> dict[str, Any]:
    """The key `trace` under --json: every host, slowest first."""
    hosts = [
        {
            "host": time.host,
            "seconds": round(time.seconds, 4),
            "stages": {stage: round(taken, 4) for stage, taken in time.stages.items()},
            "round_trips": time.round_trips,
        }
        for time in times
    ]
    return {"trace_id": trace_id, "hosts": hosts}


def _numbers(time: HostTime, stages: Sequence[str]) -> list[float]:
    waiting = max(time.seconds - sum(time.stages.values()), 0.0)
    return [time.seconds, *(time.stages.get(stage, 0.0) for stage in stages), waiting]


def _stages(times: Sequence[HostTime]) -> list[str]:
    known = {stage for time in times for stage in time.stages}
    return [s for s in STAGES if s in known] + sorted(known - set(STAGES))


def _row(name: str, width: int, numbers: Sequence[float], trips: int) -> str:
    return f"{name:<{width}} " + " ".join(f"{n:>7.2f}" for n in numbers) + f"  {trips:>5}"
