"""One look at paths for every kind that has any: type, owner, mode, digest, link target, entries, differing content.

An argument is "WANT DIGEST PATH": WANT is `s` (stat), `c` (also send up to 64 kB of the content when its sha256 is not
DIGEST), `h` (digest only), `l` (list a directory's entries). One `stat` and one `sha256sum` serve all arguments.
`_paths_answer` reads what comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fleet.kinds._paths_answer import Seen, read_answer
from fleet.model.change import Observed, Unreadable
from fleet.model.host import Resource
from fleet.model.kind import Probe
from fleet.model.step import Outcome, Script

CONTENT_LIMIT = 65536

# What is said is collected and printed at once: every write is a packet.
TEXT = r"""
nl='
'
command -v stat >/dev/null 2>&1 || printf 'NOSTAT\n'
paths_stat() {
  for a do a=${a#* }; set -- "$@" "${a#* }"; shift; done
  stats=$(QUOTING_STYLE=literal stat -c '%f %a %u %g %s:%U:%G:%n
%N' -- "$@" 2>/dev/null)
  [ $? -le 1 ] || printf 'DIED\n'
  said="$stats${stats:+$nl}MISSING$nl"
  n=$#
  for p do if ! [ -e "$p" ] && ! [ -L "$p" ]; then set -- "$@" "$p"; fi; done
  shift "$n"
  [ $# != 0 ] || return
  n=$(stat -c '' -- "$@" 2>&1)
  [ $? -le 1 ] || printf 'DIED\n'
  said="$said$n$nl"
}
paths_sum() {
  for a do
    p=${a#* }; p=${p#* }; shift
    case $a in [ch]*) if [ -f "$p" ] && ! [ -L "$p" ]; then set -- "$@" "$p"; fi ;; esac
  done
  sums=
  [ $# != 0 ] || return
  if command -v sha256sum >/dev/null 2>&1; then sums=$(sha256sum -- "$@" 2>/dev/null)
  elif command -v shasum >/dev/null 2>&1; then sums=$(shasum -a 256 -- "$@" 2>/dev/null)
  else sums=$(openssl dgst -sha256 -r "$@" 2>/dev/null); fi
}
paths_content() {
  printf '%sC %s\n' "$said" "$1"; said=
  size=${stats%%":$1$nl"*}; size=${size##*"$nl"}; size=${size%%:*}; size=${size##* }
  case $size in
    [0-9]|[0-9][0-9]|[0-9][0-9][0-9]|[0-9][0-9][0-9][0-9]) base64 <"$1" 2>/dev/null ;;
    *) head -c 65536 <"$1" 2>/dev/null | base64 ;;
  esac
}
paths_entries() {
  d=$1; shift
  for e in "$d"/* "$d"/.[!.]* "$d"/..?*; do
    if [ -e "$e" ] || [ -L "$e" ]; then set -- "$@" "${e#"$d"/}"; fi
  done
  printf '%sD %s\n' "$said" "$d"; said=
  [ $# = 0 ] || printf '%s\0' "$@"
  printf '\0\n'
}
paths_stat "$@"
paths_sum "$@"
said="${said}SUMS$nl$sums${nl}BODIES$nl"
for a do
  w=${a%% *}; a=${a#* }; d=${a%% *}; p=${a#* }
  if [ -L "$p" ]; then continue; fi
  case $w in
    c) if [ -f "$p" ]; then case $sums in *"$d  $p"*) ;; *) paths_content "$p" ;; esac; fi ;;
    l) if [ -d "$p" ]; then paths_entries "$p"; fi ;;
  esac
done
printf '%sEND\n' "$said"
"""


def want(path: str, digest: str = "", content: bool = False) -> str:
    """An argument that asks for a path's digest, and for its content where that is not `digest`."""
    return f"{'c' if content else 'h'} {digest or '-'} {path}"


def want_stat(path: str) -> str:
    return f"s - {path}"


def want_entries(path: str) -> str:
    return f"l - {path}"


def observe(
    resources: Sequence[Resource],
    path: Callable[[Resource], str],
    arg: Callable[[Resource], str],
    observed: Callable[[Resource, Seen | Unreadable | None], Observed],
) -> Probe:
    """The probe of a kind whose resources are one path each; the driver runs the shared script once for all kinds.
    observed: (resource, what stands at its path) → what that means to the kind."""

    def read(outcome: Outcome) -> Mapping[str, Observed]:
        seen = read_answer(outcome.output)
        return {r.id: observed(r, seen.get(path(r))) for r in resources}

    return Probe(Script(TEXT, tuple(map(arg, resources))), read)


def attributes(seen: Seen, owner: str | None, group: str | None) -> dict[str, Any]:
    """The plain values every path has, in the words the Spec used: numbers compare with numbers."""
    return {
        "type": seen.type,
        "mode": seen.mode,
        "owner": seen.uid if owner is not None and owner.isdecimal() else seen.owner,
        "group": seen.gid if group is not None and group.isdecimal() else seen.group,
    }
