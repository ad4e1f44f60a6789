"""What stands where in a JSON document: JSONPath (RFC 9535), and the dotted names that people use for fields."""

# ruff: noqa: PLC0415 - the library is imported by those who have objects of an API: it takes longer than a short command
from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonpath import JSONPath

MISSING = object()


@lru_cache(maxsize=512)
def compiled(expression: str) -> JSONPath:
    """Raises ValueError for what is no JSONPath."""
    from jsonpath import JSONPath, JSONPathEnvironment
    from jsonpath.exceptions import JSONPathError

    try:
        found = JSONPathEnvironment(strict=True).compile(expression)
    except (JSONPathError, RecursionError) as error:
        # Not str(error), which for "" fails itself: it looks for a place to point at.
        said = str(error.args[0] if error.args else "").partition("\n")[0] or "nothing is there"
        raise ValueError(f"expected a JSONPath such as $.items[*]: {said}") from error
    if not isinstance(found, JSONPath):
        raise ValueError("expected one JSONPath")
    return found


def parsed(text: str) -> Any:
    """The document, or MISSING for what is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return MISSING


def find(expression: str, document: Any) -> list[Any]:
    """Every value there, in order; none where the document has no such place."""
    from jsonpath.exceptions import JSONPathError

    try:
        return compiled(expression).findall(document)
    except (JSONPathError, RecursionError):
        return []


def first(expression: str, document: Any) -> Any:
    """The first value there, or MISSING."""
    found = find(expression, document)
    return found[0] if found else MISSING


def field(name: str, value: Any) -> Any:
    """The field of that dotted name, or MISSING. A key with dots in it is found as it is, too."""
    if not isinstance(value, dict):
        return MISSING
    if name in value:
        return value[name]
    for at, letter in enumerate(name):
        if letter == "." and name[:at] in value:
            found = field(name[at + 1 :], value[name[:at]])
            if found is not MISSING:
                return found
    return MISSING


def with_field(keys: Sequence[str], value: Any, inside: Any) -> Any:
    """The same object with that field, by the keys that lead to it."""
    own = inside if isinstance(inside, dict) else {}
    head, *rest = keys
    return {**own, head: with_field(rest, value, own.get(head)) if rest else value}


def flat(value: Any) -> dict[str, Any]:
    """Dotted name → leaf. Lists and empty maps are leaves."""
    return {name: leaf for name, (_, leaf) in leaves(value).items()}


def leaves(value: Any, keys: tuple[str, ...] = ()) -> dict[str, tuple[tuple[str, ...], Any]]:
    """Dotted name → the keys that lead there, which may have dots of their own, and the leaf."""
    if not isinstance(value, dict) or not value:
        return {".".join(keys): (keys, value)}
    found: dict[str, tuple[tuple[str, ...], Any]] = {}
    for key, inner in value.items():
        found |= leaves(inner, (*keys, str(key)))
    return found
