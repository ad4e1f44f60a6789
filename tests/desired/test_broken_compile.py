"""Broken repositories that parse but cannot be compiled: for each, the exact words, all of them in one run."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.desired.compile import Compiler
from fleet.desired.load import load
from fleet.desired.source import memory_tree
from fleet.kinds import KINDS

HERE = Path(__file__).parent / "broken"


def _cases() -> list[Any]:
    return [
        pytest.param(case, id=f"{path.stem}: {case['case']}")
        for path in sorted((*HERE.glob("compile-*.yaml"), *HERE.glob("merge-*.yaml")))
        for case in yaml.safe_load(path.read_bytes())
    ]


@pytest.mark.parametrize("case", _cases())
def test_a_broken_repository_is_told_in_these_words(case: dict[str, Any]) -> None:
    files = {path: said if isinstance(said, bytes) else said.encode() for path, said in case["files"].items()}

    problems = Compiler(KINDS).compile(load(memory_tree(files), KINDS)).problems

    assert [f"{problem}\n" for problem in problems] == case["problems"]
    assert problems
