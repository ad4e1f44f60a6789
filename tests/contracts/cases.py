"""A case is data: what a host is like before, what it should be, which changes follow, how it looks after.

One file `tests/cases/KIND/WHAT.yaml`:

    what: a sentence that says what this case shows
    flavours: [dash, bash, busybox]       hosts it is played on (the default: all three)
    resources: {file: {/srv/a: {content: x}}}
    files: {web.conf: "text", raw: !!binary AAEC}    what `template` and `source` name
    before: shell text that makes the host so; after: shell text that exits 0 when all is right
    changes: {"file:/srv/a": [update, content, mode]}   action and attributes, in order; [] when in sync
    verdict: changed                      of the pass that applies (the default), and `says`: words in its output
    given_back: shell text that prints what must be the same before, and after everything was made absent
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from fleet.desired.graph import Part, arrange
from fleet.errors import Origin, Problem
from fleet.kinds import KINDS
from fleet.model.host import HostSpec, Resource, Target

ROOT = Path(__file__).parents[1] / "cases"
ENVIRONMENT = "cases"
TARGET = Target("case", ENVIRONMENT, "local", output_limit=32 * 1024 * 1024)
# Attributes that say which thing it is, not how it should be: needed to remove it, too.
_SAYS_WHICH = {"block": ("comment",), "authorized_key": ("key",)}
_WATCHES = {"reload_on": "reload", "restart_on": "restart", "only_on": "run"}


@dataclass(frozen=True)
class Case:
    """One case, read. changes: resource id → [action, *attributes]."""

    path: Path
    what: str
    resources: Mapping[str, Mapping[str, Mapping[str, Any]]]
    flavours: tuple[str, ...] = ("dash", "bash", "busybox")
    files: Mapping[str, Any] | None = None
    before: str = ""
    after: str = ""
    changes: Mapping[str, list[str]] | None = None
    unreadable: Mapping[str, str] | None = None
    verdict: str = "changed"
    says: str = ""
    given_back: str = ""

    @property
    def kind(self) -> str:
        return self.path.parent.name

    @property
    def id(self) -> str:
        return f"{self.kind}/{self.path.stem}"

    def transcript(self, userland: str) -> Path:
        return self.path.with_suffix(f".{userland}.json")

    def spec(self) -> HostSpec:
        """What the host should be."""
        found = [
            _resource(KINDS[kind], name, dict(attributes or {}), self.files or {})
            for kind, named in self.resources.items()
            for name, attributes in named.items()
        ]
        return _host(found)

    def absent(self) -> HostSpec:
        """The same host, once nothing of it is wanted any more."""
        found = []
        for resource in self.spec().resources:
            kind = KINDS[resource.kind]
            given = {name: getattr(resource.spec, name) for name in _SAYS_WHICH.get(resource.kind, ())}
            found.append(_resource(kind, resource.name, {**given, "ensure": "absent"}, {}))
        return _host(found)


def _resource(kind: Any, name: str, attributes: dict[str, Any], files: Mapping[str, Any]) -> Resource:
    """As the compiler builds it, without a repository."""
    watches = {_WATCHES[one]: tuple(attributes.pop(one)) for one in _WATCHES if one in attributes}
    kind.check(name)
    spec = kind.Spec(**attributes)
    given = next((attributes[one] for one in ("template", "source") if attributes.get(one)), None)
    content = files[given] if given is not None else attributes.get("content")
    raw = content.encode() if isinstance(content, str) else content
    desired = kind.state(name, spec, raw)
    sensitive = bool(getattr(spec, "sensitive", False))
    return Resource(
        f"{kind.name}:{name}", kind.name, name, spec, desired, raw, watches=watches, sensitive=sensitive, digest=name
    )


def _host(found: list[Resource]) -> HostSpec:
    here, problems = Origin("case"), list[Problem]()
    parts = []
    for one in found:
        kind = KINDS[one.kind]
        needs = tuple((needed, here) for ids in one.watches.values() for needed in ids)
        owns, wants = kind.owns(one.name, one.spec), kind.wants(one.name, one.spec)
        parts.append(Part(one.id, kind.stage, owns, wants, needs, here, one.desired is None))
    graph = arrange(parts, problems)
    assert not problems, problems
    claims = [claim for part in parts for claim in part.owns]
    for number, one in enumerate(found):
        complete = KINDS[one.kind].complete
        found[number] = one if complete is None else complete(one, claims)
    by_id = {one.id: one for one in found}
    resources = tuple(by_id[one] for one in graph.order)
    return HostSpec("case", ENVIRONMENT, TARGET, (), {}, resources, graph, "")


@cache
def cases() -> tuple[Case, ...]:
    """All of them, sorted."""
    return tuple(_read(path) for path in sorted(ROOT.glob("*/*.yaml")))


def _read(path: Path) -> Case:
    data = yaml.load(path.read_text(), yaml.CSafeLoader)
    case = Case(path, **data)
    return replace(case, flavours=tuple(case.flavours))
