"""Real Git repositories for tests, crafted through plumbing so that they may hold what no `git add` would take."""

import os
import subprocess
from pathlib import Path

WHO = {
    "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org", "GIT_AUTHOR_DATE": "1700000000 +0100",
    "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.org", "GIT_COMMITTER_DATE": "1700000000 +0100",
}  # fmt: skip


def git(repository: Path, *words: str, stdin: bytes = b"") -> str:
    done = subprocess.run(
        ["git", "-C", str(repository), *words], input=stdin, capture_output=True, check=True, env=os.environ | WHO
    )
    return done.stdout.decode().strip()


def repository(directory: Path, files: dict[str, bytes]) -> Path:
    """A repository with one commit of these files; paths from its root."""
    directory.mkdir(parents=True, exist_ok=True)
    git(directory, "init", "-q", "-b", "main")
    commit(directory, files, "first")
    return directory


def commit(directory: Path, files: dict[str, bytes], message: str) -> None:
    for path, content in files.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(content)
    git(directory, "add", "-A")
    git(directory, "commit", "-q", "--allow-empty", "-m", message)


def blob(directory: Path, content: bytes) -> str:
    return git(directory, "hash-object", "-w", "--stdin", stdin=content)


def tree(directory: Path, *entries: tuple[str, str, str, str]) -> str:
    """A tree object of (mode, type, id, name), whatever the names are."""
    lines = b"".join(f"{mode} {kind} {id_}\t{name}\0".encode() for mode, kind, id_, name in entries)
    return git(directory, "mktree", "-z", "--missing", stdin=lines)


def commit_tree(directory: Path, below: str) -> str:
    """A commit whose environments/ is the given tree."""
    top = tree(directory, ("040000", "tree", below, "environments"))
    return git(directory, "commit-tree", "-m", "crafted", top)
