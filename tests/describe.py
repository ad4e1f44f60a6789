"""Desired states for tests: a mapping as a role has it, through the real compiler; or single resources, unrendered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from fleet.desired.compile import Compiler
from fleet.desired.graph import Part, arrange
from fleet.desired.load import load
from fleet.desired.source import memory_tree
from fleet.errors import Problem
from fleet.kinds import KINDS
from fleet.model.host import HostSpec, Resource, Target

ENVIRONMENT = "lab"


def compiled(resources: Mapping[str, Any], files: Mapping[str, str | bytes] | None = None) -> HostSpec:
    """One host of a repository that says this. Raises AssertionError with the problems."""
    written = {
        "base/environment.yaml": {"roles": {"all": {}}},
        "base/roles/all.yaml": {"resources": resources},
        "lab/hosts.yaml": {"hosts": {"h1": {}}},
    }
    tree = {path: yaml.safe_dump(data, allow_unicode=True).encode() for path, data in written.items()}
    tree |= {
        f"base/files/{name}": text if isinstance(text, bytes) else text.encode() for name, text in (files or {}).items()
    }
    fleet = Compiler(KINDS).compile(load(memory_tree(tree), KINDS))
    assert not fleet.problems, "\n".join(map(str, fleet.problems))
    (host,) = fleet.hosts
    return host


def resource(kind: str, name: str, content: bytes | str | None = None, **attributes: Any) -> Resource:
    """One resource as it is, no template rendered. content: text, or the bytes of the kinds that carry some."""
    table = KINDS[kind]
    table.check(name)
    if isinstance(content, str):
        attributes["content"], content = content, content.encode()
    elif content is not None:
        attributes["template"] = "x"
    spec = table.Spec(**attributes)
    state = table.state(name, spec, content)
    return Resource(f"{kind}:{name}", kind, name, spec, state, content, digest="x")


def host(resources: Sequence[Resource]) -> HostSpec:
    """With the edges that the compiler would have found."""
    parts = [
        Part(r.id, KINDS[r.kind].stage, KINDS[r.kind].owns(r.name, r.spec), KINDS[r.kind].wants(r.name, r.spec))
        for r in resources
    ]
    problems: list[Problem] = []
    graph = arrange(parts, problems)
    assert not problems
    by_id = {r.id: r for r in resources}
    ordered = tuple(by_id[one] for one in graph.order)
    return HostSpec("h1", ENVIRONMENT, Target("h1", ENVIRONMENT), (), {}, ordered, graph, "")
