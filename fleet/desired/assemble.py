"""One environment: its layers in, a HostSpec for each of its hosts out. Problems are collected, host by host."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fleet.desired.api import misplaced, named
from fleet.desired.build import Built, completed
from fleet.desired.connection import Via, bastions, merged_connection, target
from fleet.desired.findings import Finding, Findings
from fleet.desired.format import Shape
from fleet.desired.graph import Part, arrange
from fleet.desired.inventory import Entry, Merged, merged, prepared
from fleet.desired.jinja import FactsNeeded
from fleet.desired.load import Layer, profile_paths
from fleet.desired.profiles import over
from fleet.desired.roles import Assignment, Bundle, assignments, bundle, host_bundle, overlaid, undefined, word
from fleet.desired.rollout import rollout, sweep, windows
from fleet.desired.scope import RESERVED, Surroundings, Variables, View
from fleet.desired.secrets import Secrets, secrets_of
from fleet.desired.source import Tree
from fleet.desired.template import Engine
from fleet.desired.wrong import Wrong
from fleet.errors import Origin, Problem
from fleet.model.host import Drift, Graph, HostSpec, Resource, Target
from fleet.model.kind import Kind
from fleet.model.rollout import SWEEP, RolloutPolicy, Window
from fleet.model.value import Node, children, member

Facts = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class HostDetail:
    """What explain and impact ask about a host. entry: as hosts.yaml has it; view: role → everything in scope there."""

    entry: Entry
    built: tuple[Built, ...]
    view: Callable[[str], View]


@dataclass(frozen=True, slots=True)
class EnvironmentSpec:
    """One environment, compiled. layers: strongest last. hosts and details: by name, sorted.

    settings: the merged environment.yaml, with its chain. assigned: which roles it gives, and to whom. rollout,
    windows, sweep: what it says of how and when its hosts are changed, and how often (seconds) they are looked at.
    """

    name: str
    layers: tuple[str, ...]
    hosts: Mapping[str, HostSpec]
    settings: Node = field(repr=False)
    assigned: tuple[Assignment, ...] = field(default=(), repr=False)
    details: Mapping[str, HostDetail] = field(default_factory=dict, repr=False)
    secrets: Secrets = field(default_factory=Secrets, repr=False)
    kinds: Mapping[str, Kind] = field(default_factory=dict, repr=False)
    rollout: RolloutPolicy = field(default=RolloutPolicy(), repr=False)
    windows: tuple[Window, ...] = field(default=(), repr=False)
    sweep: float = SWEEP


@dataclass(slots=True, eq=False)
class _Host:
    """A host while it is put together."""

    entry: Entry
    fields: dict[str, Any]
    variables: Mapping[str, Node]
    facts: Mapping[str, Any] | None
    roles: tuple[str, ...] = ()


class Assembler:
    """Remembers roles, parts and graphs between environments and revisions, by content."""

    def __init__(self, kinds: Mapping[str, Kind], shapes: Mapping[str, Shape], engine: Engine) -> None:
        self._kinds, self._shapes, self._engine = kinds, shapes, engine
        self._bundles: dict[object, Bundle] = {}
        self._used: dict[str, dict[object, Bundle]] = {}  # by environment, as it was last put together
        self._before: dict[object, Bundle] = {}
        self._graphs: dict[tuple[int, ...], tuple[Graph, tuple[Problem, ...]]] = {}
        self._parts: dict[Part, int] = {}

    def forget(self) -> None:
        """Between revisions: what neither this one nor the one before used is remembered no more."""
        used = {key: one for several in self._used.values() for key, one in several.items()}
        self._bundles, self._before = self._before | used, used
        for one in used.values():
            for draft in one.drafts.values():
                draft.forget()
        if len(self._graphs) > 20_000 or len(self._parts) > 200_000:
            self._graphs, self._parts = {}, {}

    def assemble(
        self, name: str, layers: tuple[Layer, ...], tree: Tree, facts: Facts
    ) -> tuple[EnvironmentSpec, tuple[Finding, ...]]:
        """Never raises for what files say; a host that cannot be compiled is left out and named in a problem."""
        findings, self._used[name] = Findings(name), {}
        environment = merged(name, layers, self._shapes, findings.common)
        _reserved(children(member(environment.settings, "vars")), findings)
        around = Surroundings(name, self._engine, _files(environment, tree), tree.read)
        around.secrets = secrets_of(environment, tree, findings.common)
        tables = _Tables(children(member(environment.settings, "vars")))
        kinds = over(self._kinds, {name: kind for layer in layers for name, kind in layer.profiles.items()})
        hosts, targets = self._inventory(environment, facts, around, tables, findings)
        bundles, assigned = self._roles(environment, tree, kinds, findings)
        for host in hosts.values():
            host.roles = tuple(one.role for one in assigned if one.role in bundles and one.meets(host.fields["labels"]))
        around.peers = _peers(hosts)
        specs: dict[str, HostSpec] = {}
        details: dict[str, HostDetail] = {}
        for host_name, host in hosts.items():
            if host_name not in targets:
                continue
            mine = self._mine(environment, host, [bundles[role] for role in host.roles], kinds, findings)
            built, uses_facts = _build(host, mine, around, tables, findings)
            built = completed(built, kinds, not uses_facts or host.facts is not None)
            order = self._order(built, host_name, findings)
            spec = _spec(host, targets[host_name], built, order, uses_facts)
            inside = View(around, tables.of("", {}, host.variables), host.fields, host.facts)
            spec = _equipped(spec, environment.settings, inside, findings)
            for problem in misplaced(spec, kinds):
                findings.of(host_name, problem)
            specs[host_name] = spec
            details[host_name] = HostDetail(host.entry, tuple(built.values()), _views(host, mine, around, tables))
        chain = tuple(one.name for one in layers)
        said = EnvironmentSpec(name, chain, specs, environment.settings, assigned, details, around.secrets, kinds)
        return _paced(said, findings.common), findings.all()

    def _inventory(
        self, environment: Merged, facts: Facts, whole: Surroundings, tables: _Tables, findings: Findings
    ) -> tuple[dict[str, _Host], dict[str, Target]]:
        around = Surroundings(environment.name, self._engine)
        known_hosts = "".join(_ended(whole.read(one.known_hosts)) for one in environment.layers if one.known_hosts)
        hosts: dict[str, _Host] = {}
        reached: dict[str, tuple[Target, Via | None]] = {}
        connections: dict[int, Node | None] = {}
        for name, entry in sorted(environment.hosts.items()):
            own = children(member(entry.node, "vars"))
            if id(entry.node) not in connections:
                _reserved(own, findings)
                connections[id(entry.node)] = merged_connection(environment, entry, findings.common)
            fields: dict[str, Any] = {"name": name, "environment": environment.name, "index": entry.index}
            host = _Host(entry, fields, own, facts.get(name))
            view = View(around, tables.of("", {}, own), fields, None)
            try:
                labels, address = _labels(entry.node, view), _address(entry.node, view)
                inside = View(whole, view.variables, fields, None)
                reached[name] = target(connections[id(entry.node)], address, inside, known_hosts)
            except Wrong as wrong:
                findings.of(name, wrong.problem)
                continue
            except FactsNeeded:
                findings.of(name, Problem(entry.origin, "`facts` cannot be used to describe a host"))
                continue
            host.fields = {**fields, "labels": labels, "address": reached[name][0].address}
            hosts[name] = host
        refused: dict[str, Problem] = {}
        targets = bastions(reached, environment.hosts, refused)
        findings.common.extend(dict.fromkeys(refused.values()))  # once, for all hosts of an entry or an environment
        return hosts, targets

    def _roles(
        self, environment: Merged, tree: Tree, kinds: Mapping[str, Kind], findings: Findings
    ) -> tuple[dict[str, Bundle], tuple[Assignment, ...]]:
        drift = _default_drift(environment.settings)
        assigned = assignments(environment)
        defined = sorted({name for layer in environment.layers for name in layer.roles})
        found: dict[str, Bundle] = {}
        for one in assigned:
            if one.role not in defined:
                findings.common.append(undefined(one, defined))
                continue
            found[one.role] = self._bundle(one.role, environment.layers, drift, (tree, kinds))
            findings.common.extend(found[one.role].problems)
            _reserved(found[one.role].variables, findings)
        return found, assigned

    def _bundle(
        self, role: str, layers: tuple[Layer, ...], drift: Drift, read: tuple[Tree, Mapping[str, Kind]]
    ) -> Bundle:
        tree, kinds = read
        nodes = [(layer.name, layer.roles.get(role)) for layer in layers]
        said = [(name, node, tree.entries.get(node.origin.file)) for name, node in nodes if node is not None]
        content = tuple((name, node.origin.file, entry.blob if entry else id(node)) for name, node, entry in said)
        own = tuple(tree.entries[path].blob for layer in layers for path in profile_paths(layer))
        key = (role, drift, content, own)
        one = self._bundles.get(key)
        if one is None:
            shape = self._shapes["role"]
            one = bundle(role, [prepared(node, name, shape) for name, node, _ in said], drift, kinds)
            self._bundles[key] = one
        self._used[layers[-1].name][key] = one
        return one

    def _mine(
        self, environment: Merged, host: _Host, roles: list[Bundle], kinds: Mapping[str, Kind], findings: Findings
    ) -> list[Bundle]:
        overlay = host.entry.overlay
        if overlay is None:
            return roles
        own = member(overlay, "drift")
        drift: Drift = _default_drift(environment.settings) if own is None else _default_drift(overlay)
        added = host_bundle(overlay, roles, drift, kinds)
        findings.common.extend(added.problems)
        return overlaid(roles, overlay, added, findings.common)

    def _order(self, built: Mapping[str, Built], host: str, findings: Findings) -> Graph:
        key = tuple([self._parts.setdefault(one.part, len(self._parts)) for one in built.values()])
        known = self._graphs.get(key)
        if known is None:
            problems: list[Problem] = []
            known = self._graphs[key] = (arrange([one.part for one in built.values()], problems), tuple(problems))
        for problem in known[1]:
            findings.of(host, problem)
        return known[0]


def _paced(spec: EnvironmentSpec, problems: list[Problem]) -> EnvironmentSpec:
    said = spec.settings
    how, when, often = rollout(said, problems), windows(said, problems), sweep(said, problems)
    return replace(spec, rollout=how, windows=when, sweep=often)


class _Tables:
    """Variables by role and host entry: hosts of one range share them."""

    def __init__(self, environment: Mapping[str, Node]) -> None:
        self._environment = environment
        self._known: dict[tuple[str, int], Variables] = {}
        self._kept: list[Mapping[str, Node]] = []

    def of(self, role: str, defaults: Mapping[str, Node], host: Mapping[str, Node]) -> Variables:
        found = self._known.get((role, id(host) if host else 0))
        if found is None:
            self._kept.append(host)
            found = self._known[role, id(host) if host else 0] = Variables(defaults, self._environment, host)
        return found


def _views(host: _Host, bundles: list[Bundle], around: Surroundings, tables: _Tables) -> Callable[[str], View]:
    defaults = {one.name: one.variables for one in bundles}

    def view(role: str) -> View:
        return View(around, tables.of(role, defaults.get(role, {}), host.variables), host.fields, host.facts)

    return view


def _build(
    host: _Host, bundles: list[Bundle], around: Surroundings, tables: _Tables, findings: Findings
) -> tuple[dict[str, Built], bool]:
    """The host's resources by id, sorted; and whether some template reads facts."""
    found: dict[str, Built] = {}
    waiting: set[str] = set()
    uses_facts = False
    for one in bundles:
        view = View(around, tables.of(one.name, one.variables, host.variables), host.fields, host.facts)
        for draft in one.drafts.values():
            built = draft.constant
            if built is None:
                try:
                    built = draft.built(view)
                except Wrong as wrong:
                    for problem in wrong.problems:
                        findings.of(host.entry.name, problem)
                    waiting.add(draft.id)
                    continue
                except FactsNeeded:
                    waiting.add(draft.id)
                    uses_facts = True
                    continue
                uses_facts = uses_facts or ("facts",) in built.reads
            other = found.setdefault(draft.id, built)
            if other is not built and other.resource.digest != built.resource.digest:
                findings.of(host.entry.name, _quarrel(other.resource, built.resource))
    if waiting:
        _leave_out(found, waiting)
    return {name: found[name] for name in sorted(found)}, uses_facts


