"""Processes that belong to a host: found by its mount namespace or its root, so that nobody else's is ever ended."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path


def start_time(pid: int) -> int:
    """Clock ticks after boot when this process began, 0 when there is none: tells a re-used id apart. proc(5)."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return 0 if words[0] == "Z" else int(words[19])
    except (OSError, IndexError, ValueError):
        return 0


def mount_namespace(pid: int) -> str:
    """Its identity, "" when it cannot be had."""
    try:
        return str(Path(f"/proc/{pid}/ns/mnt").readlink())
    except OSError:
        return ""


def inside(namespaces: set[str], directory: Path) -> Iterator[int]:
    """Processes in one of the namespaces (never our own), or whose root lies below the sandbox's directory."""
    own = mount_namespace(os.getpid())
    wanted = namespaces - {own, ""}
    for entry in os.scandir("/proc"):
        if not entry.name.isdecimal():
            continue
        pid = int(entry.name)
        if pid == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if mount_namespace(pid) in wanted or Path(f"/proc/{pid}/root").readlink().is_relative_to(directory):
                yield pid


def end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


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
