"""The demo, as anybody would start it: the whole loop, and nothing left of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Fleet


@pytest.mark.hosts
@pytest.mark.xdist_group("example")  # with the README's tour: both start the example's hosts at its own addresses
def test_the_demo_shows_the_whole_loop_and_leaves_nothing(fleet: Fleet, tmp_path: Path) -> None:
    done = fleet("demo", "--json")
    assert done.code == 0, done
    told = done.json
    assert [step["exit_code"] for step in told["steps"]] == [2, 0, 0, 0, 2, 0, 0, 0]
    assert "-Somebody was here." in done.err
    assert re.search(
        r"→ staging/environment\.yaml:\d+:\d+  8 .*\n +base/environment\.yaml:\d+:\d+  2 .*overruled", done.err
    )
    assert [path.name for path in (tmp_path / "state" / "demo").iterdir()] == ["lock"]
