"""Roles that reach nobody: assigned by labels no host has, or described and never assigned. Warnings; both are valid.

Asked over all environments: what base assigns for one of them is not amiss in the others.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping

from fleet.desired.assemble import EnvironmentSpec
from fleet.desired.load import Layer
from fleet.desired.roles import Assignment
from fleet.errors import Origin, Problem
from fleet.model.value import member

# Role and the places of its `match`: the same for all environments that see the same words.
_Place = tuple[str, tuple[Origin, ...]]


def unused(layers: Mapping[str, Layer], environments: Mapping[str, EnvironmentSpec]) -> tuple[Problem, ...]:
    return (*_matchless(environments.values()), *_unassigned(layers, environments.values()))


def _matchless(environments: Iterable[EnvironmentSpec]) -> Iterator[Problem]:
    """An environment without hosts says nothing of whom a role would reach."""
    waiting: dict[_Place, tuple[Assignment, list[EnvironmentSpec]]] = {}
    reached: set[_Place] = set()
    for environment in environments:
        roles = {role for host in environment.hosts.values() for role in host.roles}
        for one in environment.assigned if environment.hosts else ():
            place = (one.role, _places(one))
            if one.role in roles:
                reached.add(place)
            else:
                waiting.setdefault(place, (one, []))[1].append(environment)
    for place, (assigned, seen) in waiting.items():
        if place not in reached and assigned.match:
            yield _warning(assigned, [host.labels for one in seen for host in one.hosts.values()])


def _places(assigned: Assignment) -> tuple[Origin, ...]:
    match = member(assigned.node, "match")
    values = match.value.values() if match is not None and isinstance(match.value, dict) else ()
    return (match.origin if match is not None else assigned.node.origin, *(node.origin for node in values))


def _warning(assigned: Assignment, hosts: Collection[Mapping[str, str]]) -> Problem:
    message = f"role `{assigned.role}` reaches no host: "
    for key, wanted in assigned.match:
        if any(labels.get(key) in wanted for labels in hosts):
            continue
        node = member(assigned.node, "match", key)
        origin = node.origin if node is not None else assigned.node.origin
        pairs = [f"{key}={value}" for value in sorted(wanted)]
        said = f"no host has {' or '.join(pairs)}" if pairs else f"`{key}` names no value"
        return Problem(origin, message + said, hint=_near(key, wanted, hosts), severity="warning")
    match = member(assigned.node, "match")
    every = " and ".join(f"{key}={' or '.join(sorted(wanted))}" for key, wanted in assigned.match)
    place = match.key or match.origin if match is not None else assigned.node.origin
    hint = "each of these labels some host has, none has them all"
    return Problem(place, f"{message}no host has {every}", hint=hint, severity="warning")


def _near(key: str, wanted: Collection[str], hosts: Collection[Mapping[str, str]]) -> str:
    """Another value of the label, else another label with nearly that name and value; else what its values are."""
    values = sorted({labels[key] for labels in hosts if key in labels})
    pairs = sorted({f"{label}={value}" for labels in hosts for label, value in labels.items() if label != key})
    for value in sorted(wanted):
        if close := difflib.get_close_matches(value, values, 1):
            return f"did you mean {key}={close[0]}?"
        if close := difflib.get_close_matches(f"{key}={value}", pairs, 1):
            return f"did you mean {close[0]}?"
    if values and len(values) <= 8:
        return f"hosts have {', '.join(f'{key}={value}' for value in values)}"
    return "" if values else f"no host has the label `{key}`"


def _unassigned(layers: Mapping[str, Layer], environments: Collection[EnvironmentSpec]) -> Iterator[Problem]:
    """Files of roles that no environment which sees them assigns; one warning for all files of a role."""
    assigned = {(layer, one.role) for spec in environments for layer in spec.layers for one in spec.assigned}
    files: dict[str, list[Origin]] = {}
    for layer in layers.values():
        for role, node in layer.roles.items():
            if environments and (layer.name, role) not in assigned:
                files.setdefault(role, []).append(Origin(node.origin.file, 1, 1))
    known = sorted({one.role for spec in environments for one in spec.assigned})
    for role, places in sorted(files.items()):
        first, *more = sorted(places)
        message = f"no environment assigns role `{role}`: nothing in this file reaches a host"
        hint = "assign it under `roles:` in environment.yaml, or take the file out"
        expected = f"one of the roles assigned: {', '.join(known)}" if known and len(known) <= 12 else ""
        yield Problem(first, message, expected, hint, also=tuple(more), severity="warning")
