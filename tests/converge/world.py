"""A simulated host for laws: resources are entries of a dict, steps set them, surprises happen when packages go in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fleet.model.change import Change, Observed, PassResult
from fleet.model.host import Graph, HostSpec, Resource, Target
from fleet.model.kind import Kind, Probe, Stage
from fleet.model.step import Batch, Command, Outcome, Report, Script, Status, Step, Task

LOOK = "look at the world\n"


def _observe(resources: Sequence[Resource]) -> Probe:
    def read(outcome: Outcome) -> Mapping[str, Observed]:
        world = json.loads(outcome.output)
        return {r.id: world.get(r.id) for r in resources}

    return Probe(Script(LOOK, tuple(r.id for r in resources)), read)


def _fix(changes: Sequence[Change]) -> Mapping[str, tuple[Step, ...]]:
    return {c.resource.id: (Command(("set", c.resource.id, json.dumps(_state(c)), c.due)),) for c in changes}


def _fix_at_once(changes: Sequence[Change]) -> Mapping[str, tuple[Step, ...]]:
    """One transaction for all, under the first one's id."""
    return {changes[0].resource.id: tuple(Command(("set", c.resource.id, json.dumps(_state(c)), "")) for c in changes)}


def _state(change: Change) -> Any:
    return None if change.after is None else dict(change.after)


def kind(name: str, stage: Stage, foreseeable: bool = True, at_once: bool = False) -> Kind:
    return Kind(
        name=name,
        doc="",
        Spec=dict,
        stage=stage,
        state=lambda name, spec, content: spec,
        observe=_observe,
        fix=_fix_at_once if at_once else _fix,
        witness=lambda resource: (f"/{resource.id}",),
        check=lambda name: None,
        owns=lambda name, spec: (),
        wants=lambda name, spec: (),
        foreseeable=foreseeable,
    )


KINDS: Mapping[str, Kind] = {
    "file": kind("file", Stage.FILE),
    "service": kind("service", Stage.SERVICE),
    "package": kind("package", Stage.PACKAGE, foreseeable=False, at_once=True),
}


def resource(
    resource_id: str,
    desired: Mapping[str, Any] | None = None,
    watches: Mapping[str, tuple[str, ...]] | None = None,
    drift: Any = "correct",
) -> Resource:
    kind_name, _, name = resource_id.partition(":")
    return Resource(
        resource_id,
        kind_name,
        name,
        spec=None,
        desired={"v": 1} if desired is None else (desired or None),
        watches=watches or {},
        drift=drift,
        digest=json.dumps(desired),
    )


def host(resources: Sequence[Resource], needs: Mapping[str, tuple[str, ...]] | None = None) -> HostSpec:
    """A host whose resources are given in an order that respects `needs`."""
    edges = dict(needs or {})
    for r in resources:
        edges.setdefault(r.id, ())
        edges[r.id] += tuple(one for ids in r.watches.values() for one in ids)
    graph = Graph(tuple(r.id for r in resources), edges, {})
    return HostSpec("h1", "dev", Target("h1", "dev"), (), {}, tuple(resources), graph, "")


@dataclass
class World:
    """A Session over a dict. fails: ids whose task fails; brings: id → what installing it puts there."""

    state: dict[str, Any] = field(default_factory=dict)
    due: dict[str, str] = field(default_factory=dict)
    fails: frozenset[str] = frozenset()
    brings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lose_after: int = 10**9
    ran: list[str] = field(default_factory=list)
    triggered: list[tuple[str, str]] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    environment: str = ""
    fence: int = 0

    @property
    def round_trips(self) -> int:
        return len(self.batches)

    async def halt(self) -> None: ...

    async def aclose(self) -> None:
        return None

    async def perform(self, batch: Batch, report: Report | None = None) -> Mapping[str, Outcome]:
        self.batches.append(batch)
        if batch.write is not None:
            self.environment, self.fence = batch.write.environment, batch.write.token
        outcomes: dict[str, Outcome] = {}
        for task in batch.tasks:
            outcome = self._task(task, outcomes)
            outcomes[task.id] = outcome
            if report is not None:
                report(outcome)
        return outcomes

    def _task(self, task: Task, done: Mapping[str, Outcome]) -> Outcome:
        if len(self.ran) >= self.lose_after:
            return Outcome(task.id, Status.UNKNOWN)
        if task.id == "look:state":
            lines = [f"due {action} {one}" for one, action in self.due.items()]
            lines += [f"fence {self.fence}"] if self.fence else []
            lines += [f"environment {self.environment}"] if self.environment else []
            return Outcome(task.id, Status.OK, output="\n".join(lines).encode())
        if task.id.startswith("look:"):
            return Outcome(task.id, Status.OK, output=json.dumps(self.state).encode())
        if any(done[need].status is not Status.OK for need in task.needs):
            return Outcome(task.id, Status.SKIPPED)
        if task.when_due and task.when_due not in self.due:
            return Outcome(task.id, Status.OK)
        for watcher, action in task.due:
            self.due[watcher] = max(action, self.due.get(watcher, ""))
        self.ran.append(task.id)
        if task.id in self.fails:
            return Outcome(task.id, Status.FAILED, 1)
        for step in task.steps:
            assert isinstance(step, Command)
            _, name, value, due = step.argv
            self.state[name] = json.loads(value)
            self.state.update(self.brings.get(name, {}))
            if due:
                self.triggered.append((name, due))
        self.due.pop(task.clears, None)
        return Outcome(task.id, Status.OK, 0)


class Deaf:
    """A Watcher that hears nothing."""

    def stage(self, host: str, stage: str) -> None: ...

    def outcome(self, host: str, outcome: Outcome) -> None: ...

    def done(self, result: PassResult) -> None: ...
