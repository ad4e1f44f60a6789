"""Many host names in few words, without losing one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.cli.ranges import by_environment, compress

CASES = [
    ([], ""),
    (["web-1"], "web-1"),
    (["web-2", "web-1"], "web-1, web-2"),
    ([f"web-{i}" for i in range(1, 38)], "web-[1:37]"),
    ([f"web-{i:02}" for i in range(1, 41)], "web-[01:40]"),
    ([f"web-{i}.example.org" for i in (1, 2, 3)], "web-[1:3].example.org"),
    (["web-1", "web-2", "web-3", "web-7"], "web-[1:3], web-7"),
    (["web-8", "web-9", "web-10", "web-11"], "web-[8:11]"),
    (["web-9", "web-010", "web-011"], "web-9, web-010, web-011"),
    (["db-a", "db-b", "web"], "db-a, db-b, web"),
    ([f"rack1-{i}" for i in (1, 2, 3)] + [f"rack2-{i}" for i in (1, 2, 3)], "rack1-[1:3], rack2-[1:3]"),
]


@pytest.mark.parametrize(("names", "said"), CASES)
def test_names_are_told_as_hosts_yaml_writes_them(names: list[str], said: str) -> None:
    assert compress(names) == said


def test_environments_are_named_apart() -> None:
    hosts = [("dev", "web-1"), ("staging", "web-1"), ("dev", "web-2"), ("dev", "web-3")]
    assert by_environment(hosts) == "dev: web-[1:3] · staging: web-1"


@given(st.sets(st.integers(0, 300).map(lambda i: f"w{i}"), max_size=40))
def test_no_name_is_lost_or_invented(names: set[str]) -> None:
    """What is told, spread out again, is what was given."""
    back = set()
    for part in filter(None, compress(names).split(", ")):
        if "[" in part:
            first, last = part.removeprefix("w[").removesuffix("]").split(":")
            back |= {f"w{i}" for i in range(int(first), int(last) + 1)}
        else:
            back.add(part)
    assert back == names
