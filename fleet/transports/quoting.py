"""The one place where data becomes words for a shell."""

from __future__ import annotations

import base64
from collections.abc import Iterable


def quote(word: str | bytes) -> bytes:
    """One word in single quotes, byte for byte. NUL cannot be said in a word: ValueError."""
    return words((word,))


def words(many: Iterable[str | bytes]) -> bytes:
    """Several words, each quoted, with a space between. All at once: this is most of what a sweep costs here."""
    raw = [word.encode("utf-8", "surrogateescape") if isinstance(word, str) else word for word in many]
    if not raw:
        return b""
    joined = b"\0".join(raw)
    if joined.count(b"\0") >= len(raw):
        raise ValueError("a word for a shell cannot hold a NUL byte")
    return b"'" + joined.replace(b"'", b"'\\''").replace(b"\0", b"' '") + b"'"


def encoded(content: bytes) -> tuple[bytes, bytes]:
    """Content as (encoding, quoted word): "text" when a word can say it, else "base64"."""
    if b"\0" in content:
        return b"base64", quote(base64.b64encode(content))
    return b"text", quote(content)


def assignment(name: str, value: str) -> bytes:
    """NAME='value'. ValueError for what is no name of a variable: it would be read as shell."""
    if not (name.isascii() and name.isidentifier()):
        raise ValueError(f"{name!r} is not the name of a variable")
    return name.encode() + b"=" + quote(value)