def _leave_out(found: dict[str, Built], waiting: set[str]) -> None:
    """What needs something that cannot be known yet is not to be had before it either."""
    while True:
        more = [name for name, one in found.items() if waiting & set(one.resource.needs)]
        if not more:
            return
        for name in more:
            waiting.add(name)
            del found[name]


def _quarrel(first: Resource, second: Resource) -> Problem:
    message = f"roles `{first.role}` and `{second.role}` do not say the same of `{first.id}`"
    expected = "one owner for each thing on a host, or the same words"
    return Problem(second.origin, message, expected, also=(first.origin,))


def _spec(host: _Host, reached: Target, built: Mapping[str, Built], graph: Graph, uses_facts: bool) -> HostSpec:
    resources = tuple([built[name].resource for name in graph.order])
    name, environment = host.fields["name"], host.fields["environment"]
    said = [
        [environment, _reach(reached)],
        [one.digest for one in resources],
        [graph.needs[name] for name in graph.order],
    ]
    digest = hashlib.sha256(json.dumps(said, separators=(",", ":")).encode()).hexdigest()
    return HostSpec(
        name,
        environment,
        reached,
        host.roles,
        host.fields["labels"],
        resources,
        graph,
        digest,
        uses_facts,
        host.entry.origin,
    )


def _equipped(spec: HostSpec, settings: Node, view: View, findings: Findings) -> HostSpec:
    """With where its secrets are to be had, and how its APIs are reached."""
    secrets = view.around.secrets or Secrets()
    own = secrets.sources(spec.name, [one.secrets for one in spec.resources])
    try:
        apis = named(spec.resources, settings, view)
    except Wrong as wrong:
        findings.of(spec.name, wrong.problem)
        apis = ()
    if not own and not apis:
        return spec
    return replace(spec, secrets=own, target=replace(spec.target, apis=apis) if apis else spec.target)


