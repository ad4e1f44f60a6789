"""What hosts and repositories say, made safe for a terminal: bytes or text in, text that can only be read out.

Control characters (escape sequences begin with one), bidirectional controls and their like become visible escapes
such as \\x1b. Tabs and newlines stay. Nothing is ever interpreted as markup. Where a secret will stand, its name does.
"""

from __future__ import annotations

import re

from fleet.model import sealed

# C0 but \t and \n, DEL, C1; Arabic letter mark, zero width space, LRM, RLM, line and paragraph separator,
# embeddings, overrides and isolates, byte order mark, interlinear annotations, lone surrogates, tag characters.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def printable(data: str | bytes) -> str:
    """The same text with every unsafe character as a visible escape; invalid UTF-8 as \\xNN."""
    text = sealed.shown(data.decode("utf-8", "backslashreplace") if isinstance(data, bytes) else data)
    return _UNSAFE.sub(_escape, text)


def one_line(data: str | bytes, limit: int = 200) -> str:
    """For a place that has one line only: newlines and tabs escaped too, cut at `limit` characters."""
    text = printable(data).replace("\n", "\\n").replace("\t", "\\t")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def keep_colours(text: str) -> str:
    """The last guard before a terminal, should a renderer forget `printable`: only colour sequences survive."""
    parts = _COLOUR.split(text)
    colours = _COLOUR.findall(text)
    return "".join(printable(part) + colour for part, colour in zip(parts, [*colours, ""], strict=True))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code == 0x0D:
        return "\\r"
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
