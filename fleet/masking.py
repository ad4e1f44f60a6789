"""Secrets found by value in text that is about to leave the process, in any of the forms they are usually written in.

The last guard, behind `model/sealed.py` which keeps them out in the first place: a host may print what it was given.
"""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any
from urllib.parse import quote, quote_plus

import ahocorasick

from fleet.model.secret import Secret

SHORTEST = 4  # characters; what is shorter stands everywhere by chance
PIECE = 2048  # bytes that are looked for as a whole; a longer value is looked for in parts of this size
WRAPPED = 12  # bytes of a form that is looked for across the ends of lines as well
LONGEST = 64 * 1024  # bytes of one value that are looked for at all
SHOWN = "(secret {})"
# Bytes apart from each other, in as many lines as there are: `od -An -tx1`, a fingerprint.
_DUMP = re.compile(rb"(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{2}[ \t\r\n:]{1,8}){3,}[0-9A-Fa-f]{2}(?![0-9A-Za-z])")
_PAIR = re.compile(rb"[0-9A-Fa-f]{2}")


class Masker:
    """Knows the secrets of this process that were decrypted so far. Masking costs one search, however many they are."""

    def __init__(self) -> None:
        self._forms: set[bytes] = set()
        self._automaton = ahocorasick.Automaton()
        self._ready = False
        self.longest = 0  # bytes of the longest form, with the ends of lines in it

    def add(self, secrets: Iterable[Secret]) -> None:
        for secret in secrets:
            for form in forms(secret.reveal()) - self._forms:
                self._forms.add(form)
                self.longest = max(self.longest, len(form) + len(form) // 64 + 1)
                self._automaton.add_word(form.decode("latin-1"), (len(form), secret.name))
                self._ready = False

    def data(self, data: bytes) -> bytes:
        """The same bytes with the name of each secret in its place."""
        if not self._forms or not data:
            return data
        if not self._ready:
            self._automaton.make_automaton()
            self._ready = True
        found = [*self._found(data), *self._wrapped(data), *self._dumped(data)]
        return _replaced(data, found) if found else data

    def without_half(self, data: bytes) -> bytes:
        """The same bytes without an end that a secret begins with."""
        for at in range(max(len(data) - self.longest, 0), len(data) - SHORTEST + 1) if self._forms else ():
            rest = data[at:].decode("latin-1")
            if self._automaton.longest_prefix(rest) == len(rest):
                return data[:at]
        return data

    def _found(self, data: bytes) -> list[tuple[int, int, str]]:
        text = data.decode("latin-1")  # a character for each byte
        return [(end + 1 - length, end + 1, name) for end, (length, name) in self._automaton.iter(text)]

    def _wrapped(self, data: bytes) -> list[tuple[int, int, str]]:
        """What goes on in the next line: base64(1) and openssl end a line after 76 or 64 characters."""
        lines = data.split(b"\n")
        if len(lines) == 1:
            return []
        # Where each line begins without the newlines; with them it is as many bytes further as there are before it.
        begins = list(accumulate((len(line) for line in lines), initial=0))
        hits = [hit for hit in self._found(b"".join(lines)) if hit[1] - hit[0] >= WRAPPED]
        places = [(a, b, bisect_right(begins, a) - 1, bisect_right(begins, b - 1) - 1, name) for a, b, name in hits]
        return [(a + first, b + last, name) for a, b, first, last, name in places if first != last]

    def _dumped(self, data: bytes) -> Iterator[tuple[int, int, str]]:
        """What is written as bytes in hex, one by one."""
        for dump in _DUMP.finditer(data):
            pairs = list(_PAIR.finditer(data, *dump.span()))
            for start, end, name in self._found(bytes.fromhex(b"".join(one[0] for one in pairs).decode())):
                yield pairs[start].start(), pairs[end - 1].end(), name

    def text(self, text: str) -> str:
        if not self._forms:
            return text
        data = text.encode(errors="surrogatepass")
        masked = self.data(data)
        if masked is data:
            return text
        try:
            return masked.decode(errors="surrogatepass")
        except UnicodeDecodeError:  # a secret that ends within a character
            return masked.decode(errors="replace")

    def value(self, value: Any) -> Any:
        """A plain value with its texts masked; keys are ours and stay."""
        if not self._forms:
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


def _replaced(data: bytes, found: list[tuple[int, int, str]]) -> bytes:
    """Everything that any of the (start, end, name) covers is gone; what overlaps is told as the longest of it."""
    parts: list[bytes] = []
    last = 0
    for start, end, name in _joined(sorted(found)):
        parts += [data[last:start], SHOWN.format(name).encode()]
        last = end
    return b"".join([*parts, data[last:]])


def _joined(found: list[tuple[int, int, str]]) -> Iterator[tuple[int, int, str]]:
    start, end, name = found[0]
    longest = end - start
    for begin, stop, other in found[1:]:
        if begin >= end:
            yield start, end, name
            start, end, name, longest = begin, stop, other, stop - begin
            continue
        if stop - begin > longest:
            name, longest = other, stop - begin
        end = max(end, stop)
    yield start, end, name


def forms(value: bytes) -> set[bytes]:
    """A value as it may be met: raw, base64 (alone and inside something longer), base32, hex, URL, JSON, HTML,
    shell-quoted, in UTF-16, as Python shows it; and of several lines each by itself."""
    found: set[bytes] = set()
    for one in _pieces(value):
        if len(one.decode(errors="replace")) >= SHORTEST:
            found.update(_forms(one))
    return {form for form in found if len(form) >= SHORTEST}


def _pieces(value: bytes) -> set[bytes]:
    """The whole, and its lines; of what is too long to be looked for as a whole, parts that cover its beginning."""
    lines = value[:LONGEST].splitlines()
    pieces = {*lines, *(line.strip() for line in lines)}
    if len(value) <= PIECE:
        return pieces | {value, value.strip()}
    short = {piece for piece in pieces if len(piece) <= PIECE}
    return short | {value[at : at + PIECE] for at in range(0, min(len(value), LONGEST), PIECE)}


def _forms(value: bytes) -> Iterator[bytes]:
    yield value
    yield from (value.hex().encode(), value.hex().upper().encode())
    yield from _base64(value)
    wide = base64.b32encode(value)
    yield from (wide, wide.rstrip(b"="))
    for escaped in (quote(value, safe=""), quote(value), quote_plus(value)):
        yield escaped.encode()
        yield re.sub("%[0-9A-F]{2}", lambda m: m[0].lower(), escaped).encode()
    text = value.decode(errors="surrogateescape")
    quoted = text.replace("'", "'\\''")
    said = (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1], repr(value)[2:-1],
            shlex.quote(text), quoted, text.encode("unicode_escape", "backslashreplace").decode())  # fmt: skip
    for one in (*said, *_html(text)):
        yield one.encode(errors="surrogateescape")
    yield text.encode(errors="surrogatepass")  # of a host's words that are no UTF-8
    yield text.encode("utf-16-le", errors="surrogatepass")
    plain = value.decode(errors="backslashreplace")
    yield from (plain.encode(), json.dumps(plain)[1:-1].encode())


def _html(text: str) -> Iterator[str]:
    """As Python, Go and others write the quotes."""
    bare = html.escape(text, quote=False)
    yield bare
    for double, single in (("&quot;", "&#x27;"), ("&quot;", "&#39;"), ("&#34;", "&#39;"), ("&quot;", "&apos;")):
        yield bare.replace('"', double).replace("'", single)


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
