"""Which changes go to the host in one script, and as which tasks. Pure.

A change whose effects nobody can foresee (a package, a command) ends what can be planned for those that come after it:
they wait for the next round, which is planned from a new look. All others go out at once, whatever their wave.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fleet.converge.plan import ancestors
from fleet.model.change import Change
from fleet.model.host import Graph, HostSpec
from fleet.model.kind import Kind
from fleet.model.step import Step, Task


@dataclass(frozen=True, slots=True)
class Round:
    """One script's worth. joined: change id → id of the task that carries it (its own, but for one transaction)."""

    changes: tuple[Change, ...]
    tasks: tuple[Task, ...]
    joined: Mapping[str, str]
    look_at: frozenset[str]


def next_round(spec: HostSpec, todo: Sequence[Change], kinds: Mapping[str, Kind]) -> Round:
    """The changes of `todo` (in dependency order) that are ready, as tasks, and the ids to look at afterwards."""
    surprising = {c.resource.id for c in todo if not kinds[c.resource.kind].foreseeable}
    before = {c.resource.id: ancestors(spec.graph, c.resource.id) for c in todo}
    ready = [c for c in todo if not surprising & before[c.resource.id]]
    ids = {c.resource.id for c in ready}
    needs = {one: before[one] & ids for one in ids}
    joined: dict[str, str] = {}
    tasks: list[Task] = []
    for group in _groups(ready, needs):
        steps = kinds[group[0].resource.kind].fix(group)
        lead = group[0].resource.id
        for change in group:
            joined[change.resource.id] = change.resource.id if change.resource.id in steps else lead
        for task_id, its_steps in steps.items():
            members = [c for c in group if joined[c.resource.id] == task_id]
            wanted = {joined.get(one, one) for c in members for one in needs[c.resource.id]} - {task_id}
            tasks.append(_task(members, its_steps, tuple(sorted(wanted)), spec))
    return Round(tuple(ready), tuple(tasks), joined, frozenset(ids | _after(spec.graph, surprising & ids)))


def _groups(ready: Sequence[Change], needs: Mapping[str, set[str]]) -> list[list[Change]]:
    """Changes of one kind that can share a transaction: those that need the same of what goes out now, so that what
    fails before them skips all of them or none."""
    groups: list[list[Change]] = []
    current: dict[str, list[Change]] = {}
    for change in ready:
        kind, group = change.resource.kind, current.get(change.resource.kind)
        if group is not None:
            members = {c.resource.id for c in group}
            if needs[change.resource.id] - members == needs[group[0].resource.id]:
                group.append(change)
                continue
        current[kind] = [change]
        groups.append(current[kind])
    return groups


def _task(members: Sequence[Change], steps: tuple[Step, ...], needs: tuple[str, ...], spec: HostSpec) -> Task:
    first = members[0].resource
    return Task(
        first.id,
        steps,
        needs,
        due=tuple(pair for c in members for pair in _watchers(c.resource.id, spec)),
        clears=first.id if first.watches else "",
        when_due=first.id if members[0].action == "trigger" else "",
    )


def _watchers(changed: str, spec: HostSpec) -> Iterable[tuple[str, str]]:
    for resource in spec.resources:
        for action, ids in resource.watches.items():
            if changed in ids and resource.desired is not None:
                yield resource.id, action


def _after(graph: Graph, surprising: set[str]) -> set[str]:
    """Everything that comes after something with effects nobody could foresee."""
    return {one for one in graph.order if surprising & ancestors(graph, one)} if surprising else set()
