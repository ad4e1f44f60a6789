"""The floor: the least that asyncssh needs for the same work on the same hosts, without anything of fleet around it.

cold  connect with the very options that fleet builds, as many handshakes at a time, one line through a shell
warm  given bytes through shells that are open already, until a marker comes back
`python -m benchmarks.floor FILE` is cold as a process of its own; FILE: a pickled Work. Prints the seconds inside.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import uvloop

from fleet.model.host import Target
from fleet.transports.ssh_options import OptionsCache

END = b"fleet-floor-end"


@dataclass(frozen=True, slots=True)
class Work:
    """What the cold floor is given: where to go, and how many handshakes at a time."""

    targets: tuple[Target, ...]
    handshakes: int


class Shell(asyncssh.SSHClientSession[bytes]):
    """Waits until the marker has come; keeps nothing but the end of what came."""

    def __init__(self) -> None:
        self._tail = b""
        self._found: asyncio.Future[None] | None = None
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        self._tail = self._tail[-len(END) :] + data
        if END in self._tail and self._found is not None and not self._found.done():
            self._tail = b""
            self._found.set_result(None)

    async def run(self, text: bytes) -> None:
        """Send `text`; returns once the marker that it must print came back."""
        assert self._channel is not None
        self._found = asyncio.get_running_loop().create_future()
        self._channel.write(text)
        await self._found


async def connect(work: Work) -> list[tuple[asyncssh.SSHClientConnection, Shell]]:
    """All hosts connected, one line answered by each one's shell."""
    options, limit = OptionsCache(), asyncio.Semaphore(work.handshakes)

    async def one(target: Target) -> tuple[asyncssh.SSHClientConnection, Shell]:
        ready = await options.get(target)
        async with limit:
            connection = await asyncssh.connect(target.address, target.port, options=ready, config=None)
        shell = Shell()
        await connection.create_session(lambda: shell, "exec /bin/sh -s", encoding=None)
        await shell.run(b"echo " + END + b"\n")
        return connection, shell

    return list(await asyncio.gather(*(one(target) for target in work.targets)))


async def all_run(shells: Sequence[tuple[asyncssh.SSHClientConnection, Shell]], texts: Sequence[bytes]) -> float:
    """Seconds until every host has answered its own text."""
    started = time.perf_counter()
    await asyncio.gather(*(shell.run(text) for (_, shell), text in zip(shells, texts, strict=True)))
    return time.perf_counter() - started


async def _cold(work: Work) -> float:
    started = time.perf_counter()
    opened = await connect(work)
    seconds = time.perf_counter() - started
    for connection, _ in opened:
        connection.abort()
    return seconds


def main() -> None:
    work = pickle.loads(Path(sys.argv[1]).read_bytes())
    print(uvloop.run(_cold(work)))


if __name__ == "__main__":
    main()
