"""The reverse of explain: which hosts and resources a file, or one line of it, reaches. Pure.

Only what won counts: a line that is overruled on a host does not reach it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from fleet.desired.assemble import EnvironmentSpec, HostDetail
from fleet.desired.compile import Fleet
from fleet.desired.explain import texts
from fleet.desired.scope import Read, View
from fleet.desired.wrong import Wrong
from fleet.model.value import Node, children, member


@dataclass(frozen=True, slots=True)
class Reached:
    """One host. resources: ids, sorted; empty where only the way to the host is meant (its address, its login)."""

    environment: str
    host: str
    resources: tuple[str, ...]


@dataclass(slots=True)
class _Place:
    """What is looked for. line: where the thing that the asked line belongs to begins; None: the whole file."""

    file: str
    line: int | None = None
    _hits: dict[int, bool] = field(default_factory=dict)

    def at(self, node: Node | None) -> bool:
        """Whether this very value stands there."""
        if node is None:
            return False
        here = [one for one in (node.origin, node.key) if one is not None and one.file == self.file]
        return any(self.line is None or one.line == self.line for one in here)

    def within(self, node: Node | None) -> bool:
        """Whether it or anything in it stands there. Remembered: Nodes are shared between hosts."""
        if node is None:
            return False
        known = self._hits.get(id(node))
        if known is None:
            known = self.at(node) or any(map(self.within, parts(node)))
            self._hits[id(node)] = known
        return known


def impact(fleet: Fleet, file: str, line: int | None = None) -> tuple[Reached, ...]:
    """By environment and host. file: as Git names it, with or without `environments/`. A template or source reaches
    as a whole, whatever the line."""
    file = file.removeprefix("environments/")
    place = _Place(file, None if line is None else _start(fleet, file, line))
    found = []
    for environment in fleet.environments.values():
        everywhere = any(place.within(detail.entry.node) for detail in environment.details.values())
        for name, detail in environment.details.items():
            ids = tuple(sorted(_resources(place, environment, detail, everywhere)))
            if ids or _way(place, environment, detail):
                found.append(Reached(environment.name, name, ids))
    return tuple(found)


def _resources(place: _Place, environment: EnvironmentSpec, detail: HostDetail, peers: bool) -> Iterator[str]:
    entry = detail.entry
    assigned = children(member(environment.settings, "roles"))
    whole = place.at(entry.node) or place.at(Node(None, entry.origin)) or place.within(member(entry.node, "labels"))
    views: dict[str, View] = {}
    for built in detail.built:
        role = built.resource.role
        if whole or place.within(assigned.get(role)) or place.within(built.resource.node):
            yield built.resource.id
        elif built.reads:
            view = views.get(role) or views.setdefault(role, detail.view(role))
            if any(_read(place, read, view, detail, peers) for read in built.reads):
                yield built.resource.id


def _read(place: _Place, read: Read, view: View, detail: HostDetail, peers: bool) -> bool:
    if read[0] == "var":
        return _variable(place, read[1], view, set())
    if read[0] == "file":
        return view.around.files.get(read[1], ("",))[0] == place.file
    if read[0] == "hosts":
        return peers
    return read[0] == "host" and place.within(member(detail.entry.node, read[1]))


def _variable(place: _Place, name: str, view: View, seen: set[str]) -> bool:
    seen.add(name)
    try:
        node = view.variables.node(name)
    except Wrong:
        return False
    if node is None:
        return False
    if place.within(node):
        return True
    names = {word for text in texts(node) for word in view.around.engine.reads(text)}
    return any(_variable(place, word, view, seen) for word in sorted(names - seen))


def _way(place: _Place, environment: EnvironmentSpec, detail: HostDetail) -> bool:
    entry = detail.entry.node
    return any(
        place.within(one)
        for one in (member(environment.settings, "connection"), member(entry, "connection"), member(entry, "address"))
    )


def parts(node: Node) -> Iterable[Node]:
    """What a map or a list is made of."""
    if isinstance(node.value, dict):
        return node.value.values()
    return node.value if isinstance(node.value, list) else ()


def _start(fleet: Fleet, file: str, line: int) -> int:
    """Where the value that this line is part of begins; losers count, so that their lines are nobody else's."""
    lines: set[int] = set()
    seen: set[int] = set()

    def collect(node: Node | None) -> None:
        if node is None or id(node) in seen:
            return
        seen.add(id(node))
        lines.update(one.line for one in (node.origin, node.key) if one is not None and one.file == file)
        for child in (*parts(node), *node.over):
            collect(child)

    for environment in fleet.environments.values():
        collect(environment.settings)
        for detail in environment.details.values():
            collect(detail.entry.node)
            for role in {built.resource.role for built in detail.built}:
                for node in detail.view(role).variables.role.values():
                    collect(node)
            for built in detail.built:
                collect(built.resource.node)
    ordered = sorted(lines)
    at = bisect_right(ordered, line)
    return ordered[at - 1] if at else line
