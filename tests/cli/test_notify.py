"""`fleet notify test` says of each destination what happened, and of no URL what is secret in it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from fleet.cli.answer import Answer
from fleet.cli.controlling import controller_lines
from fleet.cli.exit_codes import ExitCode
from fleet.cli.main import root, run
from fleet.cli.options import Invocation
from tests.cli.conftest import git

TOKEN = "T0kenT0kenT0ken"
NOBODY = "127.94.0.2:9"


def said(*words: str) -> Answer:
    answer: Answer = root.main(["notify", "test", *words], prog_name="fleet", standalone_mode=False, obj=Invocation())
    return answer


def test_each_destination_of_the_file_is_told_of_with_what_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "notify.yaml"
    file.touch(0o600)
    file.write_text(f"- json://{NOBODY}/{TOKEN}\n- {{url: 'slack://{TOKEN}', name: ops}}\n")
    monkeypatch.setenv("FLEET_NOTIFY_FILE", str(file))
    answer = said()
    assert answer.exit_code == ExitCode.ERROR and TOKEN not in answer.text + repr(answer.document)
    assert [(one["name"], one["sent"]) for one in answer.document["destinations"]] == [
        ("json 1", False),
        ("ops", False),
    ]
    assert "Connection error" in answer.document["destinations"][0]["error"]


def test_a_url_can_come_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"nosuch://{TOKEN}\n"))
    answer = said("--url", "-")
    assert "no URL of a service" in answer.text and TOKEN not in answer.text


def test_without_anybody_to_tell_it_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["notify", "test"]) == ExitCode.ERROR
    assert "notify_file" in capsys.readouterr().err
    assert run(["notify", "test", "--url", TOKEN]) == ExitCode.ERROR
    assert TOKEN not in capsys.readouterr().err


WRONG = {
    "FLEET_NOTIFY_FILE": "/nonexistent cannot be read",
    "FLEET_LISTEN": "listen:",
    "FLEET_STATUS_URL": "status_url:",
}


@pytest.mark.parametrize(("setting", "told"), WRONG.items())
def test_serve_ends_with_a_setting_that_is_wrong(tmp_path: Path, setting: str, told: str) -> None:
    """The record is open by then, and its thread would keep the process alive."""
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "-m", "one")
    assert told in serve(tmp_path, {setting: "/nonexistent"})


def test_serve_ends_where_there_is_no_git(tmp_path: Path) -> None:
    assert "is not in a Git repository" in serve(tmp_path, {})


def serve(tmp_path: Path, more: dict[str, str]) -> str:
    """What it says before it ends by itself."""
    (tmp_path / "environments").mkdir()
    places = {f"FLEET_{name}": str(tmp_path / name) for name in ("STATE_DIR", "CACHE_DIR", "SOCKET")}
    environment = {**os.environ, **places, "FLEET_REPOSITORY": str(tmp_path), **more}
    call = [sys.executable, "-m", "fleet.cli.main", "serve"]
    done = subprocess.run(call, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    return done.stderr


def test_status_says_who_cannot_be_told() -> None:
    told = [{"name": "ops", "error": ""}, {"name": "on\x1bcall", "error": "not sent within 30 s"}]
    status = {"started": 1.0, "fetched": 1.0, "running": 0, "git": "", "record": "", "frozen": None, "told": told}
    lines = click.unstyle("\n".join(controller_lines(status, 2.0))).splitlines()
    assert lines[1:] == ["on\\x1bcall cannot be told: not sent within 30 s"]
