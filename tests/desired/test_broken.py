"""Broken repositories as data: for each, the exact words that fleet finds, all of them in one run."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.desired.load import load
from fleet.desired.source import memory_tree
from tests.desired.kinds import KINDS

HERE = Path(__file__).parent / "broken"


def _cases() -> list[Any]:
    return [
        pytest.param(case, id=f"{path.stem}: {case['case']}")
        for path in sorted(HERE.glob("load-*.yaml"))
        for case in yaml.safe_load(path.read_bytes())
    ]


@pytest.mark.parametrize("case", _cases())
def test_a_broken_repository_is_told_in_these_words(case: dict[str, Any]) -> None:
    files = {path: said if isinstance(said, bytes) else said.encode() for path, said in case["files"].items()}

    problems = load(memory_tree(files), KINDS).problems

    assert [f"{problem}\n" for problem in problems] == case["problems"]
    assert problems
    assert all(character.isprintable() or character == "\n" for problem in problems for character in str(problem))
