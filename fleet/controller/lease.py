"""One controller for one state: a lock on a file beside the record, with who holds it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleet.errors import UsageError


@contextmanager
def lease(state: Path) -> Iterator[None]:
    """The kernel gives it back when this process ends, however it ends. Raises UsageError: another process has it, or
    the directory is not ours alone, so that somebody else could decide what we write and read there."""
    descriptor = _opened(state)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another controller runs on {state}: {_holder(descriptor)}; stop it first") from None
        os.ftruncate(descriptor, 0)
        said = {"pid": os.getpid(), "machine": socket.gethostname(), "since": time.time()}
        os.pwrite(descriptor, json.dumps(said).encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _opened(state: Path) -> int:
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        said = state.stat()
        if said.st_uid not in (0, os.geteuid()):
            raise UsageError(f"{state} belongs to another user (id {said.st_uid}): run the controller as that one")
        if said.st_mode & stat.S_IWOTH:
            raise UsageError(f"everybody may write to {state}: chmod o-w {state}, or name another with FLEET_STATE_DIR")
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(state / "controller.lock", flags, 0o600)
    except OSError as error:
        why = error.strerror or error
        raise UsageError(f"{error.filename or state}: {why}; name another place with FLEET_STATE_DIR") from error


def _holder(descriptor: int) -> str:
    try:
        said = json.loads(os.pread(descriptor, 1000, 0))
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(said["since"]))
        return f"process {int(said['pid'])} on {said['machine']}, since {since}"
    except (ValueError, KeyError, TypeError, OverflowError, OSError):
        return "a process that does not say its name"
