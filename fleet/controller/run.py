"""One run: a pass over each of many hosts, side by side.

Input: HostSpecs and the parts a pass needs; output: a PassResult per host, collected in `Run.results` as they come, so
that what was done is known however the run ends. Limits on handshakes and running scripts are the transports' own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from fleet.controller.one import Asked, Parts, cut_short, one_pass
from fleet.converge.memory import Memory
from fleet.model.change import PassResult
from fleet.model.host import HostSpec
from fleet.model.port import Watcher


@dataclass(slots=True)
class Run:
    """What is asked for and what came of it. results: by host (environment, name), in the order they finished.

    write: False only plans. memories: (environment, name) → what is remembered of the host; empty: look at everything.
    withheld: (environment, name) → resources that held a secret when they were last seen.
    interrupted: the run was cancelled; hosts without a result were not begun, or only looked at.
    """

    number: int
    write: bool
    settled: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    memories: Mapping[tuple[str, str], Memory] = field(default_factory=dict)
    withheld: Mapping[tuple[str, str], Collection[str]] = field(default_factory=dict)
    results: dict[tuple[str, str], PassResult] = field(default_factory=dict)
    interrupted: bool = False


async def run_all(run: Run, hosts: Sequence[HostSpec], parts: Parts, watcher: Watcher) -> None:
    """Every host once. A cancelled run stops its hosts' scripts, keeps what it knows, and returns."""
    try:
        async with asyncio.TaskGroup() as group:
            for spec in hosts:
                group.create_task(_one(run, spec, parts, watcher), name=spec.label)
    except asyncio.CancelledError:
        run.interrupted = True
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
    await parts.journal.finish_run(run.number, [result.verdict for result in run.results.values()])


async def _one(run: Run, spec: HostSpec, parts: Parts, watcher: Watcher) -> None:
    key = (spec.environment, spec.name)
    settled, withheld = run.settled.get(key, {}), run.withheld.get(key, ())
    asked = Asked(spec, run.number, run.write, settled, withheld, run.memories.get(key))
    try:
        run.results[key] = (await one_pass(asked, parts, watcher)).result
    except asyncio.CancelledError:
        if asked.started:
            run.results[key] = cut_short(spec, asked.started)
        raise
    watcher.done(run.results[key])
