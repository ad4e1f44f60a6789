"""Every case on real hosts, in every flavour it is meant for. The laws of `play` hold for each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.cases import Case, cases
from tests.contracts.play import play
from tests.contracts.rooms import why_not

WHY_NOT = why_not()
PLAYED = [(case, flavour) for case in cases() for flavour in case.flavours]


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rooms")


@pytest.mark.hosts
@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
@pytest.mark.parametrize(("case", "flavour"), PLAYED, ids=[f"{case.id}-{flavour}" for case, flavour in PLAYED])
def test_a_case_on_a_real_host(case: Case, flavour: str, rooms: Path) -> None:
    play(case, flavour, rooms)
