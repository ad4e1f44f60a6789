"""Objects of an API as plain values: declared fields against what was read, in the way they are to be compared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fleet.model import json_path
from fleet.model.json_path import MISSING


def fitted(declared: Any, seen: Any, how: str = "") -> Any:
    """`declared` itself when what was seen agrees with it, else what was seen, less what nobody declared.

    how: "" exactly, but for fields that the server adds; "set": a list in any order; "number": "10" is 10; "case":
    upper and lower are the same; else the field by which a list's items are told apart.
    """
    if how == "number" and _number(declared) is not None and _number(declared) == _number(seen):
        return declared
    if how == "case" and isinstance(declared, str) and isinstance(seen, str) and declared.casefold() == seen.casefold():
        return declared
    if isinstance(declared, list) and isinstance(seen, list):
        if how in ("", "number", "case"):
            if len(declared) != len(seen):
                return seen
            return [fitted(one, other, how) for one, other in zip(declared, seen, strict=True)]
        return _any_order(declared, seen, "" if how == "set" else how)
    if isinstance(declared, dict) and isinstance(seen, dict):
        return {key: fitted(value, seen[key]) for key, value in declared.items() if key in seen}
    # True is not 1 to an API, and 1.0 is 1.
    return declared if declared == seen and isinstance(declared, bool) == isinstance(seen, bool) else seen


def _any_order(declared: list[Any], seen: list[Any], key: str) -> list[Any]:
    """The declared order for what agrees, then the rest as it is."""
    left = list(seen)
    found: list[Any] = []
    for one in declared:
        other = next((s for s in left if _same(one, s, key)), MISSING)
        if other is not MISSING:
            left.remove(other)
            found.append(fitted(one, other))
    return found + sorted(left, key=lambda one: json.dumps(one, sort_keys=True))


def _same(declared: Any, seen: Any, key: str) -> bool:
    if key:
        name = json_path.field(key, declared)
        return name is not MISSING and name == json_path.field(key, seen)
    return bool(fitted(declared, seen) == declared)


def _number(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def observed(fields: Mapping[str, Any], seen: Any, compare_as: Mapping[str, str]) -> dict[str, Any]:
    """The declared fields as the server has them; one that it does not have is left out."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        other = json_path.field(name, seen)
        if other is MISSING:
            if value is None:  # many servers leave out what is null
                found[name] = None
            continue
        how = compare_as.get(name, "") if compare_as else ""
        # Text that is equal is the usual case, and needs no more.
        same = type(value) is str and value == other
        found[name] = value if same else fitted(value, other, how)
    return found


def matches(wanted: Mapping[str, Any], seen: Any) -> bool:
    return all(_any_of(value, json_path.field(name, seen)) for name, value in wanted.items())


def _any_of(wanted: Any, seen: Any) -> bool:
    return seen in wanted if isinstance(wanted, list) else bool(seen == wanted)


def nested(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted names → the object that they describe."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        found = json_path.with_field(name.split("."), value, found)
    return found


def merged(under: Any, over: Any) -> Any:
    """Maps by key, everything else replaced (RFC 7396 but for null)."""
    if not isinstance(under, dict) or not isinstance(over, dict):
        return over
    return {**under, **{key: merged(under.get(key), value) for key, value in over.items()}}
