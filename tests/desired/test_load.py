"""Files → layers: what goes where, what is cached, and that every problem of every file is told at once."""

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fleet.desired.cache import NodeCache
from fleet.desired.load import load
from fleet.desired.source import Tree, memory_tree
from fleet.desired.yaml import parse
from fleet.errors import Origin
from fleet.model.value import Node
from tests.desired.kinds import KINDS

FILES = {
    "README.md": b"words\n",
    "schema.json": b"{}\n",
    "base/environment.yaml": b"vars: {a: 1}\nroles:\n  web:\n",
    "base/roles/web.yaml": b"vars:\nresources:\n  file:\n    /etc/motd:\n    /etc/old: !remove\n",
    "base/roles/empty.yaml": b"# nothing yet\n",
    "base/files/web/x.j2": b"\x00\xff",
    "prod/hosts.yaml": b"hosts:\n  web-[1:3]: {labels: {tier: web}}\n",
    "prod/hosts/web-1.yaml": b"vars: {b: 2}\n",
    "prod/known_hosts": b"",
    "docs/README.md": b"not an environment\n",
}


def shape(node: Node) -> Any:
    """All that a Node says, comparable."""
    value = node.value
    if isinstance(value, dict):
        value = {key: shape(inner) for key, inner in value.items()}
    elif isinstance(value, list):
        value = [shape(inner) for inner in value]
    return (type(node.value).__name__, value, node.origin, node.key, node.tag)


def test_every_file_finds_its_place() -> None:
    loaded = load(memory_tree(FILES), KINDS, None)
    assert not loaded.problems
    assert list(loaded.layers) == ["base", "prod"]
    base, prod = loaded.layers["base"], loaded.layers["prod"]
    assert base.environment is not None and base.environment.plain() == {"vars": {"a": 1}, "roles": {"web": {}}}
    assert base.files == {"web/x.j2": "base/files/web/x.j2"}
    assert prod.hosts is not None and list(prod.hosts.value) == ["web-[1:3]"]
    assert prod.overlays["web-1"].plain() == {"vars": {"b": 2}}
    assert (base.known_hosts, prod.known_hosts) == ("", "prod/known_hosts")


def test_nothing_where_a_map_is_meant_is_the_empty_map() -> None:
    role = load(memory_tree(FILES), KINDS, None).layers["base"].roles["web"]
    assert role.value["vars"].value == {}
    motd, old = role.value["resources"].value["file"].value.values()
    assert (motd.value, old.value, old.tag) == ({}, None, "remove")


def test_an_empty_or_broken_role_is_still_that_role() -> None:
    loaded = load(memory_tree(FILES | {"base/roles/web.yaml": b"a: [\n"}), KINDS, None)
    assert [problem.origin.file for problem in loaded.problems] == ["base/roles/web.yaml"]
    assert loaded.layers["base"].roles["web"].plain() == {}
    assert loaded.layers["base"].roles["empty"].plain() == {}


def test_templates_may_stand_where_types_are_meant() -> None:
    text = b'connection: {port: "{{ p }}", agent: "{{ a }}"}\ndrift: "{{ d }}"\n'
    role = b'resources: {service: {x: {running: "{{ r }}", reload_on: "{{ ids }}"}}}\n'
    files = {"base/environment.yaml": text, "base/roles/a.yaml": role}
    assert not load(memory_tree(files), KINDS, None).problems


def test_the_number_of_problems_told_is_bounded_in_each_file() -> None:
    many = b"".join(b"unknown%d: 1\n" % n for n in range(20_000))
    loaded = load(memory_tree({"a/environment.yaml": many, "b/environment.yaml": many}), KINDS, None)
    assert len(loaded.problems) == 100


def test_a_second_load_reads_only_what_changed(tmp_path: Path) -> None:
    first = load(memory_tree(FILES), KINDS, NodeCache(tmp_path))
    read: list[str] = []
    changed = memory_tree(FILES | {"prod/hosts.yaml": b"hosts: {db: {}}\n"})

    def watched(entries: Any) -> Any:
        read.extend(entry.path for entry in entries)
        return changed.contents(entries)

    second = load(Tree("r", "r", changed.entries, (), watched), KINDS, NodeCache(tmp_path))

    assert read == ["prod/hosts.yaml"]
    assert shape(second.layers["base"].roles["web"]) == shape(first.layers["base"].roles["web"])


def test_problems_of_the_format_are_told_from_the_cache_too(tmp_path: Path) -> None:
    broken = memory_tree({"base/environment.yaml": b"vras: {}\n"})
    assert load(broken, KINDS, NodeCache(tmp_path)).problems == load(broken, KINDS, NodeCache(tmp_path)).problems != ()


def test_corrupt_and_foreign_cache_entries_count_as_absent(tmp_path: Path) -> None:
    cache, tree = NodeCache(tmp_path), memory_tree({"base/environment.yaml": b"vars: {a: 1}\n"})
    load(tree, KINDS, cache)
    (kept,) = (path for path in tmp_path.rglob("*") if path.is_file())
    whole = kept.read_bytes()
    for rubbish in (b"", b"\xff", b"[]", whole[:-1], whole + b" ", whole.replace(b"1]", b"2]"), b"[" * 5000):
        kept.write_bytes(rubbish)
        environment = load(tree, KINDS, cache).layers["base"].environment
        assert environment is not None
        assert environment.plain() == {"vars": {"a": 1}}
        assert kept.read_bytes() == whole
    assert kept.stat().st_mode & 0o077 == 0
    assert all(directory.stat().st_mode & 0o077 == 0 for directory in (kept.parent, kept.parent.parent))


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not load(memory_tree(FILES), KINDS, NodeCache(tmp_path / "file")).problems


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=15),
       st.sampled_from(["", "append", "raw"]))  # fmt: skip
def test_a_node_comes_back_from_the_cache_as_it_went_in(tmp_path_factory: Any, value: Any, tag: str) -> None:
    node = _node(value, tag)
    cache = NodeCache(tmp_path_factory.getbasetemp() / "cache")
    cache.put("ab" * 20, node)
    back = cache.get("ab" * 20, "x.yaml")
    assert back is not None
    assert shape(back) == shape(node)


def _node(value: Any, tag: str) -> Node:
    inner = value
    if isinstance(value, dict):
        inner = {key: _node(one, "") for key, one in value.items()}
        for place, one in enumerate(inner.values()):
            one.key = Origin("x.yaml", place + 1, 3)
    elif isinstance(value, list):
        inner = [_node(one, tag) for one in value]
    return Node(inner, Origin("x.yaml", 7, 9), tag=tag)


@given(st.binary(max_size=200), st.sampled_from(["environment.yaml", "hosts.yaml", "roles/a.yaml", "hosts/a.yaml"]))
def test_load_never_raises_for_what_a_file_says(content: bytes, place: str) -> None:
    loaded = load(memory_tree({f"base/{place}": content}), KINDS, None)
    assert bool(parse("x", content)[1]) <= bool(loaded.problems)
