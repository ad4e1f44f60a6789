"""An earlier text with the secrets of the new one covered: which lines differ can be seen, what stood there cannot.

The earlier secrets are not known here. So a line is shown only when the new text has the very same line; one that is
like a line with secrets shows what surrounds them; of any other line nothing is shown: it may hold what was a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from fleet.model import sealed
from fleet.model.sealed import Token

Open = Callable[[str], bytes]
Hide = Callable[[str], str]


def covered(old: str, new: str, opened: Open, hide: Hide) -> str:
    """`old` with tokens for what is not shown; opening them gives back every byte. new: sealed, as it should be."""
    lines = sealed.lines(new)
    secret = [line for line in lines if sealed.holds(line)]
    same = {line: line for line in lines if not sealed.holds(line)}
    same |= {opened(line).decode(errors="surrogateescape"): line for line in secret}
    patterns = [around for line in secret if re.search(r"\w{2}", (around := _around(line))[0])]
    return "\n".join(_covered(_folded(old.split("\n"), same), same, patterns, hide))


def _folded(lines: list[str], same: dict[str, str]) -> Iterator[str]:
    """Lines that together are what one line with a secret of several lines opens to, as one."""
    long = sorted((text.split("\n") for text in same if "\n" in text), key=len, reverse=True)
    at = 0
    while at < len(lines):
        found = next((one for one in long if lines[at : at + len(one)] == one), [lines[at]])
        yield "\n".join(found)
        at += len(found)


def _covered(old: Iterable[str], same: dict[str, str], patterns: list[list[str]], hide: Hide) -> Iterator[str]:
    """Lines in a row of which nothing is shown become one."""
    hidden: list[str] = []
    for line in old:
        said = same[line] if line in same else line if not line.strip() else _partly(line, patterns, hide)
        if said is None:
            hidden.append(line)
            continue
        if hidden:
            yield hide("\n".join(hidden))
            hidden = []
        yield said
    if hidden:
        yield hide("\n".join(hidden))


def _around(line: str) -> list[str]:
    """The literal text before, between and after the secrets of a line."""
    around = [""]
    for part in sealed.parts(line):
        if isinstance(part, Token):
            around.append("")
        else:
            around[-1] += part
    return around


def _partly(line: str, patterns: list[list[str]], hide: Hide) -> str | None:
    for around in patterns:
        match = re.fullmatch("(.*?)".join(map(re.escape, around)), line, re.DOTALL)
        if match:
            pieces = [hide(one) if one else "" for one in match.groups()]
            return "".join(text + hidden for text, hidden in zip(around, [*pieces, ""], strict=True))
    return None
