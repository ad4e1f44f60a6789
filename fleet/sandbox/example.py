"""The shipped environments/ as a Git repository of its own, with the keys of running throw-away hosts pinned in it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from fleet.errors import SandboxError
from fleet.sandbox.sandbox import Sandbox

_AUTHOR = ("-c", "user.name=Example Team", "-c", "user.email=team@example.org", "-c", "commit.gpgsign=false")


def example_directory() -> Path:
    """environments/ beside the sources, or the copy that an installed fleet carries. Raises SandboxError."""
    package = Path(__file__).resolve().parent.parent
    for place in (package / "example", package.parent / "environments"):
        if (place / "base").is_dir():
            return place
    raise SandboxError("this installation carries no example environments")


def prepare(directory: Path) -> Path:
    """A new Git repository at `directory` with the example as its first commit; returns `directory`."""
    if (directory / "environments").exists():
        raise SandboxError(f"{directory}/environments is already there")
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copytree(example_directory(), directory / "environments", ignore=shutil.ignore_patterns("README.md"))
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(directory)], check=True)
    commit(directory, "The example fleet")
    return directory


def pin(directory: Path, sandbox: Sandbox) -> None:
    """Write the hosts' keys to each environment's known_hosts, and commit that."""
    lines: dict[str, list[str]] = {}
    for host in sandbox.hosts:
        lines.setdefault(host.environment, []).append(host.known_hosts_line + "\n")
    for environment, known in lines.items():
        (directory / "environments" / environment / "known_hosts").write_text("".join(known))
    commit(directory, "Pin the keys of the throw-away hosts")


def commit(directory: Path, message: str, paths: Iterable[str] = ("environments",)) -> None:
    """Commit these paths, if anything in them changed."""
    git = ["git", "-C", str(directory), *_AUTHOR]
    subprocess.run([*git, "add", "--", *paths], check=True)
    if subprocess.run([*git, "diff", "--cached", "--quiet"], check=False).returncode:
        subprocess.run([*git, "commit", "--quiet", "-m", message], check=True)
