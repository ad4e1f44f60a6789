"""The TAB key: commands, environments, hosts and resources of the repository at hand; silence where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Repository


def complete(words: str, cwd: Path, tmp_path: Path) -> tuple[list[str], str]:
    """What bash is offered for the last word, and what stands on standard error."""
    asked = {"_FLEET_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    own = {"FLEET_STATE_DIR": str(tmp_path / "state"), "FLEET_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-m", "fleet.cli.main"], cwd=cwd, env={**os.environ, **own, **asked},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line], done.stderr


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("fleet va", ["validate"]),
        ("fleet plan -e d", ["dev"]),
        ("fleet plan --host w", ["web-1"]),
        ("fleet show we", ["web-1"]),
        ("fleet explain web-1 file:/etc/m", ["file:/etc/motd"]),
        ("fleet kinds fi", ["file"]),
    ],
)
def test_what_the_repository_names_is_offered(
    words: str, offered: list[str], repository: Repository, tmp_path: Path
) -> None:
    assert complete(words, repository.path, tmp_path)[0] == offered


def test_without_a_repository_nothing_is_offered_and_nothing_said(tmp_path: Path) -> None:
    assert complete("fleet plan -e d", tmp_path, tmp_path) == ([], "")
