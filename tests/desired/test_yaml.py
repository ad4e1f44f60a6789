"""The YAML we accept: scalars as YAML 1.2 says, origins on everything, and Problems for whatever else there is."""

import re
import time
import tracemalloc
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fleet.desired import yaml as ours
from fleet.desired.yaml import parse
from fleet.errors import Origin

SCALARS: dict[str, Any] = {
    "no": "no", "yes": "yes", "on": "on", "off": "off", "y": "y", "true": True, "True": True, "TRUE": True,
    "tRUE": "tRUE", "false": False, "null": None, "Null": None, "~": None, "": None, "none": "none", "NULL": None,
    "0": 0, "-0": 0, "12": 12, "+12": 12, "-7": -7, "1_000": "1_000", "0o17": 15, "0x1f": 31, "0b1": "0b1", "0x": "0x",
    "1.10": 1.1, "1.": 1.0, ".5": 0.5, "1e3": 1000.0, "1.2.3": "1.2.3", "-.inf": float("-inf"), ".inf": float("inf"),
    ".nan": ".nan", "12:30": "12:30", "12:30:45": "12:30:45", "2026-01-01": "2026-01-01", "10.0.0.1": "10.0.0.1",
    "'12'": "12", '"true"': "true", '"0644"': "0644", "'~'": "~", "=": "=", "a b": "a b", "۱۲": "۱۲", "1 2": "1 2",
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), SCALARS.items())
def test_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    node, problems = parse("x.yaml", f"k: {text}\n".encode())
    assert not problems
    assert node is not None
    found = node.value["k"].value
    assert (found, type(found)) == (value, type(value))


def test_every_value_and_key_knows_its_place() -> None:
    node, problems = parse("a/b.yaml", b"vars:\n  list: [1, {x: 2}]\n  text: |\n    hello\n  gone: !remove\n")
    assert node is not None and not problems
    inner = node.value["vars"]
    assert (inner.key, inner.origin) == (Origin("a/b.yaml", 1, 1), Origin("a/b.yaml", 2, 3))
    listed = inner.value["list"]
    assert (listed.key, listed.origin) == (Origin("a/b.yaml", 2, 3), Origin("a/b.yaml", 2, 9))
    assert [item.origin.column for item in listed.value] == [10, 13]
    assert listed.value[1].value["x"].key == Origin("a/b.yaml", 2, 14)
    assert inner.value["text"].value == "hello\n"
    assert (inner.value["gone"].tag, inner.value["gone"].value) == ("remove", None)


def test_columns_count_characters_and_lines_may_end_as_on_windows() -> None:
    node, problems = parse("x.yaml", "naïve: 1\r\nb: {ü: 2}\r\n".encode())
    assert node is not None and not problems
    assert node.value["b"].value["ü"].origin == Origin("x.yaml", 2, 8)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"# only a comment\n", b"---\n"])
def test_an_empty_file_is_no_mistake(content: bytes) -> None:
    node, problems = parse("x.yaml", content)
    assert not problems
    assert node is None or node.value is None


HOSTILE = {
    "flow lists": b"[" * 1_000_000,
    "flow maps": b"{a: " * 400_000,
    "block maps": b"".join(b" " * n + b"a:\n" for n in range(1_400)),
    "list in list in list": b"- " * 1_000_000,
    "complex keys": b"? " * 1_000_000,
    "items": b"-\n" * 1_000_000,
    "one long key": b"a" * 2_000_000 + b": 1\n",
    "many keys": b"".join(b"k%d: 1\n" % n for n in range(180_000)),
    "the same key": b"a: 1\n" * 400_000,
    "an open quote": b'a: "' + b"x\n" * 1_000_000,
    "a laughing bomb": b"a: &a [x]\n" + b"".join(b"%c: &%c [*%c,*%c]\n" % (n + 1, n + 1, n, n) for n in range(97, 121)),
    "digits": b"a: 1" + b"0" * 2_000_000 + b"x",
    "hexadecimal": b"a: 0x" + b"f" * 2_000_000,
    "tags": b"a: " + b"!x " * 600_000,
    "directives": b"%TAG ! x\n" * 200_000,
    "documents": b"---\n" * 500_000,
    "too long": b"#" * 3_000_000,
    "no UTF-8 at the end": b"#" * 2_000_000 + b"\xff",
    "escapes": b'a: "' + b"\\x00" * 500_000 + b'"',
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_files_cost_little(content: bytes) -> None:
    """At most 2 s of this process's CPU and 256 MB, far less in fact; and few problems, told with a place."""
    before = time.process_time()
    _, problems = parse("x.yaml", content)
    assert time.process_time() - before < 2
    assert len(problems) <= ours.MAX_PROBLEMS
    assert all(len(str(problem)) < 1_000 for problem in problems)


def test_the_greatest_accepted_file_fits_in_memory() -> None:
    content = b"[" + b"1," * 49_000 + b"1]"  # a quarter of it
    tracemalloc.start()
    node, problems = parse("x.yaml", content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert node is not None and not problems
    assert peak < 32 * 1024 * 1024


@given(st.binary(max_size=400))
def test_arbitrary_bytes_give_problems_never_exceptions(content: bytes) -> None:
    node, problems = parse("x.yaml", content)
    assert node is None or isinstance(node.value, str | int | float | bool | list | dict | None)
    assert all(str(problem) for problem in problems)


@given(st.text(alphabet=" \t\n\r:-?,[]{}#&*!|>'\"%@`ab01~.<\\=\u0085\u2028\ufeff", max_size=60))
def test_arbitrary_punctuation_gives_problems_never_exceptions(text: str) -> None:
    node, problems = parse("x.yaml", text.encode())
    lines = text.count("\n") + 1
    assert all(0 <= problem.origin.line <= lines + 1 for problem in problems)
    assert node is not None or problems or not yaml.safe_load(text)


_KEYS = st.text(alphabet="abcxyz-_", min_size=1, max_size=6)
# What YAML 1.2 takes for a number and 1.1 for text, such as 0E0 and 08, a writer of 1.1 does not quote.
_NUMBER = re.compile(r"[-+]?[0-9.]+([eE][-+]?[0-9]+)?")
_TEXT = st.text(alphabet=st.characters(categories=["L", "N", "P", "Zs"])).filter(lambda one: not _NUMBER.fullmatch(one))
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(_VALUES)
def test_what_a_yaml_writer_writes_is_read_back(value: Any) -> None:
    """PyYAML's writer quotes whatever YAML 1.1 could take for something else."""
    node, problems = parse("x.yaml", yaml.safe_dump(value, allow_unicode=False).encode())
    assert not problems
    assert (node.plain() if node is not None else None) == value
