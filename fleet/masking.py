"""Secrets found by value in text that is about to leave the process, in any of the forms they are usually written in.

The last guard, behind `model/sealed.py` which keeps them out in the first place: a host may print what it was given.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from fleet.model.secret import Secret

SHORTEST = 4  # characters; what is shorter stands everywhere by chance
SHOWN = "(secret {})"


class Masker:
    """Knows the secrets of this process that were decrypted so far. Masking costs one search, however many they are."""

    def __init__(self) -> None:
        self._names: dict[bytes, str] = {}
        self._pattern: re.Pattern[bytes] | None = None

    def add(self, secrets: Iterable[Secret]) -> None:
        for secret in secrets:
            for form in forms(secret.reveal()):
                if form not in self._names:
                    self._names[form] = secret.name
                    self._pattern = None

    def data(self, data: bytes) -> bytes:
        """The same bytes with the name of each secret in its place."""
        if not self._names or not data:
            return data
        if self._pattern is None:
            self._pattern = re.compile(_alternatives(self._names), re.DOTALL)
        return self._pattern.sub(self._mark, data)

    def text(self, text: str) -> str:
        if not self._names:
            return text
        data = text.encode(errors="surrogatepass")
        masked = self.data(data)
        return text if masked is data else masked.decode(errors="surrogatepass")

    def value(self, value: Any) -> Any:
        """A plain value with its texts masked; keys are ours and stay."""
        if not self._names:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bytes):
            return self.data(value)
        if isinstance(value, Mapping):
            return {key: self.value(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(inner) for inner in value]
        return value

    def _mark(self, found: re.Match[bytes]) -> bytes:
        return SHOWN.format(self._names[found[0]]).encode()


def forms(value: bytes) -> set[bytes]:
    """A value as it may be met: raw, base64 (alone and inside something longer), hex, URL, JSON, shell-quoted, as
    Python shows it; and of several lines each by itself."""
    found: set[bytes] = set()
    for one in {value, value.strip(), *value.splitlines(), *(line.strip() for line in value.splitlines())}:
        if len(one.decode(errors="replace")) >= SHORTEST:
            found.update(_forms(one))
    return {form for form in found if len(form) >= SHORTEST}


def _forms(value: bytes) -> Iterator[bytes]:
    yield value
    yield from (value.hex().encode(), value.hex().upper().encode())
    yield from _base64(value)
    for escaped in (quote(value, safe=""), quote(value), quote_plus(value)):
        yield escaped.encode()
        yield re.sub("%[0-9A-F]{2}", lambda m: m[0].lower(), escaped).encode()
    text = value.decode(errors="surrogateescape")
    quoted = text.replace("'", "'\\''")
    said = (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1], repr(value)[2:-1],
            shlex.quote(text), quoted, text.encode("unicode_escape", "backslashreplace").decode())  # fmt: skip
    for one in said:
        yield one.encode(errors="surrogateescape")
    plain = value.decode(errors="backslashreplace")
    yield from (plain.encode(), json.dumps(plain)[1:-1].encode())


def _base64(value: bytes) -> Iterator[bytes]:
    """Alone, and the characters that only this value decides at each of the three places it may begin."""
    for variant in (base64.b64encode, base64.urlsafe_b64encode):
        whole = variant(value)
        yield from (whole, whole.rstrip(b"="))
        for shift in range(3):
            inner = variant(b"\0" * shift + value)
            begin = (0, 2, 3)[shift]
            end = (len(value) + shift) * 8 // 6
            # A few characters would be found by chance.
            if end - begin >= 2 * SHORTEST:
                yield inner[begin:end]


def _alternatives(words: Iterable[bytes]) -> bytes:
    """A pattern for any of the words, the longest first, as a tree: tried character by character, not word by word."""
    tree: dict[int, Any] = {}
    for word in words:
        place = tree
        for byte in word:
            place = place.setdefault(byte, {})
        place[-1] = True
    return _pattern(tree)


def _pattern(tree: dict[int, Any]) -> bytes:
    """Runs of single children are followed in a loop: words may be longer than Python's stack is deep."""
    run = b""
    while len(tree) == 1 and -1 not in tree:
        byte, tree = next(iter(tree.items()))
        run += re.escape(bytes([byte]))
    branches = [re.escape(bytes([byte])) + _pattern(inner) for byte, inner in tree.items() if byte != -1]
    if not branches:
        return run
    return run + b"(?:" + b"|".join(branches) + b")" + (b"?" if -1 in tree else b"")
