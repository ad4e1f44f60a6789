"""Host ranges: `web-[1:40]`, `web-[01:40]`, `db-[a,b]`, `rack[1:2]-[a,b]` → every name with its index. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

LIMIT = 10_000  # names that one entry may stand for
_GROUP = re.compile(r"\[([^\[\]]*)\]")
_SPAN = re.compile(r"(\d{1,9}):(\d{1,9})")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_ELEMENT = re.compile(r"[A-Za-z0-9._-]+")


def expand(pattern: str) -> list[tuple[str, int | str | None]]:
    """Names and the index of each: what the first group says there, an int where it is a number; None without a group.

    Raises ValueError, worded for people.
    """
    pieces = _GROUP.split(pattern)
    literals, groups = pieces[::2], [_elements(piece, pattern) for piece in pieces[1::2]]
    count = 1
    for group in groups:
        count *= len(group)
    if count > LIMIT:
        raise ValueError(f"`{pattern}` stands for {count:,} hosts; one entry may stand for {LIMIT:,}")
    found: list[tuple[str, int | str | None]] = []
    for choice in itertools.product(*groups):
        name = "".join(_interleave(literals, choice))
        if not _NAME.fullmatch(name):
            raise ValueError(f"`{name}` is not a host name: letters, digits, dots, dashes and underscores only")
        found.append((name, _index(choice[0]) if choice else None))
    return found


def _interleave(literals: list[str], choice: tuple[str, ...]) -> Iterator[str]:
    for literal, element in itertools.zip_longest(literals, choice, fillvalue=""):
        yield literal
        yield element


def _elements(text: str, pattern: str) -> list[str]:
    found: list[str] = []
    for part in map(str.strip, text.split(",")):
        if span := _SPAN.fullmatch(part):
            found.extend(_numbers(span[1], span[2], pattern))
        elif _ELEMENT.fullmatch(part):
            found.append(part)
        else:
            raise ValueError(f"`[{text}]` in `{pattern}` is not a range; write [1:40], [01:40] or [a,b]")
    if len(set(found)) != len(found):
        raise ValueError(f"`[{text}]` in `{pattern}` names something twice")
    return found


def _numbers(first: str, last: str, pattern: str) -> list[str]:
    low, high = int(first), int(last)
    if high < low:
        raise ValueError(f"the range [{first}:{last}] in `{pattern}` runs backwards")
    if high - low >= LIMIT:
        raise ValueError(f"`{pattern}` stands for {high - low + 1:,} hosts; one entry may stand for {LIMIT:,}")
    width = len(first) if first.startswith("0") else 0
    return [f"{number:0{width}d}" for number in range(low, high + 1)]


def _index(element: str) -> int | str:
    return int(element) if element.isdecimal() else element
