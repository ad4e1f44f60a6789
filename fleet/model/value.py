"""Plain values, and values that know where they came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from fleet.errors import Origin

# What YAML can say once tags are gone: scalars, list[Value], dict[str, Value].
Value: TypeAlias = Any
# The state of one resource: attribute → plain value. The resource being absent is None, never an empty State.
State: TypeAlias = Mapping[str, Value]


@dataclass(slots=True, eq=False)
class Node:
    """A value with its Origin. `value` is a scalar, a list[Node] or a dict[str, Node].

    key: where the mapping key of this node stands (None in lists and at the root).
    tag: "append" | "replace" | "remove" | "raw" | "" (the four merge tags; gone after merging, but for "raw").
    layer: the layer's directory name ("base"); "" before merging.
    over: what this value won against, strongest first: the rest of the Origin chain, kept while merging.
    """

    value: Any
    origin: Origin
    key: Origin | None = None
    tag: str = ""
    layer: str = ""
    over: tuple[Node, ...] = field(default=())

    def chain(self) -> Iterator[Node]:
        """This node, then everything it overrode, strongest first."""
        yield self
        for node in self.over:
            yield from node.chain()

    def plain(self) -> Value:
        """The value without origins."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def children(node: Node | None) -> Mapping[str, Node]:
    """A map's members; none for anything else."""
    return node.value if node is not None and isinstance(node.value, dict) else {}


def member(node: Node | None, *keys: str) -> Node | None:
    """The Node below these keys, or None."""
    for key in keys:
        node = children(node).get(key)
    return node
