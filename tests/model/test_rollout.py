"""Shares and waves: small environments have waves too, and the last one is everybody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.natural import natural
from fleet.model.rollout import RolloutPolicy, Share

shares = st.builds(Share, st.integers(1, 100), st.booleans())


@pytest.mark.parametrize(
    ("share", "total", "hosts"),
    [
        (Share(3), 1000, 3), (Share(0), 9, 0), (Share(0, percent=True), 1000, 0), (Share(2, percent=True), 1000, 20),
        (Share(2, percent=True), 149, 2), (Share(2, percent=True), 3, 1), (Share(100, percent=True), 7, 7),
    ],
)  # fmt: skip
def test_a_share_of_hosts(share: Share, total: int, hosts: int) -> None:
    assert share.of(total) == hosts


@pytest.mark.parametrize(
    ("hosts", "sizes"), [(0, ()), (1, (1,)), (3, (1, 3)), (20, (1, 2, 20)), (500, (1, 50, 500))]
)  # fmt: skip
def test_the_waves_unless_said(hosts: int, sizes: tuple[int, ...]) -> None:
    assert RolloutPolicy().sizes(hosts) == sizes


@given(st.lists(shares, max_size=5), st.integers(0, 2000))
def test_waves_grow_and_end_with_everybody(waves: list[Share], hosts: int) -> None:
    sizes = RolloutPolicy(tuple(waves)).sizes(hosts)
    assert list(sizes) == sorted(set(sizes)) and all(sizes)
    assert sizes[-1:] == ((hosts,) if hosts else ())


def test_names_in_the_order_people_count() -> None:
    names = ["web-10", "web-2", "web", "web-1a", "db-3", "web-02", "10", "9"]
    assert sorted(names, key=natural) == ["9", "10", "db-3", "web", "web-1a", "web-02", "web-2", "web-10"]
