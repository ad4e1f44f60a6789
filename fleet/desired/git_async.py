"""Git processes that talk to a remote: bounded in time, in what they say and in what they write; ended whole."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import GitError

OUTPUT = 1024 * 1024  # bytes of an answer, or of a complaint
SIZE = 2 * 1024**3  # bytes of one file that Git writes


@dataclass(frozen=True, slots=True)
class Said:
    """How a git command ended."""

    code: int
    output: str
    errors: bytes


@dataclass(frozen=True, slots=True)
class Git:
    """options: before each command. environment: all of it."""

    options: tuple[str, ...]
    environment: Mapping[str, str]

    async def run(self, *words: str, at: Path) -> Said:
        """Whoever gives up waiting ends Git and all that it started. Raises GitError: no git, or too long an answer."""
        # The shell sets the limit and is replaced: Git and what it starts inherit it, with no moment before it holds.
        # With the signal ignored a write beyond it is an error like any other, which Git can tell.
        limit = f"trap '' XFSZ; ulimit -f {SIZE // 512}; exec \"$@\""
        limited = ("sh", "-c", limit, "sh", "git", *self.options, "-C", str(at), *words)
        try:
            process = await asyncio.create_subprocess_exec(
                *limited, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=self.environment, start_new_session=True
            )
        except OSError as error:
            raise GitError(f"git could not be started: {error}") from error
        try:
            output, errors = await asyncio.gather(_read(process.stdout), _read(process.stderr))
            code = await process.wait()
        except BaseException:
            await _end(process)
            raise
        if code == 127:
            raise GitError("git is not installed, or not on PATH")
        return Said(code, output.decode(errors="backslashreplace"), errors)


async def _read(stream: asyncio.StreamReader | None) -> bytes:
    assert stream is not None
    parts, size = [], 0
    while chunk := await stream.read(65536):
        size += len(chunk)
        if size > OUTPUT:
            raise GitError(f"the remote says more than {OUTPUT >> 10} kB where a few lines are expected")
        parts.append(chunk)
    return b"".join(parts)


async def _end(process: Process) -> None:
    """The whole group: what Git started may hold the connection though Git itself has ended."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
