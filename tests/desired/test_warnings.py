"""Repositories that are valid and say something that does nothing: the exact words of the warning, and no problem."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.desired.compile import Compiler, Fleet
from fleet.desired.load import load
from fleet.desired.source import memory_tree
from fleet.kinds import KINDS

CASES = yaml.safe_load((Path(__file__).parent / "broken" / "warnings-roles.yaml").read_bytes())


def compiled(files: dict[str, str], *environments: str) -> Fleet:
    tree = memory_tree({path: said.encode() for path, said in files.items()})
    return Compiler(KINDS).compile(load(tree, KINDS), environments or None)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["case"]) for case in CASES])
def test_what_does_nothing_is_warned_of_in_these_words(case: dict[str, Any]) -> None:
    fleet = compiled(case["files"])

    assert [f"{warning}\n" for warning in fleet.warnings] == case["warnings"]
    assert {warning.severity for warning in fleet.warnings} <= {"warning"}
    assert fleet.problems == ()


def test_of_a_part_of_the_environments_nothing_is_said() -> None:
    """The others may well use it."""
    assert compiled(CASES[0]["files"], "prod").warnings == ()


def test_a_mistake_comes_before_warnings() -> None:
    """They could follow from it."""
    fleet = compiled(CASES[0]["files"] | {"base/vars.yaml": "a: 1"})

    assert fleet.problems
    assert fleet.warnings == ()
