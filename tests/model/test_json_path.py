"""Places in JSON documents: what is there is found, what is not is MISSING, and nobody's expression breaks anything."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.json_path import MISSING, compiled, field, find, first, flat, parsed

DOCUMENT = {"items": [{"id": 1, "tags": ["a"]}, {"id": 2}], "meta": {"next": None}, "a.b": {"c.d": 5}, "a": {"x": 1}}


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("$", [DOCUMENT]),
        ("$.items[*].id", [1, 2]),
        ("$.items[?@.id == 2].id", [2]),
        ("$.meta.next", [None]),
        ("$['a.b']['c.d']", [5]),
        ("$.nowhere", []),
        ("$.items.id", []),
        ("$.items[9]", []),
    ],
)
def test_an_expression_finds_every_value_in_its_place(expression: str, found: list[Any]) -> None:
    assert find(expression, DOCUMENT) == found
    assert first(expression, DOCUMENT) == (found[0] if found else MISSING)


@pytest.mark.parametrize("document", [None, 1, "text", [], {}])
def test_a_document_of_another_shape_has_no_such_place(document: Any) -> None:
    assert find("$.items[*]", document) == [] and first("$.items[*]", document) is MISSING


@pytest.mark.parametrize("expression", ["", "items", "$.", "$[", "$.items[?", "$.a | $.b", "$" + "[0" * 50])
def test_what_is_no_jsonpath_is_told_in_one_line(expression: str) -> None:
    with pytest.raises(ValueError, match=r"expected (a JSONPath such as|one JSONPath)") as raised:
        compiled(expression)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("meta", {"next": None}), ("meta.next", None), ("a.b", {"c.d": 5}), ("a.x", 1),
        ("a.y", MISSING), ("items.0", MISSING), ("meta.next.more", MISSING), ("", MISSING), (".", MISSING),
    ],
)  # fmt: skip
def test_a_dotted_name_finds_its_field_and_a_key_with_a_dot_as_it_is(name: str, value: Any) -> None:
    assert field(name, DOCUMENT) == value


@pytest.mark.parametrize("value", [None, 1, "a", ["a"]])
def test_what_is_no_object_has_no_fields(value: Any) -> None:
    assert field("a", value) is MISSING


@pytest.mark.parametrize(("text", "value"), [("{}", {}), ("1", 1), ("null", None), ("", MISSING), ("{", MISSING),
                                             ("[" * 100_000, MISSING)])  # fmt: skip
def test_text_that_is_no_json_is_missing_and_null_is_not(text: str, value: Any) -> None:
    assert parsed(text) == value


KEYS = st.text("abc", min_size=1, max_size=2)
LEAVES: st.SearchStrategy[Any] = st.one_of(st.none(), st.integers(), st.lists(st.integers(), max_size=2), st.just({}))
OBJECTS = st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner, min_size=1, max_size=3), max_leaves=8)


@given(st.dictionaries(KEYS, OBJECTS, min_size=1, max_size=3))
def test_every_leaf_is_found_again_by_its_dotted_name(value: dict[str, Any]) -> None:
    found = flat(value)
    assert len(found) == _count(value)
    assert {name: field(name, value) for name in found} == found
    assert not any(isinstance(leaf, dict) and leaf for leaf in found.values())


def _count(value: Any) -> int:
    return sum(map(_count, value.values())) if isinstance(value, dict) and value else 1


def test_lists_and_empty_maps_are_leaves() -> None:
    assert flat({"a": {"b": [{"c": 1}], "d": {}}, "e": None}) == {"a.b": [{"c": 1}], "a.d": {}, "e": None}
