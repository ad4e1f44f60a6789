"""Git as a subprocess that runs nothing from the repository: no hooks, no filters, no fetches, no prompts."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from fleet.errors import UsageError

_SAFE = (
    "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "protocol.allow=never",
    "-c", "core.quotePath=false", "-c", "gc.auto=0", "-c", "core.alternateRefsCommand=true",
)  # fmt: skip


def environment() -> dict[str, str]:
    """No system configuration, no lazy fetch, no replaced objects, no prompt, untranslated words."""
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "SystemRoot") if name in os.environ}
    return keep | {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C",
    }


def run(repository: Path, *words: str) -> bytes:
    """Standard output of a git command. Raises UsageError with Git's own reason."""
    command = ["git", *_SAFE, "-C", str(repository), *words]
    try:
        done = subprocess.run(command, capture_output=True, check=False, env=environment(), stdin=subprocess.DEVNULL)
    except FileNotFoundError as error:
        raise UsageError("git is not installed, or not on PATH") from error
    if done.returncode != 0:
        raise UsageError(explain(done.stderr, repository))
    return done.stdout


def explain(stderr: bytes, repository: Path) -> str:
    """Git's complaint in one sentence with the next step."""
    text = stderr.decode(errors="backslashreplace").strip()
    if "not a git repository" in text:
        return f"{repository} is not in a Git repository; run `git init` and commit, or name another with -C DIR"
    if "dubious ownership" in text:
        allow = f"git config --global --add safe.directory {repository}"
        return f"{repository} belongs to another user; allow it with: {allow}"
    return f"git: {text.splitlines()[-1] if text else 'failed without a word'}"


@contextmanager
def streaming(repository: Path, *words: str) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """A git process as (its input, its output); killed when the block ends, however much it would still say.

    Raises UsageError when git itself ended with a failure: what it said until then is not the whole.
    """
    process = subprocess.Popen(
        ["git", *_SAFE, "-C", str(repository), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        yield process.stdin, process.stdout
        process.stdin.close()
        if not process.stdout.read(1) and process.wait() != 0:
            raise UsageError(f"git {words[0]} failed in {repository}; is the repository whole? try: git fsck")
    finally:
        process.kill()
        process.stdout.close()
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.wait()
