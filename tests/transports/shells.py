"""The three shells that hosts have, each in a mount namespace with an empty /var/lib/fleet of its own."""

from __future__ import annotations

import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from fleet.model.host import Target
from fleet.model.port import Session
from fleet.model.step import Batch, Outcome, Script, Step, Task, Write
from fleet.transports.local import LocalTransport

SHELLS = {"dash": ("dash",), "bash": ("bash", "--posix"), "busybox": ("busybox", "sh")}
TARGET = Target("here", "lab", type="local", connect_timeout=60)

# $0: shell text run first, in the same namespace.
_ROOM = 'mkdir -p /var/lib/fleet && mount -t tmpfs none /var/lib/fleet && eval "$0" && exec "$@"'


def room(shell: str, prepare: str = ":") -> tuple[str, ...]:
    """The words that start a shell in a namespace of its own."""
    return ("unshare", "--mount", "sh", "-c", _ROOM, prepare, *SHELLS[shell], "-s")


def can_have_rooms() -> bool:
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


needs_rooms = pytest.mark.skipif(not can_have_rooms(), reason="needs root with CAP_SYS_ADMIN, for mount namespaces")
in_each_shell = pytest.mark.parametrize("shell", SHELLS)


@asynccontextmanager
async def session_in(shell: str, prepare: str = ":", target: Target = TARGET) -> AsyncIterator[Session]:
    session = await LocalTransport(room(shell, prepare)).connect(target)
    try:
        yield session
    finally:
        await session.aclose()


def writer(token: int | None = None, environment: str = "lab", attempt: str = "a1") -> Write:
    return Write(environment, time.time_ns() if token is None else token, attempt)


def look(text: str, *args: str) -> Batch:
    return Batch((Task("look:it", (Script(text, args),)),), deadline=60)


async def see(session: Session, text: str, *args: str) -> bytes:
    """What a probe prints."""
    return (await session.perform(look(text, *args)))["look:it"].output


async def apply(session: Session, *steps: Step, write: Write | None = None) -> Outcome:
    """One task that writes."""
    batch = Batch((Task("it", steps),), write or writer(), deadline=60)
    return (await session.perform(batch))["it"]


async def until(condition: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether it comes true in time."""
    import asyncio

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        await asyncio.sleep(0.05)
    return condition()
