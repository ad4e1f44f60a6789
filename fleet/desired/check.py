"""A Node against its Shape: unknown keys with near misses, maps where maps are meant. Pure; Problems out."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable

from fleet.desired.format import Shape
from fleet.desired.yaml import excerpt
from fleet.errors import Origin, Problem
from fleet.model.value import Node

_SAID = {dict: "a map", list: "a list", bool: "true or false", int: "a number", float: "a number", str: "text"}
_MEANT = {"map": "a map", "list": "a list", "text": "text", "flag": "true or false", "number": "a number"}
_SUCH = _MEANT | {"map": "a map, such as `NAME: {KEY: VALUE}`", "list": "a list, such as `[FIRST, SECOND]`"}

_PADDING = re.compile(r"(?<![0-9])0+(?=[0-9])")

Note = Callable[[Problem], None]


def near(word: str, known: Iterable[str]) -> str:
    """A hint for a word nobody knows: what it nearly is. Other zeros before a number are nearer than a letter."""
    close = nearest(word, known, 1)
    return f"did you mean `{close[0]}`?" if close else ""


def nearest(word: str, known: Iterable[str], most: int = 3) -> list[str]:
    """The words it nearly is, the nearest first."""
    if len(word) > 100:
        return []
    words, plain = list(known), unpadded(word)
    close = [one for one in words if one != word and unpadded(one) == plain] if any(map(str.isdigit, word)) else []
    return close[:most] or difflib.get_close_matches(word, words, most)


def unpadded(word: str) -> str:
    """`web-02` → `web-2`: names that differ in padding only are equal."""
    return _PADDING.sub("", word)


def said(value: object) -> str:
    return "nothing" if value is None else _SAID.get(type(value), type(value).__name__)


def check(node: Node, shape: Shape, note: Note) -> None:
    """Notes every problem below `node`. What carries `!remove` has no value to check.

    Nothing where a map is meant (`nginx:`) becomes the empty map, so that nobody downstream needs to know of both.
    """
    if node.tag == "secret":
        if not shape.secret:
            expected = "a secret only in variables and in attributes of resources"
            note(Problem(node.origin, "a secret cannot stand here", expected))
        return
    if node.tag == "remove" or shape.type == "any":
        return
    if shape.type == "map" and node.value is None:
        node.value = {}
    if node.tag == "append" and shape.type not in ("list", "map"):
        note(Problem(node.origin, "`!append` where there is no list", "a list"))
    elif not _fits(node, shape):
        note(Problem(node.origin, f"{said(node.value)} where {_MEANT[shape.type]} is meant", _SUCH[shape.type]))
    elif shape.choices and node.value not in shape.choices and not _template(node):
        choices = " | ".join(shape.choices)
        note(
            Problem(
                node.origin,
                f"`{excerpt(str(node.value))}` is not known here",
                choices,
                near(str(node.value), shape.choices),
            )
        )
    elif isinstance(node.value, dict):
        _members(node.value, shape, note)
    elif isinstance(node.value, list) and shape.each is not None:
        for item in node.value:
            check(item, shape.each, note)


def _members(members: dict[str, Node], shape: Shape, note: Note) -> None:
    for key, node in members.items():
        inner = shape.keys.get(key, shape.each)
        if inner is not None:
            check(node, inner, note)
            continue
        where: Origin = node.key or node.origin
        known = ", ".join(shape.keys) if len(shape.keys) <= 20 else ""
        expected = f"one of: {known}" if known else ""
        note(Problem(where, f"unknown {shape.noun} `{excerpt(key)}`", expected, near(key, shape.keys)))


def _fits(node: Node, shape: Shape) -> bool:
    value = node.value
    if shape.type == "map":
        return isinstance(value, dict)
    if shape.type == "list":
        return isinstance(value, list) or _template(node)
    if isinstance(value, dict | list):
        return False
    if _template(node):
        return True
    if shape.type == "text":
        return isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool))
    if shape.type == "flag":
        return isinstance(value, bool)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _template(node: Node) -> bool:
    return isinstance(node.value, str) and ("{{" in node.value or "{%" in node.value)
