"""Cases as data: one YAML file each below cases/KIND/. In: those files; out: `Case` values.

A case says what is on a host before, what the plan must be, what must hold afterwards, and what `absent` must leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

CASES = Path(__file__).resolve().parent / "cases"


@dataclass(frozen=True, slots=True)
class Case:
    """One case.

    about: one sentence. resources: kind → name → attributes, as a role has them. files: below files/, for templates.
    before: shell text that sets the stage. expect: resource id → action, and where it is an update its attributes;
    what is not named must not be in the plan. verdict: of the apply; says: what some failed outcome must hold.
    after: shell text that must succeed afterwards. undo: resources again, with `ensure: absent`; gone: shell text
    that must succeed after that. flavours: hosts on which it makes sense.
    """

    kind: str
    name: str
    about: str
    resources: Mapping[str, Any]
    expect: Mapping[str, Mapping[str, Any]]
    files: Mapping[str, str] = field(default_factory=dict)
    before: str = ""
    verdict: str = "changed"
    says: str = ""
    after: str = ""
    undo: Mapping[str, Any] = field(default_factory=dict)
    gone: str = ""
    flavours: tuple[str, ...] = ("dash", "bash", "busybox")


def cases() -> list[Case]:
    """All of them, in the order of their files. Raises TypeError for a key that a case cannot have."""
    found = []
    for path in sorted(CASES.glob("*/*.yaml")):
        said = yaml.safe_load(path.read_text())
        said["flavours"] = tuple(said.get("flavours", ("dash", "bash", "busybox")))
        found.append(Case(kind=path.parent.name, name=path.stem, **said))
    return found
