"""One controller for one state: a lock on a file beside the record, with who holds it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleet.errors import UsageError


@contextmanager
def lease(state: Path) -> Iterator[None]:
    """Raises UsageError while another process has it; the kernel gives it back when that one ends, however it ends."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(state / "controller.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
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


def _holder(descriptor: int) -> str:
    try:
        said = json.loads(os.pread(descriptor, 1000, 0))
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(said["since"]))
        return f"process {int(said['pid'])} on {said['machine']}, since {since}"
    except (ValueError, KeyError, TypeError):
        return "a process that does not say its name"
