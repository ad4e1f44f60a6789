"""`symlink`: a symbolic link with exactly this target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

from pydantic import Field, field_validator, model_validator

from fleet.kinds import _path_steps, _paths
from fleet.kinds._paths_answer import Seen
from fleet.kinds._spec import EnsureField, Spec, check_path, check_text, parents
from fleet.model.change import Change, Observed, Unreadable
from fleet.model.host import Resource
from fleet.model.kind import Kind, Probe, Stage
from fleet.model.step import Guard, Script, Step
from fleet.model.value import State


class SymlinkSpec(Spec):
    """A symbolic link.

    symlink:
      /etc/nginx/sites-enabled/shop:
        target: ../sites-available/shop
    """

    target: str | None = Field(None, description="Where it points, as readlink(1) shows it.")
    ensure: EnsureField = "present"

    @field_validator("target")
    @classmethod
    def _one_line(cls, value: str | None) -> str | None:
        if value is not None:
            check_text(value, "target")
        return value

    @model_validator(mode="after")
    def _has_target(self) -> Self:
        if (self.target is None) == (self.ensure == "present"):
            raise ValueError("expected a target, unless the link is absent")
        return self


def state(name: str, spec: SymlinkSpec, content: bytes | None) -> State | None:
    return None if spec.ensure == "absent" else {"type": "symlink", "target": spec.target}


def observe(resources: Sequence[Resource]) -> Probe:
    return _paths.observe(resources, lambda r: r.name, lambda r: _paths.want_stat(r.name), _observed)


def _observed(resource: Resource, seen: Seen | Unreadable | None) -> Observed:
    return {"type": seen.type, "target": seen.target} if isinstance(seen, Seen) else seen


def fix(changes: Sequence[Change]) -> Mapping[str, tuple[Step, ...]]:
    return {change.resource.id: _steps(change) for change in changes}


# Made beside its place and renamed, so that the path is never without a link.
_LINK = 'fl_room "$1" && ln -s -- "$2" "./$n" && fl_move "$n"\n'


def _steps(change: Change) -> tuple[Step, ...]:
    path, before = change.resource.name, change.before
    if before is None:
        still = Guard('! [ -e "$1" ] && ! [ -L "$1" ]\n', (path,))
    elif before["type"] != "symlink":
        return (_path_steps.in_the_way(path, before["type"]),)
    else:
        still = Guard('[ -L "$1" ] && [ "$(readlink -- "$1")" = "$2" ]\n', (path, before["target"]))
    if change.after is None:
        return (still, _path_steps.remove(path))
    return (still, Script(_LINK, (path, change.after["target"])))


KIND = Kind(
    name="symlink",
    doc="A symbolic link with exactly this target.",
    Spec=SymlinkSpec,
    stage=Stage.FILE,
    state=state,
    observe=observe,
    fix=fix,
    witness=lambda resource: (resource.name,),
    check=check_path,
    owns=lambda name, spec: (f"path:{name}",),
    wants=lambda name, spec: parents(name),
)
