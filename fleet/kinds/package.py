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
_VERSION = re.compile(r"[A-Za-z0-9.+:~-]*[A-Za-z0-9.+~]\Z")  # apt takes a dash at the end for a removal


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


# Arguments: names without architecture. awk reads dpkg's own file in a quarter of the time that dpkg-query takes; the
# entry of dpkg itself shows that it is whole. While dpkg has notes that are not in the file yet, or there is no awk,
# dpkg-query answers, whose status 1 says that some are not known, and more that nobody can tell.
_LOOK = r"""
db=/var/lib/dpkg notes=
for f in "$db"/updates/[0-9]*; do if [ -e "$f" ]; then notes=1; fi; done
if ! command -v dpkg-query >/dev/null 2>&1; then printf 'NONE\n'
elif [ -z "$notes" ] && command -v awk >/dev/null 2>&1; then
  awk 'BEGIN { for (n = 2; n < ARGC; n++) { want[ARGV[n]] = 1; ARGV[n] = "" } }
    /^Package: / { name = ""; if ($2 in want) name = $2; next }
    name == "" { next }
    /^Status: / { status = $2 " " $3 " " $4 }
    /^Architecture: / { arch = $2 }
    /^Version: / { print status "|" name "|" arch "|" $2; name = "" }
  ' "$db/status" "$@" dpkg 2>/dev/null && printf 'END\n'
else
  dpkg-query -W -f='${Status}|${Package}|${Architecture}|${Version}\n' -- "$@" dpkg 2>/dev/null
  [ $? -gt 1 ] || printf 'END\n'
fi
"""


def observe(resources: Sequence[Resource]) -> Probe:
    def read(outcome: Outcome) -> Mapping[str, Observed]:
        text = outcome.output.decode(errors="backslashreplace")
        if text.endswith("NONE\n"):
            none = Unreadable("this host has no dpkg: only Debian's packages are known")
            return {r.id: none for r in resources}
        if not text.endswith("END\n"):
            raise ValueError("the look at packages was cut short")
        found: dict[tuple[str, str], State] = {}
        for line in text.splitlines():
            words = line.split("|")
            if len(words) == 4 and not words[0].endswith((" not-installed", " config-files")):
                whole = words[0] in ("install ok installed", "hold ok installed")
                found[words[1], words[2]] = {"installed": whole, "version": words[3]}
        native = next((arch for name, arch in found if name == "dpkg"), "")
        if not native:
            raise ValueError("dpkg's database does not know dpkg itself: it is damaged; see dpkg(1), /var/backups")
        return {r.id: _observed(r.name, found, native) for r in resources}

    return Probe(Script(_LOOK, tuple(r.name.partition(":")[0] for r in resources)), read)


def _observed(name: str, found: Mapping[tuple[str, str], State], native: str) -> Observed:
    """Without an architecture it is the host's own that is meant. What is there half is neither right nor absent."""
    plain, _, arch = name.partition(":")
    return next((found[plain, one] for one in ([arch] if arch else [native, "all"]) if (plain, one) in found), None)


# The lists are fetched when apt does not know what is asked for, or they are older than a day. What apt would remove is
# asked first: only what is declared absent may go. The transaction has a session and a log of its own, so that a pass
# that is stopped, late or cut off leaves it to end in order; whoever comes next waits for its lock.
_INSTALL = """\
fresh=; for l in /var/lib/apt/lists/*_Packages* /var/lib/apt/lists/*InRelease; do
  if [ -e "$l" ] && [ -z "$(find "$l" -mmin +1440 2>/dev/null)" ]; then fresh=1; break; fi
done
# Pattern-Only: a name that apt does not know is not taken for a regular expression, which could match anything.
get() { apt-get -y -q -o APT::Cmd::Pattern-Only=true "$@"; }
conf='--force-confold --force-confdef'
opts='-o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-confdef -o DPkg::Lock::Timeout=120'
opts="$opts -o APT::Install-Recommends=$1 --allow-downgrades --no-remove"; shift
gone=' '; for w do case $w in *-) gone="$gone${w%-} "; opts=${opts% --no-remove} ;; esac; done
for f in /var/lib/dpkg/updates/[0-9]*; do
  # Somebody was cut off half way. Where it is at work still, this fails, and apt waits for it.
  if [ -e "$f" ]; then dpkg $conf --configure -a; break; fi
done
if [ -z "$fresh" ] || ! plan=$(get $opts -s install "$@" 2>&1); then
  get update || exit 1
  plan=$(get $opts -s install "$@" 2>&1) || { printf '%s\\n' "$plan"; exit 1; }
fi
more=
for w in $(printf '%s\\n' "$plan" | sed -n -e 's/^Remv \\([^ ]*\\).*/\\1/p' -e 's/^Purg \\([^ ]*\\).*/\\1/p'); do
  case $gone in *" ${w%%:*} "*|*" $w "*) ;; *) more="$more $w" ;; esac
done
if [ -n "$more" ]; then
  printf '%s\\n' "apt would also remove$more: nothing was changed; declare them absent, or keep what they need"; exit 1
fi
log=/var/lib/fleet/apt.log
( trap '' HUP; exec setsid -w apt-get -y -q -o APT::Cmd::Pattern-Only=true $opts install "$@" >"$log" 2>&1 )
code=$?
cat "$log"
exit "$code"
"""
TIMEOUT = 1800.0  # seconds: a slow mirror, a kernel, a database that converts its files


def fix(changes: Sequence[Change]) -> Mapping[str, tuple[Step, ...]]:
    """All under the first change's id; the others share its outcome. One transaction, and one more for those that
    want what they recommend."""
    plain = [c for c in changes if c.after is None or not c.resource.spec.recommends]
    more = [c for c in changes if c not in plain]
    groups = (("false", plain), ("true", more))
    steps = [Script(_INSTALL, (recommends, *map(_word, group)), TIMEOUT) for recommends, group in groups if group]
    return {changes[0].resource.id: tuple(steps)}


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
    witness=lambda resource: ("/var/lib/dpkg/status", "/var/lib/dpkg/updates"),
    check=check,
    owns=lambda name, spec: (f"package:{name}",),
    wants=lambda name, spec: (),
    foreseeable=False,
)
