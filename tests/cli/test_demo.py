"""The demo, as anybody would start it: the whole loop, well under 90 seconds, and nothing left of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Fleet


@pytest.mark.hosts
def test_the_demo_shows_the_whole_loop_and_leaves_nothing(fleet: Fleet, tmp_path: Path) -> None:
    done = fleet("demo", "--json")
    assert done.code == 0, done
    told = done.json
    assert [step["exit_code"] for step in told["steps"]] == [2, 0, 0, 0, 2, 0, 0, 0]
    assert told["seconds"] < 90
    assert "-Somebody was here." in done.err
    assert re.search(
        r"→ staging/environment\.yaml:\d+:\d+  8 .*\n +base/environment\.yaml:\d+:\d+  2 .*overruled", done.err
    )
    assert [path.name for path in (tmp_path / "state" / "demo").iterdir()] == ["lock"]
