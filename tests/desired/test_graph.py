"""Order on one host: every edge kept, the same order from any order, packages before what they bring."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from fleet.desired.graph import Part, arrange
from fleet.errors import Origin, Problem
from fleet.model.kind import Stage

HERE = Origin("f", 1, 1)


def part(name: str, stage: Stage = Stage.FILE, *, owns: str = "", wants: str = "", needs: str = "") -> Part:
    return Part(name, stage, tuple(owns.split()), tuple(wants.split()), tuple((n, HERE) for n in needs.split()), HERE)


@st.composite
def hosts(draw: st.DrawFn) -> list[Part]:
    """Parts whose needs point backwards only."""
    count = draw(st.integers(1, 9))
    return [
        part(
            f"x:{number}",
            draw(st.sampled_from(list(Stage))),
            needs=" ".join(f"x:{other}" for other in draw(st.sets(st.integers(0, number - 1))) if number)
            if number
            else "",
        )
        for number in range(count)
    ]


@given(hosts(), st.randoms(use_true_random=False))
def test_every_edge_is_kept_and_the_input_order_says_nothing(parts: list[Part], chance: random.Random) -> None:
    problems: list[Problem] = []
    graph = arrange(parts, problems)
    assert not problems
    place = {name: number for number, name in enumerate(graph.order)}
    assert set(place) == {one.id for one in parts}
    for name, needs in graph.needs.items():
        assert all(place[other] < place[name] for other in needs)
        assert graph.wave[name] == 1 + max((graph.wave[other] for other in needs), default=-1)
    shuffled = list(parts)
    chance.shuffle(shuffled)
    assert arrange(shuffled, []) == graph


def test_what_comes_later_waits_for_packages_unless_a_package_waits_for_it() -> None:
    graph = arrange(
        [
            part("package:nginx", Stage.PACKAGE, needs="file:/etc/apt/sources.list"),
            part("file:/etc/apt/sources.list"),
            part("file:/etc/nginx.conf"),
            part("directory:/srv", Stage.DIRECTORY),
        ],
        [],
    )
    assert graph.needs["file:/etc/nginx.conf"] == ("package:nginx",)
    assert graph.needs["file:/etc/apt/sources.list"] == ()
    assert graph.needs["directory:/srv"] == ()


def test_the_nearest_owner_above_a_path_comes_first() -> None:
    graph = arrange(
        [
            part("directory:/srv", Stage.DIRECTORY, owns="path:/srv"),
            part("file:/srv/a/b/c", owns="path:/srv/a/b/c", wants="path:/srv/a/b"),
        ],
        [],
    )
    assert graph.needs["file:/srv/a/b/c"] == ("directory:/srv",)


def test_a_declared_need_wins_over_the_usual_edge() -> None:
    problems: list[Problem] = []
    graph = arrange(
        [
            part("directory:/srv", owns="path:/srv", needs="file:/srv/a"),
            part("file:/srv/a", wants="path:/srv"),
        ],
        problems,
    )
    assert not problems and graph.order == ("file:/srv/a", "directory:/srv")


def test_a_circle_leaves_the_rest_in_order() -> None:
    problems: list[Problem] = []
    graph = arrange([part("x:a", needs="x:b"), part("x:b", needs="x:a"), part("x:c")], problems)
    assert graph.order == ("x:c",)
    assert [one.message for one in problems] == ["these resources need each other in a circle: x:a → x:b → x:a"]


def test_what_is_to_be_absent_goes_after_what_is_in_it() -> None:
    old = Part("directory:/srv/old", Stage.DIRECTORY, ("path:/srv/old",), absent=True)
    file = Part("file:/srv/old/a", Stage.FILE, ("path:/srv/old/a",), ("path:/srv", "path:/srv/old"), absent=True)
    assert arrange([old, file, part("directory:/srv", Stage.DIRECTORY, owns="path:/srv")], []).order == (
        "directory:/srv",
        "file:/srv/old/a",
        "directory:/srv/old",
    )
