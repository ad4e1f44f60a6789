"""The first apply of all resources on hosts that have none of them: its time, its round trips, and what was sent."""

from __future__ import annotations

import time

import uvloop

from benchmarks.figure import Figure
from benchmarks.fixture import Fixture, Quiet
from fleet.model.change import Verdict


def measure(made: Fixture) -> list[Figure]:
    """Hosts must be untouched. Leaves them in sync."""
    return uvloop.run(_apply(made))


async def _apply(made: Fixture) -> list[Figure]:
    app, fleet, hosts = made.open()
    heard = Quiet()
    started, used = time.perf_counter(), time.process_time()
    done = await app.run(fleet, hosts, True, heard)
    seconds, cpu = time.perf_counter() - started, time.process_time() - used
    await app.aclose()
    stray = 0
    for result in done.results:
        if result.verdict is not Verdict.CHANGED or result.plan is None:
            raise SystemExit(f"{result.host} is {result.verdict}: {result.error or result.remaining}")
        named = {change.resource.id for change in result.plan.changes}
        stray += len(set(heard.outcomes.get(f"{result.environment}/{result.host}", ())) - named)
    trips = max(result.round_trips for result in done.results)
    return [
        Figure("first apply", seconds, "s", "connect, look, change 20 resources, look again, recorded"),
        Figure("round trips of it", trips, "trips", "the most that any host needed", target=3),
        Figure("tasks beyond the plan", stray, "tasks", "tasks answered that the plan does not name", target=0),
        Figure("CPU of a first apply", cpu / len(hosts) * 1000, "ms", "controller's own CPU time per host"),
    ]
