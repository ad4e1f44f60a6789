"""What a request says, checked: query and body. Raises UsageError in words that tell what was expected."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from starlette.requests import Request

from fleet.controller.view import HostView
from fleet.errors import UsageError

Key = tuple[str, str]
LONGEST = 1000  # characters of a text
MOST = 5000  # entries of one page
_SELECTORS = ("hosts", "environment", "role", "all")


def label(one: HostView) -> str:
    return f"{one.environment}/{one.name}"


def number(text: str, name: str) -> int:
    """As it stands in a query or header; 0 when it is not given."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise UsageError(f"expected {name}: a number")
    return int(text)


def meant(hosts: Sequence[HostView], query: Mapping[str, str]) -> list[HostView]:
    """By label. environment, host (a shell pattern of names or ENVIRONMENT/NAME), role, verdict: all must hold."""
    rules: dict[str, Callable[[HostView, str], bool]] = {
        "environment": lambda one, wanted: one.environment == wanted,
        "host": lambda one, wanted: fnmatchcase(one.name, wanted) or fnmatchcase(label(one), wanted),
        "role": lambda one, wanted: wanted in one.roles,
        "verdict": lambda one, wanted: one.verdict == wanted,
    }
    asked = [(rule, query[name]) for name, rule in rules.items() if name in query]
    return sorted((one for one in hosts if all(rule(one, wanted) for rule, wanted in asked)), key=label)


def page(found: Sequence[HostView], query: Mapping[str, str]) -> tuple[list[HostView], str]:
    """Those after the label `after`, at most `limit`; and the label to go on after, "" when these are the last."""
    limit = min(number(query.get("limit", ""), "limit"), MOST) or MOST
    rest = [one for one in found if label(one) > query.get("after", "")]
    return rest[:limit], label(rest[limit - 1]) if limit < len(rest) else ""


def to_reconcile(asked: Mapping[str, Any], hosts: Sequence[HostView]) -> list[Key]:
    """Exactly one of hosts, environment, role, all: nobody means all hosts by leaving something out."""
    given = [name for name in _SELECTORS if name in asked]
    if len(given) != 1:
        raise UsageError(
            "expected hosts: a list of ENVIRONMENT/NAME, or environment, or role, or all: true; one of them"
        )
    if given == ["hosts"]:
        names = asked["hosts"]
        if not isinstance(names, list) or not names or not all(isinstance(one, str) and "/" in one for one in names):
            raise UsageError("expected hosts: a list of ENVIRONMENT/NAME")
        return [(one.partition("/")[0], one.partition("/")[2]) for one in names]
    if given == ["all"]:
        if asked["all"] is not True:
            raise UsageError("expected all: true")
        return [(one.environment, one.name) for one in hosts]
    return [(one.environment, one.name) for one in meant(hosts, {given[0]: text(asked, given[0])})]


async def body(request: Request, *names: str) -> Mapping[str, Any]:
    """A map of these names and no others: what is written otherwise was meant otherwise, too."""
    try:
        found = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise UsageError("expected a JSON object") from error
    if not isinstance(found, dict):
        raise UsageError("expected a JSON object")
    if strange := sorted(found.keys() - set(names)):
        raise UsageError(f"there is no {strange[0][:100]!r} here; expected {', '.join(names)}")
    return found


def text(asked: Mapping[str, Any], name: str, *, empty: bool = False) -> str:
    """It ends up on terminals: no characters that move there, only such as are seen."""
    value = asked.get(name)
    if not isinstance(value, str) or len(value) > LONGEST or not (value or empty):
        raise UsageError(f"expected {name}: a text of at most 1,000 characters")
    if not value.isprintable():
        raise UsageError(f"expected {name}: a text without line ends and control characters")
    return value
