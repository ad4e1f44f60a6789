"""`file`: a regular file with exactly this content, owner, group and mode."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from fleet.kinds import _path_steps, _paths
from fleet.kinds._paths_answer import Seen
from fleet.kinds._spec import CLOSED, Account, EnsureField, Mode, Spec, check_path, named, owners, parents
from fleet.model import sealed
from fleet.model.change import Change, Observed, Unreadable
from fleet.model.host import Resource
from fleet.model.kind import Kind, Probe, Stage
from fleet.model.step import Put, Step
from fleet.model.value import State


class FileSpec(Spec):
    """A regular file. Exactly one of content, template and source says what is in it.

    file:
      /etc/nginx/nginx.conf:
        template: web/nginx.conf.j2
        mode: "0644"
        validate: nginx -t -c {path}
    """

    secrets: ClassVar[frozenset[str]] = frozenset({"content"})

    content: str | None = Field(None, description="The text itself.")
    template: str | None = Field(None, description="A file below files/, rendered with Jinja2.")
    source: str | None = Field(None, description="A file below files/, byte for byte.")
    owner: Account | None = Field(None, description="Name or number of the owner; left alone unless said.")
    group: Account | None = Field(None, description="Name or number of the group; left alone unless said.")
    mode: Mode | None = Field(None, description='Octal mode in quotes, such as "0644"; left alone unless said.')
    # The attribute's name in the repository is `validate`, which pydantic keeps for itself.
    check: str | None = Field(None, alias="validate", description="A command that must accept {path} before it counts.")
    sensitive: bool = Field(False, description="Never show or record what is in it.")
    ensure: EnsureField = "present"

    @field_validator("check")
    @classmethod
    def _has_path(cls, value: str | None) -> str | None:
        if value is not None and "{path}" not in value:
            raise ValueError("expected a command with {path} where the file's name goes")
        if value is not None:
            shlex.split(value)
        return value

    @model_validator(mode="after")
    def _one_content(self) -> Self:
        given = [name for name in ("content", "template", "source") if getattr(self, name) is not None]
        if self.ensure == "absent" and given:
            raise ValueError(f"a file that is absent has no {given[0]}")
        if self.ensure == "present" and len(given) != 1:
            raise ValueError("expected exactly one of content, template and source")
        return self


def state(name: str, spec: FileSpec, content: bytes | None) -> State | None:
    if spec.ensure == "absent":
        return None
    data = content or b""
    digest = hashlib.sha256(data).hexdigest() if spec.source is not None else sealed.sha256(data)
    wanted: dict[str, Any] = {"type": "file", "sha256": digest}
    mode = spec.mode or (CLOSED if spec.sensitive or sealed.holds(digest) else None)
    wanted |= {k: v for k, v in (("owner", spec.owner), ("group", spec.group), ("mode", mode)) if v is not None}
    return wanted


def observe(resources: Sequence[Resource]) -> Probe:
    def arg(resource: Resource) -> str:
        digest = resource.desired["sha256"] if resource.desired is not None else ""
        return _paths.want(resource.name, digest, content=not resource.sensitive)

    return _paths.observe(resources, lambda r: r.name, arg, _observed)


def _observed(resource: Resource, seen: Seen | Unreadable | None) -> Observed:
    if not isinstance(seen, Seen):
        return seen
    spec: FileSpec = resource.spec
    found = _paths.attributes(seen, spec.owner, spec.group) | {"size": seen.size}
    if _closed(resource) and not int(found["mode"], 8) & ~int(CLOSED, 8):
        found["mode"] = CLOSED  # narrower is as good
    if seen.type == "file":
        if not seen.digest:
            return Unreadable("it exists, but its content cannot be read")
        found["sha256"] = seen.digest
        if seen.content is not None:
            found["content"] = seen.content
    return found


def _closed(resource: Resource) -> bool:
    """Whether its mode is ours to close, not the repository's to say."""
    return resource.spec.mode is None and resource.desired is not None and resource.desired.get("mode") == CLOSED


def fix(changes: Sequence[Change]) -> Mapping[str, tuple[Step, ...]]:
    return {change.resource.id: _steps(change) for change in changes}


def _steps(change: Change) -> tuple[Step, ...]:
    resource, before = change.resource, change.before
    spec: FileSpec = resource.spec
    if before is not None and before["type"] != "file":
        return (_path_steps.in_the_way(resource.name, before["type"]),)
    seen = before["sha256"] if before is not None else ""
    if change.after is None:
        return (_path_steps.same(resource.name, seen), _path_steps.remove(resource.name))
    mode = spec.mode or ""
    if _closed(resource) and (before is None or "mode" in change.attributes):
        mode = CLOSED
    if before is not None and seen == change.after["sha256"]:
        return (
            _path_steps.same(resource.name, seen),
            *_path_steps.own_file(resource.name, spec.owner, spec.group, mode or None),
        )
    validate = tuple(shlex.split(spec.check)) if spec.check else ()
    content = resource.content or b""
    return (Put(resource.name, content, seen, spec.owner or "", spec.group or "", mode, validate),)


def wants(name: str, spec: FileSpec) -> tuple[str, ...]:
    return (*parents(name), *owners(spec.owner, spec.group))


KIND = Kind(
    name="file",
    doc="A regular file with exactly this content, owner, group and mode.",
    Spec=FileSpec,
    stage=Stage.FILE,
    state=state,
    observe=observe,
    fix=fix,
    witness=lambda resource: (resource.name, *named(resource.spec.owner, resource.spec.group)),
    check=check_path,
    owns=lambda name, spec: (f"path:{name}",),
    wants=wants,
)
