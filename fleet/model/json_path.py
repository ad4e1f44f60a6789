"""What stands where in a JSON document: JSONPath (RFC 9535), and the dotted names that people use for fields."""

# ruff: noqa: PLC0415 - the library is imported by those who have objects of an API: it takes longer than a short command
from __future__ import annotations

import json
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
    if isinstance(value, dict):
        if name in value:
            return value[name]
        head, dot, rest = name.partition(".")
        return field(rest, value[head]) if dot and head in value else MISSING
    return MISSING


def with_field(name: str, value: Any, inside: Any) -> Any:
    """The same object with that field."""
    head, dot, rest = name.partition(".")
    own = inside if isinstance(inside, dict) else {}
    return {**own, head: with_field(rest, value, own.get(head)) if dot else value}


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted name → leaf. Lists and empty maps are leaves."""
    if not isinstance(value, dict) or not value:
        return {prefix: value}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found |= flat(inner, f"{prefix}.{key}" if prefix else str(key))
    return found
