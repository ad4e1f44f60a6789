"""Roles: layers merged into Bundles of Drafts, and which host gets which by its labels. What a host overlays, too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from fleet.desired.build import Draft
from fleet.desired.check import near
from fleet.desired.inventory import Merged
from fleet.desired.merge import merge_all, settle
from fleet.errors import Problem
from fleet.model.host import Drift
from fleet.model.kind import Kind
from fleet.model.value import Node, children, member


@dataclass(slots=True, eq=False)
class Bundle:
    """One role as an environment has it: default variables and resources by id."""

    name: str
    variables: Mapping[str, Node]
    drafts: dict[str, Draft]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who gets a role: for each label the values that will do. No labels: every host."""

    role: str
    node: Node
    match: tuple[tuple[str, frozenset[str]], ...]

    def meets(self, labels: Mapping[str, str]) -> bool:
        return all(labels.get(key) in values for key, values in self.match)


def assignments(environment: Merged) -> tuple[Assignment, ...]:
    """By name, so that the order of files says nothing."""
    found = []
    for role, node in sorted(children(member(environment.settings, "roles")).items()):
        match = []
        for key, wanted in sorted(children(member(node, "match")).items()):
            value = wanted.plain()
            match.append((key, frozenset(map(word, value if isinstance(value, list) else [value]))))
        found.append(Assignment(role, node, tuple(match)))
    return tuple(found)


def word(value: object) -> str:
    """A label's value as people write it."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def bundle(name: str, nodes: Iterable[Node | None], drift: Drift, kinds: Mapping[str, Kind]) -> Bundle:
    """A role's files, weakest first and prepared, into one."""
    problems: list[Problem] = []
    node = merge_all(nodes, problems)
    own = member(node, "drift")
    default: Drift = own.value if own is not None and own.value in ("correct", "report") else drift
    drafts = {}
    for kind_name, members in sorted(children(member(node, "resources")).items()):
        for title, resource in sorted(children(members).items()):
            if kind_name in kinds:
                one = Draft(f"{kind_name}:{title}", kinds[kind_name], title, resource, name, default)
                drafts[one.id] = one
    return Bundle(name, children(member(node, "vars")), drafts, tuple(problems))


def overlaid(bundles: list[Bundle], overlay: Node, host: Bundle, problems: list[Problem]) -> list[Bundle]:
    """The host's own resources over those of its roles; `host` takes what no role has."""
    result = [replace(one, drafts=dict(one.drafts)) for one in bundles]
    for kind_name, members in sorted(children(member(overlay, "resources")).items()):
        if members.tag in ("remove", "replace"):
            _drop_kind(kind_name, members, result, problems)
        for title, node in sorted(children(members).items()):
            _over(f"{kind_name}:{title}", node, result, problems)
    return [*result, host]


def _drop_kind(kind: str, node: Node, bundles: list[Bundle], problems: list[Problem]) -> None:
    found = False
    for one in bundles:
        for gone in [i for i, draft in one.drafts.items() if draft.kind.name == kind]:
            del one.drafts[gone]
            found = True
    if not found and node.tag == "remove":
        settle(Node({"": node}, node.origin), problems)


def _over(resource_id: str, node: Node, bundles: list[Bundle], problems: list[Problem]) -> None:
    for one in bundles:
        draft = one.drafts.get(resource_id)
        if draft is None:
            continue
        merged = merge_all([draft.node, node], problems)
        if merged is None:
            del one.drafts[resource_id]
        else:
            one.drafts[resource_id] = Draft(draft.id, draft.kind, draft.name, merged, draft.role, draft.drift)


def host_bundle(overlay: Node, bundles: list[Bundle], drift: Drift, kinds: Mapping[str, Kind]) -> Bundle:
    """What hosts/NAME.yaml adds that no role of the host has. Its tags have nothing below: said as a problem."""
    taken = {i for one in bundles for i in one.drafts}
    left: dict[str, Node] = {}
    for kind_name, members in children(member(overlay, "resources")).items():
        fresh = {t: n for t, n in children(members).items() if f"{kind_name}:{t}" not in taken}
        if fresh:
            left[kind_name] = replace(members, value=fresh, tag="")
    resources = Node(left, overlay.origin)
    return bundle("", [Node({"resources": resources}, overlay.origin)], drift, kinds)


def undefined(assigned: Assignment, defined: Iterable[str]) -> Problem:
    """A role that hosts are to have and no layer describes."""
    origin = assigned.node.key or assigned.node.origin
    message = f"role `{assigned.role}` is defined nowhere"
    return Problem(origin, message, f"roles/{assigned.role}.yaml in one of its layers", near(assigned.role, defined))