def _reach(reached: Target) -> list[Any]:
    """What the host itself is reached by; a neighbour's key or a limit of the environment is no change of the host."""
    via = _reach(reached.via) if reached.via is not None else None
    own = reached.api.url if reached.api is not None else reached.port
    return [reached.host, reached.type, reached.address, own, reached.user, reached.become, via]


def _labels(node: Node, view: View) -> dict[str, str]:
    return {key: word(view.render(label)) for key, label in sorted(children(member(node, "labels")).items())}


def _address(node: Node, view: View) -> str:
    address = member(node, "address")
    value = "" if address is None else view.render(address)
    if not isinstance(value, str | int) or " " in str(value) or str(value).startswith("-"):
        origin = node.origin if address is None else address.origin
        raise Wrong(Problem(origin, "`address` is not right", "a name or an address"))
    return str(value)


def _default_drift(node: Node) -> Drift:
    said = member(node, "drift")
    return "report" if said is not None and said.value == "report" else "correct"


def _files(environment: Merged, tree: Tree) -> dict[str, tuple[str, str]]:
    return {name: (path, tree.entries[path].blob) for name, path in environment.files.items()}


def _peers(hosts: Mapping[str, _Host]) -> Callable[[str, tuple[tuple[str, Any], ...]], list[dict[str, Any]]]:
    def answer(role: str, labels: tuple[tuple[str, Any], ...]) -> list[dict[str, Any]]:
        wanted = [(key, set(map(word, v)) if isinstance(v, tuple) else {word(v)}) for key, v in labels]
        return [
            {
                "name": name,
                "host": name,
                "address": host.fields["address"],
                "labels": host.fields["labels"],
            }
            for name, host in sorted(hosts.items())
            if (not role or role in host.roles) and all(host.fields["labels"].get(k) in v for k, v in wanted)
        ]

    return answer


def _reserved(variables: Mapping[str, Node], findings: Findings) -> None:
    for name, node in variables.items():
        if name in RESERVED:
            origin: Origin = node.key or node.origin
            taken = ", ".join(RESERVED)
            findings.common.append(Problem(origin, f"a variable cannot be called `{name}`", f"any name but {taken}"))


def _ended(content: bytes) -> str:
    text = content.decode(errors="backslashreplace")
    return text if not text or text.endswith("\n") else text + "\n"
