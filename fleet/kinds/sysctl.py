"""`sysctl`: a kernel setting, live and kept over reboots. See sysctl(8), sysctl.d(5)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from fleet.kinds import _path_steps
from fleet.kinds._spec import EnsureField, Spec
from fleet.model.change import Change, Observed, Unreadable
from fleet.model.host import Resource
from fleet.model.kind import Kind, Probe, Stage
from fleet.model.step import Guard, Outcome, Put, Script, Step
from fleet.model.value import State


def _value(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("expected a number or text")
    text = " ".join(str(value).split())
    if not text or any(ord(c) < 32 for c in text):
        raise ValueError("expected a value of one line")
    return text


class SysctlSpec(Spec):
    """A kernel setting. A dot in the name of an interface is written as a slash, as in sysctl.d(5).

    sysctl:
      net.ipv4.ip_forward: {value: 1}
      net.ipv4.conf.bond0/10.forwarding: {value: 1}
    """

    value: Annotated[str | None, BeforeValidator(_value, json_schema_input_type=str | int | None)] = Field(
        None, description="What it should be; white space is all the same."
    )
    ensure: Annotated[EnsureField, Field(description="absent only forgets it: the live value stays.")] = "present"

    @model_validator(mode="after")
    def _has_value(self) -> Self:
        if (self.value is None) == (self.ensure == "present"):
            raise ValueError("expected a value, unless the setting is absent")
        return self


def check(name: str) -> None:
    if not re.match(r"[a-z0-9_-]+(\.[A-Za-z0-9_:@-]+(/[A-Za-z0-9_:@-]+)*)+\Z", name):
        raise ValueError("expected a name with dots, such as net.ipv4.ip_forward; a slash is a dot inside a part")


def _path(name: str) -> str:
    """Read after /etc/sysctl.conf, which systemd-sysctl knows as 99-sysctl.conf: the last that is read counts."""
    return f"/etc/sysctl.d/99-zz-fleet-{name.replace('/', '.')}.conf"


def _text(name: str, value: str) -> bytes:
    return f"{name} = {value}\n".encode()


def state(name: str, spec: SysctlSpec, content: bytes | None) -> State | None:
    return None if spec.ensure == "absent" else {"live": spec.value, "persistent": spec.value}


# Each argument is a path below /proc/sys. One grep reads all live values, however many there are: the shell reads byte
# by byte, and a setting gives its first byte only to who asks so. `part`: what stands after the last newline, and an
# empty file.
_LOOK = """\
n=
for k do
  if [ -r "/proc/sys/$k" ]; then n="$n /proc/sys/$k"; fi
  c=/etc/sysctl.d/99-zz-fleet- r=$k
  while case $r in */*) : ;; *) false ;; esac; do c=$c${r%%/*}.; r=${r#*/}; done
  c=$c$r.conf
  if [ -r "$c" ]; then
    e=empty l=; while IFS= read -r l; do e=; printf 'kept %s %s\\n' "$k" "$l"; done <"$c"
    if [ -n "$e$l" ]; then printf 'part %s %s\\n' "$k" "$l"; fi
  fi
done
[ -z "$n" ] || grep -Hs '' $n
printf 'END\\n'
"""


def observe(resources: Sequence[Resource]) -> Probe:
    def read(outcome: Outcome) -> Mapping[str, Observed]:
        live: dict[str, str] = {}
        kept: dict[str, bytes] = {}
        if not outcome.output.endswith(b"END\n"):
            raise ValueError("the look at settings was cut short")
        for line in outcome.output.split(b"\n"):
            word, raw, rest = [*line.split(b" ", 2), b"", b""][:3]
            if word in (b"kept", b"part"):
                name = raw.decode(errors="backslashreplace")
                kept[name] = kept.get(name, b"") + rest + (b"\n" if word == b"kept" else b"")
            elif line.startswith(b"/proc/sys/"):
                path, _, value = line.partition(b":")
                live[_shown(path)] = " ".join([*live.get(_shown(path), "").split(), *_shown(value).split()])
        return {r.id: _observed(r, live.get(_live(r.name)), kept.get(_below(r.name))) for r in resources}

    return Probe(Script(_LOOK, tuple(_below(r.name) for r in resources)), read)


def _below(name: str) -> str:
    """Its path below /proc/sys: dots and slashes change places."""
    return name.translate({ord("."): "/", ord("/"): "."})


def _live(name: str) -> str:
    return f"/proc/sys/{_below(name)}"


def _observed(resource: Resource, live: str | None, text: bytes | None) -> Observed:
    name = resource.name
    file = {} if text is None else {"persistent": _shown(text), "sha256": hashlib.sha256(text).hexdigest()}
    if resource.desired is None:
        return {"live": live or "", **file} if file else None
    if live is None:
        return Unreadable(f"this host's kernel has no setting {name}")
    if text == _text(name, resource.desired["persistent"]):
        file["persistent"] = resource.desired["persistent"]
    return {"live": live, **file}


def _shown(raw: bytes) -> str:
    return raw.decode(errors="backslashreplace").strip()


def fix(changes: Sequence[Change]) -> Mapping[str, tuple[Step, ...]]:
    return {change.resource.id: _steps(change) for change in changes}


# As the look read it: white space is all the same.
_SAME = """\
w=
set -f
for x in $(cat -- "$1" </dev/null); do w="$w${w:+ }$x"; done
[ "$w" = "$2" ] && return
printf '%s\\n' "$1 is no longer as it was seen"; return 1
"""
_SET = """printf '%s\\n' "$2" >"$1"\n"""


def _steps(change: Change) -> tuple[Step, ...]:
    name, before, after = change.resource.name, change.before or {}, change.after
    path, seen = _path(name), before.get("sha256", "")
    if after is None:
        return (_path_steps.same(path, seen), _path_steps.remove(path))
    steps: list[Step] = []
    if before.get("persistent") != after["persistent"]:
        steps.append(Put(path, _text(name, after["persistent"]), seen, "root", "root", "644"))
    if before.get("live") != after["live"]:
        steps += (Guard(_SAME, (_live(name), before["live"])), Script(_SET, (_live(name), after["live"])))
    return tuple(steps)


KIND = Kind(
    name="sysctl",
    doc="A kernel setting, live and kept over reboots.",
    Spec=SysctlSpec,
    stage=Stage.SYSTEM,
    state=state,
    observe=observe,
    fix=fix,
    # A live value is proven by reading it, which the witness of a kernel's file does. A colon ends its path there.
    witness=lambda resource: None if ":" in resource.name else (_path(resource.name), _live(resource.name)),
    check=check,
    owns=lambda name, spec: (f"sysctl:{name}", f"path:{_path(name)}"),
    wants=lambda name, spec: ("path:/etc/sysctl.d",),
)
