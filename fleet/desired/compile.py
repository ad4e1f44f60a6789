"""A loaded revision → every host's HostSpec. Pure; what the repository says wrong is collected, never raised.

A `Compiler` remembers between revisions, by content: an environment whose files are the same is taken over whole, a
role whose files are the same keeps its rendered resources, so that a commit costs what it changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fleet.desired import inventory
from fleet.desired.assemble import Assembler, EnvironmentSpec
from fleet.desired.findings import Finding, joined, news
from fleet.desired.format import documents
from fleet.desired.lazily import Lazily
from fleet.desired.load import Layer, Loaded, profile_paths
from fleet.desired.secrets import common_readers, exposed
from fleet.desired.source import Tree
from fleet.desired.template import Engine
from fleet.desired.unused import unused
from fleet.desired.yaml import excerpt
from fleet.errors import Problem
from fleet.model.host import HostSpec
from fleet.model.kind import Kind

Facts = Mapping[tuple[str, str], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Fleet:
    """Everything one revision says. With problems, what could be compiled is there all the same.

    warnings: what is valid and does nothing; told of whole revisions without problems only.
    broken: the environments that problems concern, one that has only a broken base included.
    """

    revision: str
    label: str
    working_tree: bool
    environments: Mapping[str, EnvironmentSpec]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    broken: frozenset[str] = frozenset()

    @property
    def hosts(self) -> tuple[HostSpec, ...]:
        """Of all environments, by environment and name."""
        return tuple(self)

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """Of all environments; the same name may be another profile in another environment, and is read alike."""
        by_name = {name: one.kinds for one in self.environments.values() for name in one.kinds}
        return Lazily(by_name, lambda name: by_name[name][name])

    def __iter__(self) -> Iterator[HostSpec]:
        for environment in self.environments.values():
            yield from environment.hosts.values()


@dataclass(slots=True)
class _Kept:
    key: object
    spec: EnvironmentSpec
    findings: tuple[Finding, ...]


class Compiler:
    """Holds what earlier revisions rendered; one per process and table of kinds."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self._kept: dict[str, _Kept] = {}
        self._assembler = Assembler(kinds, documents(kinds), Engine())

    def compile(self, loaded: Loaded, environments: Collection[str] | None = None, facts: Facts | None = None) -> Fleet:
        """All environments, or those named. facts: (environment, host) → what the first probe gathered."""
        known = facts or {}
        names = [n for n in inventory.environments(loaded.layers) if environments is None or n in environments]
        found: dict[str, EnvironmentSpec] = {}
        findings: list[Finding] = []
        for name in names:
            kept = self._environment(name, loaded, {host: said for (env, host), said in known.items() if env == name})
            found[name] = kept.spec
            findings += kept.findings
        self._assembler.forget()
        tree = loaded.tree
        chains = {name: spec.layers for name, spec in found.items()}
        told = joined(news(findings, loaded.problems, loaded.layers), chains)
        every = (*loaded.problems, *_quoted(told, tree))
        ordered = tuple(sorted(set(every), key=lambda problem: (problem.origin, problem.message)))
        # What one environment does not use, another may: nothing is said of a part of them.
        whole = environments is None and not ordered
        hosts = [host for one in found.values() for host in one.hosts.values()] if whole else []
        shown = (*common_readers(loaded.layers, chains), *exposed(hosts)) if whole else ()
        warnings = (*unused(loaded.layers, found), *shown) if whole else ()
        broken = frozenset(_broken(loaded.problems, findings, chains))
        quoted = tuple(_quoted(warnings, tree))
        return Fleet(tree.revision, tree.label, tree.uncommitted, found, ordered, quoted, broken)

    def _environment(self, name: str, loaded: Loaded, facts: Mapping[str, Mapping[str, Any]]) -> _Kept:
        problems: list[Problem] = []
        layers = inventory.chain(loaded.layers, name, problems)
        key = (tuple(_content(layer, loaded) for layer in layers), repr(sorted(facts.items())), bool(loaded.problems))
        kept = self._kept.get(name)
        if kept is None or kept.key != key:
            spec, findings = self._assembler.assemble(name, layers, loaded.tree, facts)
            around = tuple([Finding(name, problem) for problem in problems])
            kept = self._kept[name] = _Kept(key, spec, (*around, *findings))
        return kept


def _broken(
    problems: Iterable[Problem], findings: Iterable[Finding], chains: Mapping[str, Collection[str]]
) -> Iterator[str]:
    """Of a file that cannot be read: whoever builds on its layer; of what belongs to no layer: everybody."""
    yield from (one.environment for one in findings)
    layers = {name for chain in chains.values() for name in chain}
    for problem in problems:
        layer = problem.origin.file.partition("/")[0]
        yield from (name for name, chain in chains.items() if layer in chain or layer not in layers)


def _content(layer: Layer, loaded: Loaded) -> tuple[str, ...]:
    """What a layer says, by blob id; a Node that came from no file by itself."""
    nodes = {"environment": layer.environment, "hosts": layer.hosts}
    nodes |= {f"roles/{name}": node for name, node in layer.roles.items()}
    nodes |= {f"hosts/{name}": node for name, node in layer.overlays.items()}
    entries = loaded.tree.entries
    said = [layer.name]
    for where, node in sorted(nodes.items()):
        if node is not None:
            entry = entries.get(node.origin.file)
            said.append(f"{where}={entry.blob if entry is not None else id(node)}")
    paths = {**layer.files, **dict(zip(layer.secrets, layer.secrets, strict=True))}
    paths |= {path: path for path in profile_paths(layer)}
    paths |= {"known_hosts": layer.known_hosts} if layer.known_hosts else {}
    said += [f"{where}:{path}={entries[path].blob}" for where, path in sorted(paths.items())]
    return tuple(said)


def _quoted(problems: Iterable[Problem], tree: Tree) -> Iterator[Problem]:
    """With the line itself, as people see it in their editor; a bound keeps a thousand mistakes cheap."""
    for number, problem in enumerate(sorted(set(problems), key=lambda one: (one.origin, one.message))):
        place = problem.origin
        if number < 500 and place.line and not problem.excerpt and place.file in tree.entries:
            lines = tree.read(place.file).decode(errors="replace").split("\n")
            if place.line <= len(lines):
                problem = replace(problem, excerpt=excerpt(lines[place.line - 1]))  # noqa: PLW2901
        yield problem
