"""Text with secrets in it that are not there yet: a token where each will stand, until a transport opens it.

A token is OPERATION ARGUMENT between two Unicode noncharacters, which no file may hold (Unicode 15, §23.7). Everything
between the compiler and the transport handles such text like any other: it is the same with and without the key.

    secret NAME DIGEST      the value itself; DIGEST is made of its ciphertext, so it changes with the value
    sha256 DIGEST           the digest of a content with secrets; DIGEST is that of the content as it is sealed
    seen NUMBER             what stood on the host where a secret belongs, and is nobody's business either
    base64 | json | url | shell | indentN TEXT    TEXT, opened first, in that form
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

OPEN, CLOSE = "\ufdd0", "\ufdd1"
_OPEN, _CLOSE = OPEN.encode(), CLOSE.encode()
_EDGE = re.compile(f"[{OPEN}{CLOSE}]")
_SECRET = re.compile(f"{OPEN}secret [^{OPEN}{CLOSE}]+{CLOSE}")
LEAVES = ("secret", "sha256", "seen")


@dataclass(frozen=True, slots=True)
class Token:
    """One token. argument: of a leaf its words, else the text inside, which may hold tokens again."""

    operation: str
    argument: str

    def __str__(self) -> str:
        return f"{OPEN}{self.operation} {self.argument}{CLOSE}"

    @property
    def name(self) -> str:
        """Of a secret."""
        return self.argument.partition(" ")[0]


def reference(name: str, digest: str) -> str:
    """Where the secret NAME will stand."""
    return str(Token("secret", f"{name} {digest}"))


def holds(value: Any) -> bool:
    """Whether a plain value has a token anywhere in it, or what looks like one."""
    if isinstance(value, str):
        return OPEN in value or CLOSE in value
    if isinstance(value, bytes):
        return _OPEN in value or _CLOSE in value
    if isinstance(value, dict):
        return any(holds(key) or holds(inner) for key, inner in value.items())
    return isinstance(value, list | tuple) and any(map(holds, value))


def parts(text: str) -> Iterator[str | Token]:
    """The text as literal parts and outermost tokens. Raises ValueError when tokens are cut or not ours."""
    depth = begin = last = 0
    for edge in _EDGE.finditer(text):
        if edge[0] == OPEN:
            if depth == 0 and edge.start() > last:
                yield text[last : edge.start()]
            begin = edge.end() if depth == 0 else begin
            depth += 1
            continue
        depth -= 1
        if depth < 0:
            break
        if depth == 0:
            operation, _, argument = text[begin : edge.start()].partition(" ")
            yield Token(operation, argument)
            last = edge.end()
    if depth:
        raise ValueError("a secret's place in a text was cut")
    if last < len(text):
        yield text[last:]


def leaves(text: str) -> Iterator[Token]:
    """Every token that stands for a value, however deep."""
    for part in parts(text):
        if isinstance(part, Token):
            if part.operation in LEAVES:
                yield part
            else:
                yield from leaves(part.argument)


def every_leaf(value: Any) -> Iterator[Token]:
    """The same for any plain value."""
    if isinstance(value, bytes):
        value = value.decode(errors="surrogateescape") if _OPEN in value else ""
    if isinstance(value, str):
        if OPEN in value:
            yield from leaves(value)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from every_leaf(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from every_leaf(inner)


def secrets_of(*texts: str) -> tuple[str, ...]:
    """The tokens of all secrets in some texts, each once, sorted. Raises ValueError when one was cut."""
    found: set[str] = set()
    for text in texts:
        found.update(_SECRET.findall(text))
        if text.count(OPEN) != text.count(CLOSE):
            raise ValueError("a secret's place in a text was cut")
    return tuple(sorted(found))


def sha256(content: bytes) -> str:
    """The content's hex sha256, or a token for it when the content is not all there yet."""
    digest = hashlib.sha256(content).hexdigest()
    return str(Token("sha256", digest)) if _OPEN in content else digest


def opened(text: str, value: Callable[[Token], bytes | None]) -> bytes:
    """The text with everything in its place; a token whose value is not known (None) stays as it is."""
    return b"".join(_opened(part, value) for part in parts(text))


def _opened(part: str | Token, value: Callable[[Token], bytes | None]) -> bytes:
    if isinstance(part, str):
        return part.encode(errors="surrogateescape")
    if part.operation in LEAVES:
        found = value(part)
        return str(part).encode() if found is None else found
    return transformed(part.operation, opened(part.argument, value))


def transformed(operation: str, data: bytes) -> bytes:
    """Bytes in another form. Raises ValueError for a form nobody knows, or that these bytes cannot have."""
    if operation == "base64":
        return base64.b64encode(data)
    if operation == "url":
        return quote(data, safe="").encode()
    text = data.decode(errors="surrogateescape")
    if operation == "json":
        return json.dumps(text, ensure_ascii=False)[1:-1].encode(errors="surrogateescape")
    if operation == "shell":
        return shlex.quote(text).encode(errors="surrogateescape")
    if operation.startswith("indent") and operation[6:].isdecimal():
        pad = " " * int(operation[6:])
        first, *rest = text.split("\n")
        return "\n".join([first, *(pad + line if line else line for line in rest)]).encode(errors="surrogateescape")
    raise ValueError(f"a secret has no form {operation!r}")


def wrapped(operation: str, text: str) -> str:
    """Each outermost token of a text in that form; the literal parts as they are."""
    return "".join(part if isinstance(part, str) else str(Token(operation, str(part))) for part in parts(text))


def lines(text: str) -> list[str]:
    """Lines of a text; a newline inside a token is no end of line."""
    found = [""]
    for part in parts(text):
        if isinstance(part, Token):
            found[-1] += str(part)
        else:
            first, *rest = part.split("\n")
            found[-1] += first
            found.extend(rest)
    return found


def shown(text: str) -> str:
    """For people: what stands where."""
    if OPEN not in text:
        return text
    try:
        return "".join(part if isinstance(part, str) else _shown(part) for part in parts(text))
    except ValueError:
        return _EDGE.sub("?", text)


def _shown(token: Token) -> str:
    if token.operation == "secret":
        name, _, digest = token.argument.partition(" ")
        return f"(secret {name} {digest[:6]})"
    if token.operation == "sha256":
        return f"(digest with secrets {token.argument[:6]})"
    if token.operation == "seen":
        return "(not shown)"
    inner = shown(token.argument)
    form = "indented" if token.operation.startswith("indent") else token.operation
    return f"{inner[:-1]}, {form})" if inner.startswith("(secret") and inner.endswith(")") else f"({form} of {inner})"
