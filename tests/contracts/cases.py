"""A case is data: what a host is like before, what it should be, which changes follow, how it looks after.

One file `tests/cases/KIND/WHAT.yaml`:

    what: a sentence that says what this case shows
    flavours: [dash, bash, busybox]       hosts it is played on (the default: all three)
    resources: {file: {/srv/a: {content: x}}}
    files: {web.conf: "text", raw: !!binary AAEC}    what `template` and `source` name
    before: shell text that makes the host so; after: shell text that exits 0 when all is right
    changes: {"file:/srv/a": [update, content, mode]}   action and attributes, in order; [] when in sync
    unreadable: {"file:/srv/a": why}      what cannot be observed, and the reason that is given
    verdict: changed                      of the pass that applies (the default), and `says`: words in its output
    given_back: shell text that prints what must be the same before, and after everything was made absent
    gone: shell text that exits 0 after everything was made absent
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from fleet.kinds import KINDS
from fleet.model.host import HostSpec, Target
from tests.describe import ENVIRONMENT, compiled

ROOT = Path(__file__).parents[1] / "cases"
TARGET = Target("h1", ENVIRONMENT, "local", output_limit=32 * 1024 * 1024)
# Attributes that say which thing it is, not how it should be: needed to remove it, too.
_SAYS_WHICH = {"block": ("comment",), "authorized_key": ("key",)}
_SHELLS = ("dash", "bash", "busybox")


@dataclass(frozen=True)
class Case:
    """One case, read. changes: resource id → [action, *attributes]."""

    path: Path
    what: str
    resources: Mapping[str, Mapping[str, Mapping[str, Any]]]
    flavours: tuple[str, ...] = _SHELLS
    files: Mapping[str, Any] | None = None
    before: str = ""
    after: str = ""
    changes: Mapping[str, list[str]] | None = None
    unreadable: Mapping[str, str] | None = None
    verdict: str = "changed"
    says: str = ""
    given_back: str = ""
    gone: str = ""

    @property
    def kind(self) -> str:
        return self.path.parent.name

    @property
    def id(self) -> str:
        return f"{self.kind}/{self.path.stem}"

    def spec(self) -> HostSpec:
        """What the host should be, from the real compiler."""
        return replace(compiled(self.resources, self.files), target=TARGET)

    def absent(self) -> HostSpec:
        """The same host, once nothing of it is wanted any more."""
        gone: dict[str, dict[str, dict[str, Any]]] = {}
        for kind, named in self.resources.items():
            if "ensure" in KINDS[kind].Spec.model_fields:
                kept = _SAYS_WHICH.get(kind, ())
                gone[kind] = {
                    name: {**{one: said[one] for one in kept if said and one in said}, "ensure": "absent"}
                    for name, said in named.items()
                }
        return replace(compiled(gone), target=TARGET)


@cache
def cases() -> tuple[Case, ...]:
    """All of them, sorted."""
    return tuple(_read(path) for path in sorted(ROOT.glob("*/*.yaml")))


def _read(path: Path) -> Case:
    data = yaml.load(path.read_text(), yaml.CSafeLoader)
    case = Case(path, **data)
    return replace(case, flavours=tuple(case.flavours))
