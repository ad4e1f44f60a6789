"""`service`: a systemd unit. See systemctl(1)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Self

from pydantic import Field, model_validator

from fleet.kinds._spec import Spec
from fleet.model.change import Change, Observed, Unreadable
from fleet.model.host import Resource
from fleet.model.kind import Kind, Probe, Stage
from fleet.model.step import Outcome, Script, Step
from fleet.model.value import State

_NAME = re.compile(r"[A-Za-z0-9:_.\\@-]{1,255}\Z")
_SUFFIXES = (".service", ".socket", ".timer", ".path", ".mount", ".target")


class ServiceSpec(Spec):
    """A systemd unit; `nginx` means nginx.service.

    service:
      nginx:
        running: true
        enabled: true
        reload_on: [file:/etc/nginx/nginx.conf]
    """

    running: bool | None = Field(True, description="Whether it runs now; null leaves it alone.")
    enabled: bool | None = Field(
        None, description="Whether it starts at boot; left alone unless said. Units without [Install] are as they are."
    )
    masked: bool | None = Field(None, description="Whether nothing may start it; left alone unless said.")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.masked and (self.running or self.enabled):
            raise ValueError("a masked unit can neither run nor be enabled: say running: false")
        return self


def unit(name: str) -> str:
    """The full name, as systemctl shows it."""
    return name if name.endswith(_SUFFIXES) else f"{name}.service"


def check(name: str) -> None:
    if not _NAME.match(name) or name.startswith("-"):
        raise ValueError("expected the name of a unit, such as nginx or backup.timer")


def state(name: str, spec: ServiceSpec, content: bytes | None) -> State | None:
    wanted: dict[str, Any] = {a: v for a in ("running", "enabled", "masked") if (v := getattr(spec, a)) is not None}
    return wanted | {"stale": False}


# `at`: where units, drop-ins and links to units stand, see systemd.unit(5); `link`: what stands there is elsewhere, and
# so it is `odd` of a directory. Without cgroup v2 and the links of /run/systemd/units (since 236) nothing is said.
_LOOK = """\
if [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1; then
  if [ -e /sys/fs/cgroup/cgroup.controllers ] && [ -d /run/systemd/units ]; then
    l=/lib/systemd/system; if [ -h /lib ]; then l=; fi
    for e in /etc/systemd/system /run/systemd/system /etc/systemd/system.control /run/systemd/system.control \
      /run/systemd/transient /run/systemd/generator /run/systemd/generator.early /run/systemd/generator.late \
      /usr/local/lib/systemd/system /usr/lib/systemd/system $l; do
      if [ -h "$e" ]; then printf 'odd\\n'; fi
      printf 'at %s\\n' "$e"
      for d in "$e"/*.d "$e"/*.wants "$e"/*.requires "$e"/*.upholds; do
        case $d in /usr/*.d|/lib/*.d) ;; /usr/*|/lib/*) continue ;; esac  # a vendor's links enable nothing
        if [ -h "$d" ]; then printf 'odd\\n'; elif [ -d "$d" ]; then printf 'at %s\\n' "$d"; fi
      done
      for f in "$e"/*.d/*.conf; do if [ -h "$f" ]; then printf 'link %s\\n' "$f"; fi; done
      for u do
        for f in "$e/$u" "$e/${u%%@*}@.service"; do if [ -h "$f" ]; then printf 'link %s\\n' "$f"; fi; done
      done
    done
  fi
  systemctl show -p Id -p LoadState -p ActiveState -p SubState -p UnitFileState -p NeedDaemonReload \
    -p ControlGroup -p FragmentPath -p DropInPaths -- "$@" 2>/dev/null && printf '\\nEND\\n'
else printf 'NONE\\n'; fi
"""


def observe(resources: Sequence[Resource]) -> Probe:
    """`systemctl show` answers in the order of its arguments, with an empty line between; see systemctl(1)."""
    units = tuple(unit(r.name) for r in resources)

    def read(outcome: Outcome) -> Mapping[str, Observed]:
        text = outcome.output.decode(errors="backslashreplace")
        if text.endswith("NONE\n"):
            return {r.id: Unreadable("systemd does not run on this host") for r in resources}
        if not text.endswith("\nEND\n"):
            raise ValueError("the look at services was cut short")
        found = _shown(text, units)
        return {r.id: _observed(r.spec, found[unit(r.name)]) for r in resources}

    def vouch(outcome: Outcome) -> Mapping[str, tuple[str, ...]]:
        text = outcome.output.decode(errors="backslashreplace")
        words = [line.split(" ", 1) for line in text.splitlines() if line.startswith(("at ", "link "))]
        places = tuple(path for word, path in words if word == "at" and path.startswith(_PLACES))
        links = {path for word, path in words if word == "link"}
        found = _shown(text, units) if places and "odd\n" not in text.splitlines(keepends=True) else {}
        shown = {r.id: found.get(unit(r.name), {}) for r in resources}
        return {name: _proof(one, places) for name, one in shown.items() if _provable(one, links)}

    return Probe(Script(_LOOK, units), read, vouch=vouch)


def _shown(text: str, units: Sequence[str]) -> dict[str, dict[str, str]]:
    blocks = text.removesuffix("\nEND\n").strip("\n").split("\n\n")
    shown = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks]
    return dict(zip(dict.fromkeys(units), shown, strict=True))


# What a host may say proves something: nothing else of it is looked at.
_PLACES = ("/etc/systemd/", "/run/systemd/", "/usr/local/lib/systemd/", "/usr/lib/systemd/", "/lib/systemd/")


def _provable(shown: Mapping[str, str], links: Collection[str]) -> bool:
    """Of services alone systemd keeps a file while they run. What waits to be read again is over without a trace."""
    plain = all(path.startswith(_PLACES) and path not in links for path in _files(shown))
    return plain and shown.get("Id", "").endswith(".service") and shown.get("NeedDaemonReload") == "no"


def _files(shown: Mapping[str, str]) -> list[str]:
    return f"{shown.get('FragmentPath', '')} {shown.get('DropInPaths', '')}".split()


def _proof(shown: Mapping[str, str], places: tuple[str, ...]) -> tuple[str, ...]:
    """The link that systemd makes anew at each start, and takes away at the end; whether processes of it are there;
    its files; and wherever a file could come to be that says otherwise."""
    group = shown.get("ControlGroup", "")
    events = (f"/sys/fs/cgroup{group}/cgroup.events",) if group.startswith("/") and "/." not in group else ()
    return (f"/run/systemd/units/invocation:{shown['Id']}", *events, *_files(shown), *places)


# systemctl(1), is-enabled: there is nothing in these that `systemctl enable` or `disable` could change.
_FIXED = ("static", "indirect", "generated", "transient")


def _observed(spec: ServiceSpec, shown: Mapping[str, str]) -> Observed:
    load, file = shown.get("LoadState", ""), shown.get("UnitFileState", "")
    return {
        # What waits to be started again after it fell over does not run.
        "running": shown.get("ActiveState") in ("active", "reloading", "activating")
        and shown.get("SubState") != "auto-restart",
        "enabled": spec.enabled if file in _FIXED else file in ("enabled", "alias"),
        "masked": load == "masked",
        # An edited unit file that systemd has not read yet.
        "stale": shown.get("NeedDaemonReload") == "yes",
        "found": load not in ("not-found", ""),
    }


def fix(changes: Sequence[Change]) -> Mapping[str, tuple[Step, ...]]:
    return {change.resource.id: tuple(_steps(change)) for change in changes}


def _steps(change: Change) -> list[Step]:
    name = unit(change.resource.name)
    before, after = change.before or {}, change.after or {}
    differ = {a for a in ("running", "enabled", "masked") if a in after and before.get(a) != after[a]}
    steps: list[Step] = []
    if "masked" in differ and not after["masked"]:
        steps.append(_call("unmask", name))
    # Files may have changed in this very script: systemd is asked again on the host, not here.
    steps.append(Script(_RELOAD_IF_STALE, (name,)))
    if "enabled" in differ:
        steps.append(_call("enable" if after["enabled"] else "disable", name))
    if "running" in differ:
        steps.append(_call("start" if after["running"] else "stop", name))
    elif change.due in ("reload", "restart") and after.get("running", before.get("running")):
        steps.append(_call("reload-or-restart" if change.due == "reload" else "restart", name))
    if "masked" in differ and after["masked"]:
        steps.append(_call("mask", name))
    return steps


_RELOAD_IF_STALE = """\
case $(systemctl show -p NeedDaemonReload -p LoadState -- "$1") in *=yes*|*not-found*) systemctl daemon-reload ;; esac
"""


def _call(verb: str, name: str) -> Script:
    """A failed start says why in the same breath."""
    return Script(_CALL, (verb, name))


_CALL = """\
systemctl "$1" -- "$2" && return
code=$?
systemctl status --no-pager --lines=10 -- "$2"
return "$code"
"""


KIND = Kind(
    name="service",
    doc="A systemd unit: running, enabled, masked; reloaded or restarted when what it watches changed.",
    Spec=ServiceSpec,
    stage=Stage.SERVICE,
    state=state,
    observe=observe,
    fix=fix,
    witness=lambda resource: None,  # where all that proves it stands, only the host can say
    check=check,
    owns=lambda name, spec: (f"unit:{unit(name)}",),
    wants=lambda name, spec: (f"package:{name}", f"path:/etc/systemd/system/{unit(name)}"),
)
