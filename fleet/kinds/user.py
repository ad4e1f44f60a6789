"""`user`: a local user. Passwords are not its business; see authorized_key for logins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, field_validator

from fleet.kinds import _accounts
from fleet.kinds._spec import ACCOUNTS, Account, EnsureField, Spec, check_path
from fleet.kinds.group import SAME
from fleet.model.change import Change, Observed
from fleet.model.host import Resource
from fleet.model.kind import Kind, Probe, Stage
from fleet.model.step import Guard, Outcome, Script, Step
from fleet.model.value import State


class UserSpec(Spec):
    """A user.

    user:
      alice: {uid: 2001, group: deploy, groups: [adm], shell: /bin/bash}
    """

    uid: int | None = Field(None, ge=0, description="Its number; the host chooses unless said.")
    group: Account | None = Field(None, description="The primary group, by name.")
    groups: tuple[str, ...] | None = Field(None, strict=False, description="Exactly these other groups.")
    home: str | None = Field(None, description="Home directory.")
    shell: str | None = Field(None, description="Login shell.")
    comment: str | None = Field(None, description="The GECOS field, usually the full name.")
    system: bool = Field(False, description="When it is made without a uid: take one of the system's range.")
    create_home: bool = Field(True, description="Make the home directory with the user; not for system users.")
    ensure: EnsureField = "present"

    @field_validator("home", "shell")
    @classmethod
    def _paths(cls, value: str | None) -> str | None:
        if value is not None:
            check_path(value)
        return value

    @field_validator("groups")
    @classmethod
    def _sorted(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for name in value or ():
            _accounts.check_name(name)
        return None if value is None else tuple(sorted(set(value)))

    @field_validator("comment")
    @classmethod
    def _one_field(cls, value: str | None) -> str | None:
        if value is not None and any(c in ":,=" or ord(c) < 32 for c in value):
            raise ValueError("a comment cannot hold colons, commas, equals signs or control characters")
        return value


_ATTRIBUTES = ("uid", "group", "groups", "home", "shell", "comment")


def state(name: str, spec: UserSpec, content: bytes | None) -> State | None:
    if spec.ensure == "absent":
        return None
    return {a: value for a in _ATTRIBUTES if (value := getattr(spec, a)) is not None}


def observe(resources: Sequence[Resource]) -> Probe:
    def read(outcome: Outcome) -> Mapping[str, Observed]:
        accounts = _accounts.read(outcome)
        return {r.id: _observed(r, accounts) for r in resources}

    return Probe(_accounts.probe(r.name for r in resources), read)


def _observed(resource: Resource, accounts: _accounts.Accounts) -> Observed:
    user = accounts.users.get(resource.name)
    if user is None:
        return None
    wanted: UserSpec = resource.spec
    numeric = wanted.group is not None and wanted.group.isdecimal()
    found: dict[str, Any] = {
        "uid": user.uid,
        "group": str(user.gid) if numeric else accounts.group_name(user.gid),
        "groups": tuple(sorted(n for n, g in accounts.groups.items() if resource.name in g.members)),
        "home": user.home,
        "shell": user.shell,
        "comment": user.comment,
        "line": user.line,
    }
    return found


def fix(changes: Sequence[Change]) -> Mapping[str, tuple[Step, ...]]:
    return {change.resource.id: _steps(change) for change in changes}


# The first argument is the user, the second "own" where no group is said; the rest are useradd's or usermod's options,
# each already one word. Where a group of the user's name is there already, useradd wants to be told to take it.
_ADD = """\
u=$1 own=$2; shift 2
there() { if command -v getent; then getent group "$1"; else grep "^$1:" /etc/group; fi >/dev/null 2>&1; }
if [ -n "$own" ] && there "$u"; then set -- "$@" -g "$u"; fi
if command -v useradd >/dev/null 2>&1; then useradd "$@" -- "$u"; else
  n=$#; h=
  while [ "$n" -gt 0 ]; do
    case $1 in
      -u|-s) set -- "$@" "$1" "$2"; shift 2; n=$((n - 2)) ;;
      -g) set -- "$@" -G "$2"; shift 2; n=$((n - 2)) ;;
      -d) set -- "$@" -h "$2"; shift 2; n=$((n - 2)) ;;
      -c) set -- "$@" -g "$2"; shift 2; n=$((n - 2)) ;;
      -r) set -- "$@" -S; shift; n=$((n - 1)) ;;
      -M) set -- "$@" -H; shift; n=$((n - 1)) ;;
      -m) shift; n=$((n - 1)) ;;
      *) echo "this host's adduser knows no $1"; exit 1 ;;
    esac
  done
  adduser -D "$@" "$u"
fi
"""
_CHANGE = """\
u=$1; shift
command -v usermod >/dev/null 2>&1 || { echo "this host has no usermod: a user that exists cannot be changed"; exit 1; }
usermod "$@" -- "$u"
"""
_REMOVE = """\
if command -v userdel >/dev/null 2>&1; then userdel -- "$1"; else deluser "$1"; fi
"""
_FLAGS = {"uid": "-u", "group": "-g", "groups": "-G", "home": "-d", "shell": "-s", "comment": "-c"}


def _steps(change: Change) -> tuple[Step, ...]:
    name, before, spec = change.resource.name, change.before, change.resource.spec
    still = Guard(SAME, ("passwd", name, "" if before is None else before["line"]))
    if change.after is None:
        return (still, Script(_REMOVE, (name,)))
    wanted = change.after if before is None else {a: change.after[a] for a in change.attributes}
    words = [word for a in _ATTRIBUTES if a in wanted for word in (_FLAGS[a], _word(wanted[a]))]
    if before is not None:
        return (still, Script(_CHANGE, (name, *words)))
    if spec.system:
        words.append("-r")
    words.append("-m" if spec.create_home and not spec.system else "-M")
    return (still, Script(_ADD, (name, "" if spec.group else "own", *words)))


def _word(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


KIND = Kind(
    name="user",
    doc="A local user.",
    Spec=UserSpec,
    stage=Stage.USER,
    state=state,
    observe=observe,
    fix=fix,
    witness=lambda resource: ACCOUNTS,
    check=_accounts.check_name,
    owns=lambda name, spec: (f"user:{name}",),
    wants=lambda name, spec: tuple(f"group:{g}" for g in (spec.group or name, *(spec.groups or ()))),
)
