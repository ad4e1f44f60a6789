"""`package`: a Debian package, by apt. All changes of packages that can go together are one transaction."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, field_validator

from fleet.kinds._spec import EnsureField, Spec
from fleet.model.change import Change, Observed, Unreadable
from fleet.model.host import Resource
from fleet.model.kind import Kind, Probe, Stage
from fleet.model.step import Outcome, Script, Step
from fleet.model.value import State

_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+](:[a-z0-9]+)?\Z")
_VERSION = re.compile(r"[A-Za-z0-9.+:~-]+\Z")


class PackageSpec(Spec):
    """A Debian package.

    package:
      nginx: {}
      postgresql-15: {version: 15.8-0+deb12u1}
      telnet: {ensure: absent}
    """

    version: str | None = Field(None, description="Exactly this version; any unless said.")
    recommends: bool = Field(False, description="Install what it recommends, too.")
    ensure: EnsureField = "present"

    @field_validator("version")
    @classmethod
    def _version(cls, value: str | None) -> str | None:
        if value is not None and not _VERSION.match(value):
            raise ValueError("expected a version such as 1.22.1-9+deb12u1")
        return value


def check(name: str) -> None:
    if not _NAME.match(name):
        raise ValueError("expected a package name: lower-case letters, digits, +, - and .")


def state(name: str, spec: PackageSpec, content: bytes | None) -> State | None:
    if spec.ensure == "absent":
        return None
    return {"installed": True} | ({"version": spec.version} if spec.version else {})


# dpkg-query prints sorted, knows removed packages whose settings are left, and takes names as patterns.
_LOOK = """\
if command -v dpkg-query >/dev/null 2>&1; then
  dpkg-query -W -f='${db:Status-Abbrev}|${Package}|${Architecture}|${Version}\\n' -- "$@" 2>/dev/null
  # 1: some are not installed. More: the database cannot be read, and nothing is known.
  [ $? -gt 1 ] || printf 'END\\n'
else printf 'NONE\\n'; fi
"""


def observe(resources: Sequence[Resource]) -> Probe:
    def read(outcome: Outcome) -> Mapping[str, Observed]:
        text = outcome.output.decode(errors="backslashreplace")
        if text.endswith("NONE\n"):
            none = Unreadable("this host has no dpkg: only Debian's packages are known")
            return {r.id: none for r in resources}
        if not text.endswith("END\n"):
            raise ValueError("the look at packages was cut short")
        found: dict[str, str] = {}
        for line in text.splitlines():
            words = line.split("|")
            if len(words) == 4 and words[0].startswith(("ii", "hi")):
                found[words[1]] = found[f"{words[1]}:{words[2]}"] = words[3]
        return {r.id: _observed(found.get(r.name)) for r in resources}

    return Probe(Script(_LOOK, tuple(r.name for r in resources)), read)


def _observed(version: str | None) -> Observed:
    return None if version is None else {"installed": True, "version": version}


# The lists are fetched when apt does not know what is asked for, or they are older than a day.
_INSTALL = """\
fresh=; for l in /var/lib/apt/lists/*_Packages* /var/lib/apt/lists/*InRelease; do
  if [ -e "$l" ] && [ -z "$(find "$l" -mmin +1440 2>/dev/null)" ]; then fresh=1; break; fi
done
# Pattern-Only: a name that apt does not know is not taken for a regular expression, which could match anything.
get() { apt-get -y -q -o APT::Cmd::Pattern-Only=true "$@"; }
opts='-o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-confdef -o DPkg::Lock::Timeout=120'
opts="$opts -o APT::Install-Recommends=$1 --allow-downgrades --no-remove"; shift
case " $* " in *"- "*) opts=${opts% --no-remove} ;; esac
if [ -z "$fresh" ] || ! get $opts -s install "$@" >/dev/null 2>&1; then get update || exit 1; fi
get $opts install "$@"
"""


def fix(changes: Sequence[Change]) -> Mapping[str, tuple[Step, ...]]:
    """One transaction under the first change's id; the others share its outcome."""
    recommends = any(c.resource.spec.recommends for c in changes if c.after is not None)
    words = ["true" if recommends else "false", *map(_word, changes)]
    return {changes[0].resource.id: (Script(_INSTALL, tuple(words)),)}


def _word(change: Change) -> str:
    spec: Any = change.resource.spec
    name = change.resource.name
    if change.after is None:
        return f"{name}-"
    return f"{name}={spec.version}" if spec.version else name


KIND = Kind(
    name="package",
    doc="A Debian package, by apt.",
    Spec=PackageSpec,
    stage=Stage.PACKAGE,
    state=state,
    observe=observe,
    fix=fix,
    witness=lambda resource: ("/var/lib/dpkg/status",),
    check=check,
    owns=lambda name, spec: (f"package:{name}",),
    wants=lambda name, spec: (),
    foreseeable=False,
)
