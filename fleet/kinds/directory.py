"""`directory`: a directory with this owner, group and mode; with `purge`, nothing in it that nobody names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import Field

from fleet.kinds import _path_steps, _paths
from fleet.kinds._paths_answer import Seen
from fleet.kinds._spec import Account, EnsureField, Mode, Spec, check_path, named, owners, parents
from fleet.model.change import Change, Observed, Unreadable
from fleet.model.host import Resource
from fleet.model.kind import Kind, Probe, Stage
from fleet.model.step import Guard, Script, Step
from fleet.model.value import State


class DirectorySpec(Spec):
    """A directory.

    directory:
      /etc/nginx/sites-enabled:
        mode: "0755"
        purge: true
        keep: [default]
    """

    owner: Account | None = Field(None, description="Name or number of the owner; left alone unless said.")
    group: Account | None = Field(None, description="Name or number of the group; left alone unless said.")
    mode: Mode | None = Field(None, description='Octal mode in quotes, such as "0644"; left alone unless said.')
    purge: bool = Field(False, description="Remove files and links directly in it that no resource of the host names.")
    keep: tuple[str, ...] = Field((), description="With purge: other names in it that stay.", strict=False)
    ensure: EnsureField = "present"


def state(name: str, spec: DirectorySpec, content: bytes | None) -> State | None:
    if spec.ensure == "absent":
        return None
    wanted: dict[str, Any] = {"type": "directory"}
    wanted |= {k: v for k, v in (("owner", spec.owner), ("group", spec.group), ("mode", spec.mode)) if v is not None}
    return wanted | ({"unnamed": ()} if spec.purge else {})


def complete(resource: Resource, claims: Iterable[str] | None) -> Resource:
    """With purge, what other resources of the host have in it stays: their business, whether present or absent.
    While those are not all known, nothing is purged."""
    spec: DirectorySpec = resource.spec
    if not spec.purge or resource.desired is None:
        return resource
    if claims is None:
        patient = {key: value for key, value in resource.desired.items() if key != "unnamed"}
        return replace(resource, desired=patient)
    inside = resource.name.rstrip("/") + "/"
    paths = (claim.partition(":")[2].partition("#")[0] for claim in claims if claim.startswith(("path:", "block:")))
    named = {path.removeprefix(inside).partition("/")[0] for path in paths if path.startswith(inside)}
    return replace(resource, spec=spec.model_copy(update={"keep": tuple(sorted(named | set(spec.keep)))}))


def observe(resources: Sequence[Resource]) -> Probe:
    def arg(resource: Resource) -> str:
        return _paths.want_entries(resource.name) if resource.spec.purge else _paths.want_stat(resource.name)

    return _paths.observe(resources, lambda r: r.name, arg, _observed)


def _observed(resource: Resource, seen: Seen | Unreadable | None) -> Observed:
    if not isinstance(seen, Seen):
        return seen
    spec: DirectorySpec = resource.spec
    found = _paths.attributes(seen, spec.owner, spec.group)
    if spec.purge and seen.entries is not None:
        found["unnamed"] = tuple(name for name in seen.entries if name not in spec.keep)
    return found


def fix(changes: Sequence[Change]) -> Mapping[str, tuple[Step, ...]]:
    return {change.resource.id: _steps(change) for change in changes}


def _steps(change: Change) -> tuple[Step, ...]:
    path, before = change.resource.name, change.before
    spec: DirectorySpec = change.resource.spec
    if before is not None and before["type"] != "directory":
        return (_path_steps.in_the_way(path, before["type"]),)
    still = Guard('[ -d "$1" ] && ! [ -L "$1" ]\n', (path,))
    if change.after is None:
        # Only an empty directory goes: what else is in it nobody has named.
        return (still, Script(_REMOVE, (path,)))
    if before is None:
        make = Script(_MAKE, (path, spec.mode or ""))
        return (
            Guard('! [ -e "$1" ] && ! [ -L "$1" ]\n', (path,)),
            make,
            *_path_steps.own_directory(path, spec.owner, spec.group, spec.mode),
        )
    steps: list[Step] = [still]
    if {"owner", "group", "mode"} & set(change.attributes):
        steps += _path_steps.own_directory(path, spec.owner, spec.group, spec.mode)
    if "unnamed" in change.attributes:
        steps.append(Script(_PURGE, (path, *before["unnamed"])))
    return tuple(steps)


_MAKE = 'up=${1%/*}; fl_enter "${up:-/}" && mkdir ${2:+-m "$2"} -- "./${1##*/}"\n'
_REMOVE = 'up=${1%/*}; fl_enter "${up:-/}" && rmdir -- "./${1##*/}"\n'
# Exactly the names that the plan showed, files and links only: never a directory, and so never a mount.
_PURGE = """\
fl_enter "$1" || return; shift; left=0
for e do
  if [ -d "$e" ] && ! [ -L "$e" ]; then printf '%s\\n' "$e is a directory: remove it by hand"; left=1
  else rm -f -- "./$e" || left=1; fi
done
return "$left"
"""


KIND = Kind(
    name="directory",
    doc="A directory with this owner, group and mode; with purge, nothing in it that nobody names.",
    Spec=DirectorySpec,
    stage=Stage.DIRECTORY,
    state=state,
    observe=observe,
    fix=fix,
    witness=lambda resource: (resource.name, *named(resource.spec.owner, resource.spec.group)),
    check=check_path,
    owns=lambda name, spec: (f"path:{name}",),
    wants=lambda name, spec: (*parents(name), *owners(spec.owner, spec.group)),
    complete=complete,
)
