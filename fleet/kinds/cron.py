"""`cron`: one job in a file of its own below /etc/cron.d. See crontab(5)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Self

from pydantic import Field, field_validator, model_validator

from fleet.kinds import _path_steps, _paths
from fleet.kinds._paths_answer import Seen
from fleet.kinds._spec import Account, EnsureField, Spec, check_text
from fleet.model.change import Change, Observed, Unreadable
from fleet.model.host import Resource
from fleet.model.kind import Kind, Probe, Stage
from fleet.model.step import Put, Step
from fleet.model.value import State

_NICKNAMES = ("@reboot", "@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_NAMES = ("", "", "", "jan feb mar apr may jun jul aug sep oct nov dec", "sun mon tue wed thu fri sat")
# A step needs a range, and no step is 0: cron ignores a file with anything else in it.
_ITEM = re.compile(r"(?:\*|(\w+)-(\w+))(?:/0*[1-9]\d*)?\Z|(\w+)\Z", re.ASCII)
_LINE = 998  # bytes of a command, or of a variable with its value; cron ignores what is longer, or cuts it


class CronSpec(Spec):
    """A job in /etc/cron.d.

    cron:
      backup:
        schedule: "15 3 * * *"
        user: root
        command: /usr/local/bin/backup --quiet
    """

    schedule: str | None = Field(None, description="Five fields of crontab(5), or a nickname such as @daily.")
    command: str | None = Field(None, description="One line, run by sh; what cron would take otherwise is escaped.")
    user: Account = Field("root", description="Who it runs as, by name.")
    environment: Mapping[str, str] = Field(default_factory=dict, description="Variables above the job, e.g. MAILTO.")
    ensure: EnsureField = "present"

    @field_validator("schedule")
    @classmethod
    def _schedule(cls, value: str | None) -> str | None:
        if value is None or value in _NICKNAMES:
            return value
        fields = value.split()
        if len(fields) != 5:
            raise ValueError(f"expected five fields or one of {', '.join(_NICKNAMES)}")
        for number, field in enumerate(fields):
            for item in field.split(","):
                _check_item(item, number)
        return " ".join(fields)

    @field_validator("user")
    @classmethod
    def _named(cls, value: str) -> str:
        if value.isdecimal():
            raise ValueError("cron knows users by name only")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = self.schedule is not None and self.command is not None
        if self.ensure == "present" and not given:
            raise ValueError("expected a schedule and a command")
        for text in (self.command or "-", *self.environment.values()):
            check_text(text or "-", "line of a crontab")
        for name in self.environment:
            if not re.match(r"[A-Za-z_][A-Za-z0-9_]*\Z", name):
                raise ValueError(f"{name!r} is not the name of a variable")
        if any(len(line.encode(errors="surrogateescape")) > _LINE for line in (*_settings(self), _command(self))):
            raise ValueError(f"cron reads {_LINE} bytes of a command or variable: put it into a file")
        return self


def _check_item(item: str, number: int) -> None:
    low, high = _RANGES[number]
    match = _ITEM.match(item)
    if match is None:
        raise ValueError(f"{item!r} is no part of a schedule")
    names = _NAMES[number].split()
    ends = []
    for word in filter(None, match.groups()):
        value = names.index(word.lower()) + low if word.lower() in names else int(word) if word.isdecimal() else -1
        if not low <= value <= high:
            raise ValueError(f"{word!r} is not between {low} and {high}")
        ends.append(value)
    if ends != sorted(ends):
        raise ValueError(f"{item!r} would never come: a range goes upwards, and Sunday is 0 in `sun` and 7 in `5-7`")


def check(name: str) -> None:
    """run-parts' rule: cron reads no file whose name has a dot or another sign."""
    if not re.match(r"[A-Za-z0-9_-]+\Z", name):
        raise ValueError("expected letters, digits, - and _ only: cron ignores other names in /etc/cron.d")


def _path(name: str) -> str:
    return f"/etc/cron.d/{name}"


def written(spec: CronSpec) -> bytes:
    """The file, as cron reads it back: load_env() and do_command() of Debian's cron."""
    job = f"{spec.schedule} {spec.user} {_command(spec)}"
    return "\n".join([*_settings(spec), job, ""]).encode()


def _settings(spec: CronSpec) -> list[str]:
    return [f"{name}={_quoted(value)}" for name, value in sorted(spec.environment.items())]


def _quoted(value: str) -> str:
    """White space at the ends goes, and quotes; nothing can be escaped."""
    if value and value == value.strip() and value[0] not in "'\"":
        return value
    quote = next((one for one in "\"'" if one not in value), "")
    if not quote:
        raise ValueError(f"cron cannot be told {value!r}: it holds both quotes")
    return f"{quote}{value}{quote}"


def _command(spec: CronSpec) -> str:
    """A percent sign ends the command, and a backslash takes the meaning of one after it."""
    return re.sub(r"\\{2,}|\\(?=%)|%", lambda found: "\\%" if found[0] == "%" else found[0] * 2, spec.command or "")


def state(name: str, spec: CronSpec, content: bytes | None) -> State | None:
    if spec.ensure == "absent":
        return None
    digest = hashlib.sha256(written(spec)).hexdigest()
    return {"type": "file", "sha256": digest, "owner": "root", "group": "root", "mode": "644"}


def observe(resources: Sequence[Resource]) -> Probe:
    def arg(resource: Resource) -> str:
        return _paths.want(_path(resource.name), resource.desired["sha256"] if resource.desired else "", content=True)

    return _paths.observe(resources, lambda r: _path(r.name), arg, _observed)


def _observed(resource: Resource, seen: Seen | Unreadable | None) -> Observed:
    if not isinstance(seen, Seen):
        return seen
    if seen.type == "file" and not seen.digest:
        return Unreadable("it exists, but its content cannot be read")
    found = _paths.attributes(seen, None, None) | {"sha256": seen.digest}
    return found if seen.content is None else found | {"content": seen.content}


def fix(changes: Sequence[Change]) -> Mapping[str, tuple[Step, ...]]:
    return {change.resource.id: _steps(change) for change in changes}


def _steps(change: Change) -> tuple[Step, ...]:
    path = _path(change.resource.name)
    if change.before is not None and change.before["type"] != "file":
        return (_path_steps.in_the_way(path, change.before["type"]),)
    seen = change.before["sha256"] if change.before is not None else ""
    if change.after is None:
        return (_path_steps.same(path, seen), _path_steps.remove(path))
    return (Put(path, written(change.resource.spec), seen, "root", "root", "644"),)


KIND = Kind(
    name="cron",
    doc="One job in a file of its own below /etc/cron.d.",
    Spec=CronSpec,
    stage=Stage.SYSTEM,
    state=state,
    observe=observe,
    fix=fix,
    witness=lambda resource: (_path(resource.name),),
    check=check,
    owns=lambda name, spec: (f"path:{_path(name)}",),
    wants=lambda name, spec: ("path:/etc/cron.d", f"user:{spec.user}", "package:cron"),
)
