"""Order among one host's resources: claims and declared needs in, a Graph out. Pure and deterministic."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fleet.desired.check import near
from fleet.errors import Origin, Problem
from fleet.model.host import Graph
from fleet.model.kind import Stage


@dataclass(frozen=True, slots=True)
class Part:
    """What ordering needs to know of a resource. Hosts with equal Parts share one Graph.

    needs: declared edges, watched ids included, with the place that declares each.
    """

    id: str
    stage: int
    owns: tuple[str, ...] = ()
    wants: tuple[str, ...] = ()
    needs: tuple[tuple[str, Origin], ...] = ()
    origin: Origin = field(default=Origin(""))
    absent: bool = False

    @property
    def rank(self) -> int:
        """What goes, goes in the opposite order: users before their groups, services before their packages."""
        return Stage.GROUP + Stage.COMMAND - self.stage if self.absent else self.stage


def arrange(parts: Sequence[Part], problems: list[Problem]) -> Graph:
    """Edges, order and waves. With problems the Graph holds as much as can be ordered."""
    by_id = {part.id: part for part in parts}
    needs = {part.id: _declared(part, by_id, problems) for part in parts}
    owners = _owners(parts, problems)
    for part in parts:
        for claim in part.wants:
            owner = _owner(claim, owners, part.id)
            if not owner:
                continue
            # What goes, goes last: a directory after its files, a group after its users.
            first, then = (part.id, owner) if by_id[owner].absent else (owner, part.id)
            # What is declared the other way round wins over what everybody usually expects.
            if then not in needs[first]:
                needs[then].add(first)
    _packages_first(parts, needs)
    order = _order(by_id, needs, problems)
    wave: dict[str, int] = {}
    for one in order:
        wave[one] = 1 + max((wave.get(other, -1) for other in needs[one]), default=-1)
    return Graph(tuple(order), {one: tuple(sorted(needs[one])) for one in order}, wave)


def _declared(part: Part, by_id: Mapping[str, Part], problems: list[Problem]) -> set[str]:
    found = set()
    for wanted, origin in part.needs:
        if wanted in by_id:
            found.add(wanted)
        else:
            message = f"`{part.id}` names `{wanted}`, which is not on this host"
            problems.append(Problem(origin, message, "KIND:NAME of a resource of the same host", near(wanted, by_id)))
    return found


def _owners(parts: Sequence[Part], problems: list[Problem]) -> dict[str, str]:
    owners: dict[str, str] = {}
    places = {part.id: part.origin for part in parts}
    for part in sorted(parts, key=lambda part: part.id):
        for claim in part.owns:
            first = owners.setdefault(claim, part.id)
            if first != part.id:
                message = f"`{part.id}` and `{first}` both own {claim.replace(':', ' ', 1)}"
                expected = "one owner for each thing on a host"
                problems.append(Problem(part.origin, message, expected, also=(places[first],)))
    for claim in [one for one in owners if one.startswith("block:")]:
        # PATH#MARKER is a part of the file that another resource may own as a whole.
        whole = "path:" + claim.removeprefix("block:").partition("#")[0]
        if first := owners.get(whole, ""):
            part_id = owners[claim]
            message = f"`{part_id}` owns a part of {whole.replace(':', ' ', 1)}, which `{first}` owns as a whole"
            expected = "one owner for each thing on a host"
            hint = "take one of the two out: a block is for a file that is not wholly ours"
            problems.append(Problem(places[part_id], message, expected, hint, also=(places[first],)))
    return owners


def _owner(claim: str, owners: Mapping[str, str], wanting: str) -> str:
    """Who owns the claim; for a path, else who owns the nearest directory above it."""
    sort, _, name = claim.partition(":")
    while True:
        owner = owners.get(f"{sort}:{name}", "")
        if owner and owner != wanting:
            return owner
        if sort != "path" or name in ("/", ""):
            return ""
        name = name.rsplit("/", 1)[0] or "/"


def _packages_first(parts: Sequence[Part], needs: dict[str, set[str]]) -> None:
    """A package brings files, users and units: what comes later waits for it, unless a package waits for that."""
    packages = [part.id for part in parts if part.stage == Stage.PACKAGE]
    if not packages:
        return
    before = set()
    todo = list(packages)
    while todo:
        for other in needs[todo.pop()]:
            if other not in before:
                before.add(other)
                todo.append(other)
    for part in parts:
        if part.stage > Stage.PACKAGE and part.id not in before:
            needs[part.id].update(packages)


def _order(by_id: Mapping[str, Part], needs: Mapping[str, set[str]], problems: list[Problem]) -> list[str]:
    """Each after all it needs; among those that are ready, by stage and then by id."""
    left = {one: len(others) for one, others in needs.items()}
    after: dict[str, list[str]] = {one: [] for one in needs}
    for one, others in needs.items():
        for other in others:
            after[other].append(one)
    ready = [(by_id[one].rank, one) for one, count in left.items() if count == 0]
    heapq.heapify(ready)
    order: list[str] = []
    while ready:
        _, one = heapq.heappop(ready)
        order.append(one)
        for other in after[one]:
            left[other] -= 1
            if left[other] == 0:
                heapq.heappush(ready, (by_id[other].rank, other))
    if len(order) < len(needs):
        problems.append(_cycle(by_id, needs, set(needs) - set(order)))
    return order


def _cycle(by_id: Mapping[str, Part], needs: Mapping[str, set[str]], stuck: set[str]) -> Problem:
    one, path = min(stuck), list[str]()
    while one not in path:
        path.append(one)
        one = min(needs[one] & stuck)
    path = path[path.index(one) :]
    first = path.index(min(path))
    path = path[first:] + path[:first]
    message = "these resources need each other in a circle: " + " → ".join([*path, path[0]])
    places = [by_id[name].origin for name in path]
    return Problem(places[0], message, hint="take one of the edges out", also=tuple(places[1:]))
