"""Each setting says what it is and where that comes from, in the documented order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fleet.cli.answer import Answer
from fleet.cli.main import root
from fleet.cli.options import Invocation
from fleet.settings import Settings


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = tmp_path / "user/fleet/config.yaml"
    user.parent.mkdir(parents=True)
    user.write_text("# mine\npoll: 7\nscripts: 9\n")
    system = tmp_path / "system.yaml"
    system.write_text("scripts: 10\nhandshakes: 11\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    monkeypatch.setattr("fleet.settings.SYSTEM_FILE", system)
    monkeypatch.setenv("FLEET_POLL", "5")


def said(*words: str) -> dict[str, dict[str, object]]:
    answer: Answer = root.main(["config", *words], prog_name="fleet", standalone_mode=False, obj=Invocation(json=True))
    document: dict[str, dict[str, object]] = json.loads(json.dumps(answer.document["settings"]))
    return document


def test_the_strongest_wins_and_is_named(tmp_path: Path) -> None:
    found = said()
    assert set(found) == set(Settings.model_fields)
    assert found["poll"] == {"value": 5.0, "from": "FLEET_POLL"}
    assert found["scripts"] == {"value": 9, "from": f"{tmp_path}/user/fleet/config.yaml:3:1"}
    assert found["handshakes"] == {"value": 11, "from": f"{tmp_path}/system.yaml:2:1"}
    assert found["connections"] == {"value": 2000, "from": "default"}


def test_one_value_for_a_script() -> None:
    answer: Answer = root.main(["config", "poll"], prog_name="fleet", standalone_mode=False, obj=Invocation())
    assert answer.text == "5"
    with pytest.raises(Exception, match="did you mean poll"):
        root.main(["config", "pol"], prog_name="fleet", standalone_mode=False, obj=Invocation())
