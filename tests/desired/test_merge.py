"""The merge rules: their laws as properties, the tags by example."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fleet.desired.merge import merge, merge_all, settle, stamp
from fleet.desired.ranges import expand
from fleet.errors import Origin, Problem
from fleet.model.value import Node

PLACE = Origin("f", 1, 1)


def node(value: Any, tag: str = "", layer: str = "") -> Node:
    if isinstance(value, Node):
        return value
    if isinstance(value, dict):
        value = {key: node(child, layer=layer) for key, child in value.items()}
    elif isinstance(value, list):
        value = [node(child, layer=layer) for child in value]
    return Node(value, PLACE, None, tag, layer)


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=4)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=12,
)
MAPS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


def merged(*layers: Any) -> tuple[Any, int]:
    problems: list[Problem] = []
    found = merge_all([None if layer is None else node(layer) for layer in layers], problems)
    return (None if found is None else found.plain()), len(problems)


@given(VALUES)
def test_merging_with_nothing_changes_nothing(value: Any) -> None:
    assert merged(value, None) == merged(None, value) == (value, 0)


@given(MAPS)
def test_merging_with_an_empty_map_changes_nothing(value: Any) -> None:
    assert merged(value, {}) == merged({}, value) == (value, 0)


@given(MAPS)
def test_merging_with_itself_changes_nothing(value: Any) -> None:
    assert merged(value, value) == (value, 0)


@given(MAPS, MAPS, MAPS)
def test_layers_are_associative(a: Any, b: Any, c: Any) -> None:
    """Without tags it does not matter which two are merged first, wherever they can be merged at all."""
    left: list[Problem] = []
    right: list[Problem] = []
    one = merge(merge(node(a), node(b), left), node(c), left)
    other = merge(node(a), merge(node(b), node(c), right), right)
    assert bool(left) == bool(right)
    if not left:
        assert one is not None and other is not None
        assert one.plain() == other.plain()


@given(MAPS, MAPS)
def test_merging_never_changes_what_it_is_given(a: Any, b: Any) -> None:
    weak, strong = node(a), node(b)
    merge(weak, strong, [])
    assert (weak.plain(), strong.plain()) == (a, b)


@given(st.lists(st.integers(), min_size=1, max_size=6))
def test_the_chain_names_every_layer_strongest_first(values: list[int]) -> None:
    layers = [stamp(node({"x": value}), f"l{number}") for number, value in enumerate(values)]
    found = merge_all(layers, [])
    assert found is not None
    chain = list(found.value["x"].chain())
    assert [one.value for one in chain] == values[::-1]
    assert [one.layer for one in chain] == [f"l{number}" for number in range(len(values))][::-1]


def test_append_adds_to_what_is_below_and_stands_alone_where_nothing_is() -> None:
    assert merged({"x": [1]}, {"x": node([2], "append")}) == ({"x": [1, 2]}, 0)
    assert merged({"x": [1]}, {"x": node([2], "append")}, {"x": node([3], "append")}) == ({"x": [1, 2, 3]}, 0)
    assert merged({"x": node([2], "append")}) == ({"x": [2]}, 0)


def test_replace_takes_a_map_whole() -> None:
    assert merged({"x": {"a": 1, "b": 2}}, {"x": node({"c": 3}, "replace")}) == ({"x": {"c": 3}}, 0)
    assert merged({"x": 1}, {"x": node({"c": 3}, "replace")}) == ({"x": {"c": 3}}, 0)


def test_remove_must_remove_something() -> None:
    assert merged({"x": 1, "y": 2}, {"x": node(None, "remove")}) == ({"y": 2}, 0)
    assert merged({"y": 2}, {"x": node(None, "remove")}) == ({"y": 2}, 1)
    assert merged({"y": 2}, {"x": {"z": node(None, "remove")}}) == ({"y": 2, "x": {}}, 1)


def test_what_was_removed_can_be_said_again() -> None:
    assert merged({"x": {"a": 1}}, {"x": node(None, "remove")}, {"x": {"b": 2}}) == ({"x": {"b": 2}}, 0)


def test_raw_stays_raw() -> None:
    found = merge(node({"x": "a"}), node({"x": node("{{ b }}", "raw")}), [])
    assert found is not None and settle(found, []).value["x"].tag == "raw"


def test_a_map_and_a_single_value_need_a_word() -> None:
    assert merged({"x": {"a": 1}}, {"x": 1})[1] == 1
    assert merged({"x": 1}, {"x": {"a": 1}})[1] == 1


@given(st.integers(0, 300), st.integers(0, 300))
def test_a_range_counts_from_first_to_last(first: int, extra: int) -> None:
    found = expand(f"web-[{first}:{first + extra}]")
    assert [name for name, _ in found] == [f"web-{number}" for number in range(first, first + extra + 1)]
    assert [index for _, index in found] == list(range(first, first + extra + 1))


def test_ranges_by_example() -> None:
    assert expand("web-[01:03]") == [("web-01", 1), ("web-02", 2), ("web-03", 3)]
    assert expand("web-[08:10]") == [("web-08", 8), ("web-09", 9), ("web-10", 10)]
    assert expand("db-[a,b]") == [("db-a", "a"), ("db-b", "b")]
    assert expand("r[1:2]-[a,b]") == [("r1-a", 1), ("r1-b", 1), ("r2-a", 2), ("r2-b", 2)]
    assert expand("alone") == [("alone", None)]
    assert expand("m-[1:2,9]") == [("m-1", 1), ("m-2", 2), ("m-9", 9)]
