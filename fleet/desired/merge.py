"""The four merge rules. Two layers' Nodes in, one Node out, each leaf with the chain of what it won against.

Maps merge by key; scalars and lists replace; `!append`, `!replace` and `!remove` say otherwise. Nothing given is
changed: Nodes are shared between environments and revisions. What cannot be merged is collected as Problems.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from fleet.errors import Problem
from fleet.model.value import Node

REMOVES_NOTHING = "`!remove` removes nothing: no weaker layer says this"


def stamp(node: Node, layer: str) -> Node:
    """The same value, each part knowing which layer said it. An equal stamp costs nothing."""
    if node.layer == layer:
        return node
    value = node.value
    if isinstance(value, dict):
        value = {key: stamp(child, layer) for key, child in value.items()}
    elif isinstance(value, list):
        value = [stamp(child, layer) for child in value]
    return Node(value, node.origin, node.key, node.tag, layer, node.over)


def merge(weak: Node | None, strong: Node | None, problems: list[Problem]) -> Node | None:
    """`strong` over `weak`. None where nothing is left, or where neither says anything."""
    if strong is None:
        return weak
    if strong.tag == "remove":
        if weak is None:
            problems.append(_nothing_to_remove(strong))
        return None
    if weak is None:
        return strong
    if strong.tag == "append":
        return _append(weak, strong, problems)
    if strong.tag == "replace":
        return _over(strong, settle(replace(strong, tag=""), problems).value, weak, tag="")
    if isinstance(strong.value, dict) != isinstance(weak.value, dict):
        problems.append(_unlike(weak, strong))
        return strong
    if isinstance(strong.value, dict):
        merged = merge_maps(weak.value, strong.value, problems)
        return Node(merged, strong.origin, strong.key, weak.tag, strong.layer, (weak,))
    return _over(strong, strong.value, weak, strong.tag)


def merge_maps(weak: Mapping[str, Node], strong: Mapping[str, Node], problems: list[Problem]) -> dict[str, Node]:
    """By key. Weak keys keep their place, new ones follow: order says nothing, but people read it."""
    merged = dict(weak)
    for key, node in strong.items():
        left = merge(weak.get(key), node, problems)
        if left is None:
            merged.pop(key, None)
        else:
            merged[key] = left
    return merged


def merge_all(nodes: Iterable[Node | None], problems: list[Problem]) -> Node | None:
    """Weakest first. What is left is settled: no tag but `!raw` and `!secret` remains."""
    merged: Node | None = None
    for node in nodes:
        merged = merge(merged, node, problems)
    return None if merged is None else settle(merged, problems)


def settle(node: Node, problems: list[Problem]) -> Node:
    """What is left when nothing weaker comes: `!append` and `!replace` are plain, `!remove` has nothing to remove. What
    a tag says of the value itself stays."""
    value = node.value
    if isinstance(value, dict):
        value = _settled_map(value, problems)
    elif isinstance(value, list):
        value = _settled_list(value, problems)
    tag = node.tag if node.tag in ("raw", "secret") else ""
    return node if value is node.value and tag == node.tag else replace(node, value=value, tag=tag)


def _settled_map(value: dict[str, Node], problems: list[Problem]) -> dict[str, Node]:
    changed: dict[str, Node | None] = {}
    for key, child in value.items():
        if child.tag == "remove":
            problems.append(_nothing_to_remove(child))
            changed[key] = None
        elif (settled := settle(child, problems)) is not child:
            changed[key] = settled
    if not changed:
        return value
    every: dict[str, Node | None] = {**value, **changed}
    return {key: child for key, child in every.items() if child is not None}


def _settled_list(value: list[Node], problems: list[Problem]) -> list[Node]:
    settled = []
    for child in value:
        if child.tag == "remove":
            problems.append(_nothing_to_remove(child))
        else:
            settled.append(settle(child, problems))
    return (
        value if all(a is b for a, b in zip(value, settled, strict=False)) and len(value) == len(settled) else settled
    )


def _append(weak: Node, strong: Node, problems: list[Problem]) -> Node:
    if not isinstance(weak.value, list) or not isinstance(strong.value, list):
        problems.append(
            Problem(
                strong.origin,
                "`!append` adds a list to a list",
                expected=f"a list here and below it ({_sort(weak)} stands there)",
                also=(weak.origin,),
            )
        )
        return strong
    return _over(strong, [*weak.value, *strong.value], weak, weak.tag)


def _over(strong: Node, value: object, weak: Node, tag: str) -> Node:
    return Node(value, strong.origin, strong.key, tag, strong.layer, (weak,))


def _sort(node: Node) -> str:
    if isinstance(node.value, dict):
        return "a map"
    return "a list" if isinstance(node.value, list) else "a single value"


def _unlike(weak: Node, strong: Node) -> Problem:
    return Problem(
        strong.origin,
        f"{_sort(strong)} cannot be merged over {_sort(weak)}",
        expected=f"{_sort(weak)}, as in {weak.origin}",
        hint="write `!replace` before it if it is meant to take its place",
        also=(weak.origin,),
    )


def _nothing_to_remove(node: Node) -> Problem:
    return Problem(
        node.key or node.origin,
        REMOVES_NOTHING,
        hint="take the line out, or check how the key is spelt in the layers below",
    )
