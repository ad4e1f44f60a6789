"""The README's tour, typed as it stands: every command is run, and what it prints is compared, line by line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fleet.sandbox import Sandbox

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("example")]


def blocks(text: str) -> list[tuple[str, list[str]]]:
    """(command, lines expected) of all ```console blocks, in order."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", text, re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def pattern(lines: list[str]) -> str:
    """A line that is only `…` stands for any lines; elsewhere `…` stands for any text within the line."""
    parts = [r"(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", "[^\n]*") + r"\n" for line in lines]
    return "".join(parts) + r"\Z"


def test_the_tour_prints_what_it_says(project_root: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    own = {
        "XDG_STATE_HOME": str(state),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "COLUMNS": "80",
        "GIT_AUTHOR_NAME": "Ann",
        "GIT_AUTHOR_EMAIL": "ann@example.org",
        "GIT_COMMITTER_NAME": "Ann",
        "GIT_COMMITTER_EMAIL": "ann@example.org",
    }
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("FLEET_", "OTEL_"))} | own
    where = tmp_path
    tour = blocks((project_root / "README.md").read_text())
    assert len(tour) >= 15, "the tour is gone"
    try:
        for command, expected in tour:
            if command.startswith("cd "):
                where = where / command[3:]
                continue
            if command.startswith("export "):
                name, _, value = command[7:].partition("=")
                environment[name] = value.replace("${XDG_STATE_HOME:-~/.local/state}", str(state))
                continue
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=where,
                env=environment,
                capture_output=True,
                text=True,
                timeout=90,
                check=False,
            )
            if "needs CAP_SYS" in done.stderr or "need root" in done.stderr:
                pytest.skip(done.stderr)
            assert re.match(pattern(expected), done.stdout), f"$ {command}\n{done.stdout}\n{done.stderr}"
    finally:
        Sandbox(state / "fleet" / "sandbox").down()
