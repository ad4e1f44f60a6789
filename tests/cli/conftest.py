"""A repository of its own for tests of whole commands, and the command in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fleet.cli.commands.init import STARTER

Fleet = Callable[..., "Done"]


@dataclass(frozen=True)
class Done:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        assert (found["version"], found["exit_code"]) == (1, self.code)
        return found


@dataclass(frozen=True)
class Repository:
    """A Git repository with `environments/`."""

    path: Path
    run: Fleet

    def write(self, files: dict[str, str], message: str = "") -> None:
        """Files below environments/; committed when there is a message."""
        for name, text in files.items():
            path = self.path / "environments" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        if message:
            git(self.path, "add", ".")
            git(self.path, "commit", "--quiet", "-m", message)

    def __call__(self, *arguments: str) -> Done:
        return self.run(*arguments, cwd=self.path)


def git(repository: Path, *words: str) -> None:
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, "-C", str(repository), *words], check=True, capture_output=True)


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    """Runs `fleet` with a record and a cache of its own."""
    own = {"FLEET_STATE_DIR": str(tmp_path / "state"), "FLEET_CACHE_DIR": str(tmp_path / "cache")}
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FLEET_")} | own

    def run(*arguments: str, cwd: Path = tmp_path) -> Done:
        call = [sys.executable, "-m", "fleet.cli.main", *arguments]
        done = subprocess.run(call, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=90)
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def repository(tmp_path: Path, fleet: Fleet) -> Repository:
    """What `fleet init` gives, committed."""
    path = tmp_path / "repository"
    path.mkdir()
    git(path, "init", "--quiet", "--initial-branch=main")
    made = Repository(path, fleet)
    made.write(STARTER, "one")
    return made
