"""What environments found wrong → Problems, each told once: not for every host, not for every environment."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from fleet.desired.load import Layer
from fleet.desired.merge import REMOVES_NOTHING
from fleet.errors import Origin, Problem
from fleet.model.value import Node


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem in one environment. hosts: those that have it; none where it is no matter of single hosts."""

    environment: str
    problem: Problem
    hosts: tuple[str, ...] = ()


@dataclass(slots=True)
class Findings:
    """Of one environment, while it is put together."""

    environment: str
    common: list[Problem] = field(default_factory=list)
    hosts: dict[Problem, list[str]] = field(default_factory=dict)

    def of(self, host: str, problem: Problem) -> None:
        self.hosts.setdefault(problem, []).append(host)

    def all(self) -> tuple[Finding, ...]:
        common = [Finding(self.environment, problem) for problem in self.common]
        return (*common, *(Finding(self.environment, one, tuple(names)) for one, names in self.hosts.items()))


def joined(findings: Iterable[Finding], chains: Mapping[str, Collection[str]]) -> Iterator[Problem]:
    """Equal words at one place become one problem. chains: environment → its layers, to know who sees that place.

    Environments are named where some of those that see the place do not have the problem.
    """
    found: dict[tuple[Origin, str, bool], list[Finding]] = {}
    for one in findings:
        found.setdefault((one.problem.origin, one.problem.message, bool(one.hosts)), []).append(one)
    for same in found.values():
        problem = next((one.problem for one in same if one.problem.hint), same[0].problem)
        names = sorted({one.environment for one in same})
        layer = problem.origin.file.partition("/")[0]
        every = all(name in names for name, layers in chains.items() if layer in layers)
        hosts = sorted({f"{one.environment}/{host}" for one in same for host in one.hosts})
        said = f", for {hosts[0]}" if hosts else ""
        if len(hosts) > 1:
            said += f" and {len(hosts) - 1} more host{'s' * (len(hosts) > 2)}"
        if not every and (len(names) > 1 or not hosts):  # of a single environment its host says already which
            said += f", in {', '.join(names)}"
        yield replace(problem, message=problem.message + said) if said else problem


def news(findings: Collection[Finding], known: Collection[Problem], layers: Mapping[str, Layer]) -> Iterator[Finding]:
    """Not what only follows from something that is said already: the same line, a file that could not be read, or a
    removal inside of what is refused as a whole."""
    lines = {(one.origin.file, one.origin.line) for one in known}
    broken = {one.origin.file for one in known}
    idle = {one.problem.origin for one in findings if one.problem.message == REMOVES_NOTHING}
    refused = {one.origin for one in known}
    refused |= {one.problem.origin for one in findings if one.problem.message != REMOVES_NOTHING}
    inside = set(_inside(layers, idle, refused)) if idle and refused else set()
    for finding in findings:
        problem = finding.problem
        if (problem.origin.file, problem.origin.line) in lines:
            continue
        if problem.message == REMOVES_NOTHING and problem.origin in inside:
            continue
        if problem.message.endswith("is defined nowhere") and any(
            path.endswith("/" + problem.expected.split(" ")[0]) for path in broken
        ):
            continue
        yield finding


def _inside(layers: Mapping[str, Layer], idle: set[Origin], refused: set[Origin]) -> Iterator[Origin]:
    """Which of the idle removals stand at or below a refused place of their file."""
    files = {origin.file for origin in idle}
    for layer in layers.values():
        for node in (layer.environment, layer.hosts, *layer.roles.values(), *layer.overlays.values()):
            if node is not None and node.origin.file in files:
                yield from _below(node, refused, within=False)


def _below(node: Node, refused: set[Origin], within: bool) -> Iterator[Origin]:
    within = within or node.origin in refused or node.key in refused
    if within:
        yield node.key or node.origin
    inner = node.value.values() if isinstance(node.value, dict) else node.value
    for child in inner if isinstance(node.value, dict | list) else ():
        yield from _below(child, refused, within)
