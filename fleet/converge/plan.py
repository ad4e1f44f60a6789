"""Compare what should be with what is: HostSpec and Observation in, Plan out. Pure, and the same for every kind."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from fleet.model.change import Change, Observed, Plan, Unreadable, Waiting
from fleet.model.host import Graph, HostSpec, Resource
from fleet.model.kind import Kind
from fleet.model.value import State

# When several watched things ask for different actions, the stronger one does for both.
STRENGTH = ("", "run", "reload", "restart")


def plan(spec: HostSpec, observed: Mapping[str, Observed], due: Mapping[str, str], kinds: Mapping[str, Kind]) -> Plan:
    """All differences of one host, in dependency order.

    observed: resource id → State, None (absent), Waiting or Unreadable; one that is missing counts as unreadable.
    due: resource id → action whose mark stands on the host since an earlier pass.
    """
    changes: dict[str, Change] = {}
    unreadable: dict[str, Unreadable] = {}
    waiting: dict[str, str] = {}
    for resource in spec.resources:
        seen = observed.get(resource.id, Unreadable("it was not looked at"))
        if isinstance(seen, Unreadable):
            unreadable[resource.id] = seen
            continue
        if isinstance(seen, Waiting):
            waiting[resource.id] = seen.reason
            continue
        attributes = differing(resource.desired, seen)
        action = _due(resource, changes, due) if resource.watches or due else ""
        if attributes or action or (seen is None) != (resource.desired is None):
            changes[resource.id] = Change(resource, seen, resource.desired, attributes, action)
    provisional = _provisional(spec.graph, changes, kinds)
    found = tuple(changes.values())
    digest = _digest(found, {**waiting, **{one: why.reason for one, why in unreadable.items()}})
    return Plan(spec.name, found, unreadable, provisional, digest, spec.environment, waiting)


def differing(desired: State | None, seen: State | None) -> tuple[str, ...]:
    """Names of the declared attributes that differ, sorted. () when either side is absent."""
    if desired is None or seen is None:
        return ()
    return tuple(sorted([name for name, value in desired.items() if name not in seen or seen[name] != value]))


def ancestors(graph: Graph, start: str) -> set[str]:
    """Everything that must be right before `start`, however far away."""
    found: set[str] = set()
    todo = list(graph.needs.get(start, ()))
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo.extend(graph.needs.get(one, ()))
    return found


def _due(resource: Resource, changes: Mapping[str, Change], due: Mapping[str, str]) -> str:
    if resource.desired is None:
        return ""
    asked = [due.get(resource.id, "")]
    asked += [action for action, ids in resource.watches.items() if any(one in changes for one in ids)]
    return max((action for action in asked if action in STRENGTH), key=STRENGTH.index, default="")


def _provisional(graph: Graph, changes: Mapping[str, Change], kinds: Mapping[str, Kind]) -> frozenset[str]:
    surprising = {one for one, change in changes.items() if not kinds[change.resource.kind].foreseeable}
    if not surprising:
        return frozenset()
    return frozenset(one for one in changes if surprising & ancestors(graph, one))


def _digest(changes: tuple[Change, ...], others: Mapping[str, str]) -> str:
    """Hosts with the same digest have the same plan: that is how output groups them."""
    if not changes and not others:
        return _NOTHING
    said: list[Any] = [
        [c.resource.id, c.resource.digest, c.due, list(c.attributes), _plain(c.before), _plain(c.after)]
        for c in changes
    ]
    said.append(sorted(others.items()))
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=repr).encode()).hexdigest()


_NOTHING = hashlib.sha256(b"[]").hexdigest()


def _plain(state: State | None) -> dict[str, Any] | None:
    return None if state is None else dict(state)
