"""Processes that belong to a host: started for it (a word in their environment) or living in it (their root).

Nothing here trusts a process id that was written down: an id is re-used, these two marks are not. See proc(5).
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

MARK = "FLEET_SANDBOX_HOST"


def mark(folder: Path) -> dict[str, str]:
    """The environment of a host's first process; its children and what it becomes by exec keep it."""
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", MARK: str(folder)}


def start_time(pid: int) -> int:
    """Clock ticks after boot when this process began, 0 when there is none: tells a re-used id apart."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return 0 if words[0] == "Z" else int(words[19])
    except (OSError, IndexError, ValueError):
        return 0


def below(folder: Path) -> Iterator[int]:
    """Ids of the processes of all hosts whose folder is `folder` or lies in it."""
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal() and int(entry.name) != os.getpid() and belongs(int(entry.name), folder):
            yield int(entry.name)


def belongs(pid: int, folder: Path) -> bool:
    """A process that has ended, or that we may not look at, belongs to nobody."""
    try:
        if Path(f"/proc/{pid}/root").readlink().is_relative_to(folder):
            return True
        words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    said = next((word[len(MARK) + 1 :] for word in words if word.startswith(MARK.encode() + b"=")), b"")
    return bool(said) and Path(os.fsdecode(said)).is_relative_to(folder)


def end(pid: int, folder: Path) -> None:
    """SIGKILL, if it still belongs there: the handle is taken before the question, so the answer is about it."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            if belongs(pid, folder):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)


def listening() -> set[tuple[str, int]]:
    """(address, port) of all listening IPv4 sockets of this network namespace."""
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[3] == "0A":
            raw, port = words[1].split(":")
            octets = bytes.fromhex(raw)[::-1]
            found.add((".".join(map(str, octets)), int(port, 16)))
    return found
