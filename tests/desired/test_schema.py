"""The JSON Schema says what `load` says: of the example, of every kind, and of what is wrong."""

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from fleet.desired.load import load
from fleet.desired.profiles import every_kind
from fleet.desired.schema import HEADER, header, schema
from fleet.desired.source import memory_tree
from fleet.desired.yaml import parse
from tests.desired import kinds

EXAMPLE = Path(__file__).resolve().parents[2] / "environments"
SORTS = {"environment.yaml": "environment", "hosts.yaml": "hosts"}


def _sort(path: str) -> str:
    rest = path.split("/", 1)[1]
    return SORTS.get(rest) or ("role" if rest.startswith("roles/") else "overlay")


def _validator(found: dict[str, Any], sort: str) -> Draft202012Validator:
    return Draft202012Validator({"$defs": found["$defs"], "$ref": f"#/$defs/{sort}"})


def test_it_is_a_valid_schema_and_describes_everything() -> None:
    found = schema(every_kind())
    Draft202012Validator.check_schema(found)
    described = found["$defs"]["role"]["properties"]["resources"]["properties"]
    assert list(described) == list(every_kind())


def test_the_example_is_valid_and_says_which_schema_it_follows() -> None:
    found = schema(every_kind())
    paths = sorted(str(path.relative_to(EXAMPLE)) for path in EXAMPLE.rglob("*") if path.is_file())
    tree = memory_tree({path: (EXAMPLE / path).read_bytes() for path in paths})
    assert load(tree, every_kind(), None).problems == ()
    documents = [path for path in paths if path.endswith(".yaml") and "/files/" not in path and ".sops." not in path]
    assert len(documents) >= 8
    for path in documents:
        node, _ = parse(path, tree.read(path))
        assert node is not None
        assert [error.message for error in _validator(found, _sort(path)).iter_errors(node.plain())] == []
        assert tree.read(path).startswith(HEADER.encode()), path
        first = tree.read(path).decode().split("\n")[0]
        assert first == header("../" * path.count("/") + "schema.json", _sort(path))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("base/environment.yaml", "extend: base\n"),
        ("base/environment.yaml", "drift: reprot\n"),
        ("base/environment.yaml", "connection: {port: [22]}\n"),
        ("base/environment.yaml", "rollout: {wave: [1]}\n"),
        ("base/environment.yaml", "windows: [night]\n"),
        ("prod/hosts.yaml", "hosts: [a]\n"),
        ("base/roles/a.yaml", "resources: {serivce: {}}\n"),
        ("base/roles/a.yaml", "resources: {file: {/etc/motd: {tempalte: x}}}\n"),
        ("base/roles/a.yaml", "resources: {service: {x: {reload_on: {}}}}\n"),
        ("base/roles/a.yaml", "resources: {file: {/etc/motd: {only_on: []}}}\n"),
        ("prod/hosts/a.yaml", "lables: {}\n"),
    ],
)
def test_an_editor_and_load_refuse_the_same(path: str, text: str) -> None:
    node, _ = parse(path, text.encode())
    assert node is not None
    assert list(_validator(schema(kinds.KINDS), _sort(path)).iter_errors(node.plain()))
    assert load(memory_tree({path: text.encode()}), kinds.KINDS, None).problems


@pytest.mark.parametrize(
    "text",
    [
        "resources: {service: {x: {running: '{{ on }}', needs: [file:/a]}, y: }}\n",
        "resources: {service: {x: !remove }}\n",
        "resources: {service: {x: {running: !remove }}}\n",
        "resources: {command: {x: {argv: !append [a], only_on: ['service:x']}}}\n",
        "vars: {a: {b: [1, 2.5, x, ~]}}\ndrift: report\n",
    ],
)
def test_templates_tags_and_nothing_are_welcome_to_both(text: str) -> None:
    node, _ = parse("base/roles/a.yaml", text.encode())
    assert node is not None
    assert not list(_validator(schema(kinds.KINDS), "role").iter_errors(node.plain()))
    assert not load(memory_tree({"base/roles/a.yaml": text.encode()}), kinds.KINDS, None).problems
