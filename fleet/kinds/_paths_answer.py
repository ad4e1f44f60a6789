"""Reads what the look at paths (`_paths.TEXT`) answers: stat, MISSING, SUMS, BODIES, END. Bytes in, path → Seen out.

Two lines and more a path: "RAW MODE UID GID SIZE:OWNER:GROUP:PATH", then stat's %N: "PATH", or "PATH -> TARGET" for a
link, bare (GNU) or between quotes (BusyBox). Only its size tells where a target ends: it may hold anything.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from fleet.model.change import Unreadable

_TYPES = {0o100000: "file", 0o040000: "directory", 0o120000: "symlink", 0o140000: "socket", 0o010000: "fifo"}
_COMPLAINT = re.compile(r"stat: (?:cannot statx?|can't stat) '?(/[^'\\\n]*?)'?: ([^:]*)")
_REASONS = {"Not a directory": "something above it is not a directory"}
_BASE64 = re.compile(rb"(?:(?:[A-Za-z0-9+/=]{4})+\n)*")  # a line of it is never END


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


@lru_cache(maxsize=1)  # the kinds that share the look read the same bytes one after the other
def read_answer(output: bytes) -> Mapping[str, Seen | Unreadable]:
    """Path → what was found, or why nobody can say; a path that is absent has no entry. Raises ValueError."""
    if output.startswith(b"NOSTAT\n"):
        raise ValueError("this host has no stat(1), so nobody can say what is there")
    if output.startswith(b"DIED\n"):
        raise ValueError("stat(1) was ended on this host before it could answer")
    # A path may end in one of these words, so each must be a whole line.
    head, missing, rest = (b"\n" + output).partition(b"\nMISSING\n")
    complaints, sums, rest = (b"\n" + rest).partition(b"\nSUMS\n")
    digests, bodies, tail = rest.partition(b"\nBODIES\n")
    if not missing or not sums or not bodies or not (b"\n" + tail).endswith(b"\nEND\n"):
        raise ValueError("the look at paths was cut short")
    digest_of = dict(map(_sum, digests.split(b"\n")))
    contents, entries = _bodies(tail)
    found: dict[str, Seen | Unreadable] = {}
    for path, stat in _stats(head[1:] + b"\n" if head else b""):
        found[_text(path)] = stat
        if isinstance(stat, Seen):
            more = contents.get(path), entries.get(path)
            found[_text(path)] = replace(stat, digest=digest_of.get(path, ""), content=more[0], entries=more[1])
    for line in _text(complaints).split("\n"):
        if line and not line.endswith(": No such file or directory"):
            complaint = _COMPLAINT.fullmatch(line)
            if complaint is None:
                raise ValueError(f"stat says: {line}")
            found.setdefault(complaint[1], Unreadable(_REASONS.get(complaint[2], f"stat says: {complaint[2]}")))
    return found


def _text(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")


def _stats(text: bytes) -> Iterator[tuple[bytes, Seen | Unreadable]]:
    at = 0
    while at < len(text):
        end = text.index(b"\n", at)
        try:
            words, owner, group, path = text[at:end].split(b":", 3)
            raw, mode, uid, gid, size = words.decode().split(" ")
            sort = _TYPES.get(int(raw, 16) & 0o170000, "special")
            target, at = _target(text, end + 1, path, int(size) if sort == "symlink" else None)
        except ValueError as error:
            raise ValueError("the look at paths is garbled") from error
        if target is None:
            yield path, Unreadable("where this link points cannot be read")
        else:
            yield path, Seen(sort, mode, uid, gid, int(size), _text(owner), _text(group), target=_text(target))


def _target(text: bytes, at: int, path: bytes, size: int | None) -> tuple[bytes | None, int]:
    """stat's %N at `at`: a link's target (None: it cannot be told), and where the next line begins. size None: no link.
    Raises ValueError."""
    quote = b"'" if text.startswith(b"'", at) else b""
    opening = quote + path + quote + (b" -> " + quote if size is not None else b"\n")
    if not text.startswith(opening, at):
        raise ValueError
    at += len(opening)
    if size is None:
        return b"", at
    closing = quote + b"\n"
    if size and text.startswith(closing, at + size):
        return text[at : at + size], at + size + len(closing)
    end = text.index(closing, at)  # some file systems do not say how long a target is
    target = text[at:end]
    return None if quote and b"\\" in target else target, end + len(closing)


def _sum(line: bytes) -> tuple[bytes, str]:
    """GNU puts a backslash before the digest, and escapes the name, when the name has one."""
    digest, _, name = line.partition(b" ")
    name = name[1:]
    if digest.startswith(b"\\"):
        digest, name = digest[1:], name.replace(b"\\\\", b"\\")  # no name that is asked for has a newline
    return name, digest.decode(errors="replace") if len(digest) == 64 else ""


def _bodies(text: bytes) -> tuple[dict[bytes, bytes], dict[bytes, tuple[str, ...]]]:
    """Contents, as base64 in lines of any length, and entries of directories, each ended by NUL, the last by two."""
    contents: dict[bytes, bytes] = {}
    entries: dict[bytes, tuple[str, ...]] = {}
    at = 0
    while not text.startswith(b"END\n", at):
        end = text.index(b"\n", at)
        word, path, at = text[at : at + 2], text[at + 2 : end], end + 1
        if word == b"D ":
            end = at if text.startswith(b"\0\n", at) else text.index(b"\0\0\n", at) + 1
            entries[path] = tuple(sorted(map(_text, text[at:end].split(b"\0")[:-1])))
            at = end + 2
        elif word == b"C ":
            match = _BASE64.match(text, at)
            assert match is not None  # it matches nothing, too
            contents[path] = _decoded(match[0])
            at = match.end()
        else:
            raise ValueError("the look at paths is garbled")
    return contents, entries


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text.replace(b"\n", b""), validate=True)
    except binascii.Error as error:
        raise ValueError("the look at paths is garbled") from error
