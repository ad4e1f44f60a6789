"""`group`: a local group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field

from fleet.kinds import _accounts
from fleet.kinds._spec import EnsureField, Spec
from fleet.model.change import Change, Observed
from fleet.model.host import Resource
from fleet.model.kind import Kind, Probe, Stage
from fleet.model.step import Guard, Outcome, Script, Step
from fleet.model.value import State


class GroupSpec(Spec):
    """A group.

    group:
      deploy: {gid: 2000}
    """

    gid: int | None = Field(None, ge=0, description="Its number; the host chooses unless said.")
    system: bool = Field(False, description="When it is made without a gid: take one of the system's range.")
    ensure: EnsureField = "present"


def state(name: str, spec: GroupSpec, content: bytes | None) -> State | None:
    if spec.ensure == "absent":
        return None
    return {} if spec.gid is None else {"gid": spec.gid}


def observe(resources: Sequence[Resource]) -> Probe:
    def read(outcome: Outcome) -> Mapping[str, Observed]:
        groups = _accounts.read(outcome).groups
        return {r.id: {"gid": g.gid, "line": g.line} if (g := groups.get(r.name)) else None for r in resources}

    return Probe(_accounts.probe(()), read)


def fix(changes: Sequence[Change]) -> Mapping[str, tuple[Step, ...]]:
    return {change.resource.id: _steps(change) for change in changes}


# BusyBox has addgroup and delgroup only, and cannot change a gid.
_ADD = """\
if command -v groupadd >/dev/null 2>&1; then groupadd ${2:+-g "$2"} ${3:+-r} -- "$1"
else addgroup ${2:+-g "$2"} ${3:+-S} "$1"; fi
"""
_REMOVE = """\
if command -v groupdel >/dev/null 2>&1; then groupdel -- "$1"; else delgroup "$1"; fi
"""
SAME = """\
if command -v getent >/dev/null 2>&1; then l=$(getent "$1" "$2"); else l=$(grep "^$2:" "/etc/$1"); fi
[ "$l" = "$3" ] && return
printf '%s\\n' "the entry of $2 in $1 is no longer as it was seen"; return 1
"""


def _steps(change: Change) -> tuple[Step, ...]:
    name, before = change.resource.name, change.before
    spec: GroupSpec = change.resource.spec
    still = Guard(SAME, ("group", name, "" if before is None else before["line"]))
    gid = "" if spec.gid is None else str(spec.gid)
    if change.after is None:
        return (still, Script(_REMOVE, (name,)))
    if before is None:
        return (still, Script(_ADD, (name, gid, "1" if spec.system else "")))
    return (still, Script('groupmod -g "$2" -- "$1"\n', (name, gid)))


KIND = Kind(
    name="group",
    doc="A local group.",
    Spec=GroupSpec,
    stage=Stage.GROUP,
    state=state,
    observe=observe,
    fix=fix,
    witness=lambda resource: ("/etc/group", "/etc/nsswitch.conf"),
    check=_accounts.check_name,
    owns=lambda name, spec: (f"group:{name}",),
    wants=lambda name, spec: (),
)
