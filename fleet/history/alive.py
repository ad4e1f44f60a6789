"""Which runs still have a process: one locked byte per run in a file beside the database.

The kernel drops a lock when its process ends, however it ends, so a run that is not finished and whose byte is free was
killed. Locks belong to the open file (OFD), so they neither clash with SQLite's own nor end with another descriptor.
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path
from types import TracebackType

# struct flock on 64-bit Linux: type, whence, start, length, pid.
_FLOCK = struct.Struct("@hhqqi4x")
_OPENING = 0  # the byte held while a database is created or migrated


class Locks:
    """The lock file of one database. Descriptors are closed in children (PEP 446), so a child holds nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def __enter__(self) -> Locks:
        """Hold the right to create and migrate. Waits for whoever has it: call it in a thread."""
        self._set(fcntl.F_OFD_SETLKW, fcntl.F_WRLCK, _OPENING)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._set(fcntl.F_OFD_SETLK, fcntl.F_UNLCK, _OPENING)

    def hold(self, run: int) -> None:
        self._set(fcntl.F_OFD_SETLK, fcntl.F_WRLCK, run)

    def release(self, run: int) -> None:
        self._set(fcntl.F_OFD_SETLK, fcntl.F_UNLCK, run)

    def alive(self, runs: set[int]) -> set[int]:
        """Those whose process lives, this one's included (another descriptor sees our own locks)."""
        other = os.open(self._path, os.O_RDWR)
        try:
            return {run for run in runs if _is_held(other, run)}
        finally:
            os.close(other)

    def close(self) -> None:
        os.close(self._held)

    def _set(self, how: int, kind: int, byte: int) -> None:
        fcntl.fcntl(self._held, how, _FLOCK.pack(kind, os.SEEK_SET, byte, 1, 0))


def _is_held(descriptor: int, run: int) -> bool:
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, run, 1, 0)
    found: int = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, asked))[0]
    return found != fcntl.F_UNLCK
