"""The filters of templates: Jinja's own that are bounded by their arguments, and ours. Text with a secret in it passes
only through those that can put off what they do until the value is there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any

from fleet.desired.bounds import FORMS, SIZE, TemplateFailure, made, spelt, untouched, weigh
from fleet.model import sealed

_FILTERS = (
    "abs", "capitalize", "count", "default", "d", "dictsort", "first", "float", "groupby", "int", "items", "join",
    "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "round", "select",
    "selectattr", "sort", "string", "sum", "title", "trim", "unique", "upper",
)  # fmt: skip
_SORTS = ("defined", "undefined", "none", "string", "mapping", "iterable", "sequence", "number", "boolean", "callable")
_CARRY = ("default", "d", "string", *FORMS)


def filters(usual: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """By name. usual: Jinja's."""
    found = {name: usual[name] for name in _FILTERS}
    found |= {"replace": _replace, "indent": _indent, "tojson": _json}
    found["string"] = _string(usual["string"])
    found |= {"base64": _form("base64"), "quote": _form("shell"), "urlencode": _form("url")}
    found |= {"objects": _objects}
    found |= {"_whole": _whole, "_concat": _concat, "_weighed": _weighed}
    return {name: guarded(call, name in _CARRY or name.startswith("_")) for name, call in found.items()}


def tests(usual: Mapping[str, Any]) -> dict[str, Any]:
    """Jinja's, of which those that only ask for the sort of a value may meet a secret."""
    return {name: guarded(call, name in _SORTS) for name, call in usual.items()}


def guarded(call: Callable[..., Any], carries: bool = False) -> Callable[..., Any]:
    """Arguments are weighed first, and what would come lazily is made now, while somebody counts."""

    @wraps(call)
    def call_guarded(*args: Any, **kwargs: Any) -> Any:
        given = [made(value) if isinstance(value, Iterator) else value for value in args]
        for value in (*given, *kwargs.values()):
            weigh(value)
        if not carries:
            untouched(*given, *kwargs.values())
        return call(*given, **kwargs)

    return call_guarded


def _concat(parts: list[Any]) -> str:
    return "".join(_text(part) for part in parts)


def _text(value: Any) -> str:
    weigh(value)
    spelt(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _string(usual: Callable[[Any], str]) -> Callable[[Any], str]:
    def string(value: Any) -> str:
        spelt(value)
        return usual(value)

    return string


def _weighed(value: Any) -> Any:
    weigh(value)
    return value


def _replace(text: str, old: str, new: str) -> str:
    if not old or len(text) + str(text).count(old) * len(new) > SIZE:
        raise TemplateFailure("a value in this template grows too big", expected=f"at most {SIZE:,} characters")
    return str(text).replace(old, new)


def _indent(text: str, width: int = 4, first: bool = False) -> str:
    lines = sealed.lines(str(text)) if sealed.holds(text) else str(text).split("\n")
    if len(text) + len(lines) * max(width, 0) > SIZE:
        raise TemplateFailure("a value in this template grows too big", expected=f"at most {SIZE:,} characters")
    pad = " " * width
    text = "\n".join(pad + line if line and (first or i) else line for i, line in enumerate(lines))
    return sealed.wrapped(f"indent{max(width, 0)}", text) if sealed.holds(text) else text


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    if not sealed.holds(text):
        return text
    # What stands inside a token is not there yet: it is escaped when it is.
    parts = (part if isinstance(part, str) else json.loads(f'"{part}"') for part in sealed.parts(text))
    return sealed.wrapped("json", "".join(parts))


def _form(operation: str) -> Callable[[Any], str]:
    """Text in another form, now or, with a secret in it, when the secret is there."""

    def formed(value: Any) -> str:
        text = _text(value)
        if sealed.holds(text):
            return str(sealed.Token(operation, text))
        return sealed.transformed(operation, text.encode()).decode()

    return formed


def _objects(values: Any, key: str, **others: Any) -> list[dict[str, Any]]:
    """A map for each value: `['a'] | objects('name', on=true)` is [{name: a, on: true}]."""
    return [{key: value, **others} for value in values]


def _whole(value: Any) -> Any:
    untouched(value)
    return value
