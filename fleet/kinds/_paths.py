"""One look at paths for every kind that has any: type, owner, mode, digest, link target, entries, differing content.

An argument is "WANT DIGEST PATH": WANT is `s` (stat), `c` (also send up to 64 kB of the content when its sha256 is not
DIGEST), `h` (digest only), `l` (list a directory's entries). One `stat` and one `sha256sum` serve all arguments.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any

from fleet.model.change import Unreadable
from fleet.model.step import Outcome, Script

CONTENT_LIMIT = 65536

TEXT = r"""
paths_stat() {
  for a do a=${a#* }; set -- "$@" "${a#* }"; shift; done
  stat -c '%f %a %u %g %s %U %G %i|%n' -- "$@" 2>/dev/null
  for p do
    if [ -L "$p" ]; then printf 'L %s\n' "$p"; readlink -n -- "$p" | base64 | tr -d '\n'; printf '\n'
    elif ! [ -e "$p" ]; then
      q=${p%/*}; while [ -n "$q" ] && ! [ -e "$q" ]; do q=${q%/*}; done
      if [ -n "$q" ] && ! { [ -d "$q" ] && [ -x "$q" ]; }; then printf 'X %s\n%s\n' "$p" "$q"; fi
    fi
  done
}
paths_sum() {
  for a do
    p=${a#* }; p=${p#* }; shift
    case $a in [ch]*) if [ -f "$p" ] && ! [ -L "$p" ]; then set -- "$@" "$p"; fi ;; esac
  done
  if [ $# -gt 0 ]; then
    if command -v sha256sum >/dev/null 2>&1; then sha256sum -- "$@" 2>/dev/null
    elif command -v shasum >/dev/null 2>&1; then shasum -a 256 -- "$@" 2>/dev/null
    else openssl dgst -sha256 -r "$@" 2>/dev/null; fi
  fi
}
command -v stat >/dev/null 2>&1 || printf 'NOSTAT\n'
paths_stat "$@"
printf 'SUMS\n'
sums=$(paths_sum "$@")
printf '%s\nBODIES\n' "$sums"
for a do
  w=${a%% *}; a=${a#* }; d=${a%% *}; p=${a#* }
  case $w in
    c)
      if [ -f "$p" ] && ! [ -L "$p" ]; then
        case $sums in
          *"$d  $p"*) ;;
          *) printf 'C %s\n' "$p"; head -c 65536 <"$p" 2>/dev/null | base64 | tr -d '\n'; printf '\n' ;;
        esac
      fi ;;
    l)
      if [ -d "$p" ] && ! [ -L "$p" ]; then
        printf 'D %s\n' "$p"
        for e in "$p"/* "$p"/.[!.]* "$p"/..?*; do
          if [ -e "$e" ] || [ -L "$e" ]; then printf '%s\0' "${e#"$p"/}"; fi
        done | base64 | tr -d '\n'; printf '\n'
      fi ;;
  esac
done
printf 'END\n'
"""

_TYPES = {0o100000: "file", 0o040000: "directory", 0o120000: "symlink", 0o140000: "socket", 0o010000: "fifo"}


@dataclass(frozen=True, slots=True)
class Seen:
    """One path as it was found. digest "": not asked, or not readable. content: only where it differed (capped)."""

    type: str
    mode: str
    uid: str
    gid: str
    size: int
    owner: str
    group: str
    digest: str = ""
    target: str = ""
    content: bytes | None = None
    entries: tuple[str, ...] | None = None


def want(path: str, digest: str = "", content: bool = False) -> str:
    """An argument that asks for a path's digest, and for its content where that is not `digest`."""
    return f"{'c' if content else 'h'} {digest or '-'} {path}"


def want_stat(path: str) -> str:
    return f"s - {path}"


def want_entries(path: str) -> str:
    return f"l - {path}"


def probe(args: Iterable[str]) -> Script:
    """The shared script; the driver runs it once for all kinds."""
    return Script(TEXT, tuple(args))


@dataclass(slots=True)
class _Answer:
    stats: dict[str, list[str]] = field(default_factory=dict)
    sums: dict[str, str] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)
    blocked: dict[str, str] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    entries: dict[str, tuple[str, ...]] = field(default_factory=dict)


def read(outcome: Outcome) -> Mapping[str, Seen | Unreadable]:
    """Path → what was found; a path that is absent has no entry. Raises ValueError for an answer that was cut."""
    return _parsed(outcome.output)


@lru_cache(maxsize=1)  # the kinds that share the look read the same bytes one after the other
def _parsed(output: bytes) -> Mapping[str, Seen | Unreadable]:
    text = output.decode(errors="surrogateescape")
    # A path may end in SUMS, so the mark must be a whole line.
    head, sums, rest = f"\n{text}".partition("\nSUMS\n")
    head = head.removeprefix("\n")
    middle, bodies, tail = rest.partition("\nBODIES\n")
    if not sums or not bodies or not f"\n{tail}".endswith("\nEND\n"):
        raise ValueError("the look at paths was cut short")
    if head.startswith("NOSTAT"):
        raise ValueError("this host has no stat(1), so nobody can say what is there")
    answer = _Answer()
    _read_stats(head, answer)
    for line in middle.split("\n"):
        _read_sum(line, answer)
    _read_bodies(tail.split("\n"), answer)
    found: dict[str, Seen | Unreadable] = {path: _seen(path, words, answer) for path, words in answer.stats.items()}
    for path, above in answer.blocked.items():
        found.setdefault(path, Unreadable(f"{above} above it is not a directory that can be entered"))
    return found


def _read_stats(head: str, answer: _Answer) -> None:
    lines = iter(head.split("\n"))
    for line in lines:
        if line.startswith("L /"):
            answer.targets[line[2:]] = _decode(next(lines, "")).decode(errors="surrogateescape")
            continue
        if line.startswith("X /"):
            answer.blocked[line[2:]] = next(lines, "")
            continue
        words, bar, path = line.partition("|")
        if bar and path.startswith("/"):
            answer.stats[path] = words.split(" ")


def _read_sum(line: str, answer: _Answer) -> None:
    """GNU puts a backslash before the digest, and escapes the name, when the name has one (observe-facts §5.3.2)."""
    digest, _, name = line.partition(" ")
    name = name[1:]
    if digest.startswith("\\"):
        digest, name = digest[1:], name.replace("\\\\", "\\")  # no name that is asked for has a newline
    if len(digest) == 64:
        answer.sums[name] = digest


def _read_bodies(lines: Sequence[str], answer: _Answer) -> None:
    for header, body in pairwise(lines):
        if header.startswith("C /"):
            answer.contents[header[2:]] = _decode(body)
        elif header.startswith("D /"):
            names = _decode(body).split(b"\0")[:-1]
            answer.entries[header[2:]] = tuple(sorted(n.decode(errors="surrogateescape") for n in names))


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("the look at paths is garbled") from error


def _seen(path: str, words: Sequence[str], answer: _Answer) -> Seen:
    raw, mode, uid, gid, size, owner, group, _ = words
    return Seen(
        _TYPES.get(int(raw, 16) & 0o170000, "special"),
        mode,
        uid,
        gid,
        int(size),
        owner,
        group,
        answer.sums.get(path, ""),
        answer.targets.get(path, ""),
        answer.contents.get(path),
        answer.entries.get(path),
    )


def attributes(seen: Seen, owner: str | None, group: str | None) -> dict[str, Any]:
    """The plain values every path has, in the words the Spec used: numbers compare with numbers."""
    return {
        "type": seen.type,
        "mode": seen.mode,
        "owner": seen.uid if owner is not None and owner.isdecimal() else seen.owner,
        "group": seen.gid if group is not None and group.isdecimal() else seen.group,
    }
