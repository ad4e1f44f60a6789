"""A TCP proxy of our own between fleet and a host: cuts, drips, stops, after as many bytes as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Proxy:
    """cut_after: bytes from the host until both sides are cut off. hold_after: until nothing passes any more.

    passed: bytes that came from the host. accepted: connections so far. deaf: nothing passes in either direction.
    """

    def __init__(self, address: str, port: int) -> None:
        self._to = (address, port)
        self.port = 0
        self.cut_after = self.hold_after = 10**12
        self.passed = self.accepted = 0
        self.deaf = False
        self._writers: set[asyncio.StreamWriter] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        host_reader, host_writer = await asyncio.open_connection(*self._to)
        self._writers |= {writer, host_writer}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(reader, host_writer, counted=False))
                group.create_task(self._pass_on(host_reader, writer, counted=True))
        except* (OSError, _Cut):
            pass
        finally:
            for one in (writer, host_writer):
                one.transport.abort()
                self._writers.discard(one)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counted: bool) -> None:
        while data := await reader.read(65536):
            if counted:
                room = min(self.cut_after, self.hold_after) - self.passed
                self.passed += len(data)
                writer.write(data[: max(0, room)])
                if self.passed >= self.cut_after:
                    await writer.drain()
                    raise _Cut
            elif not self.deaf:
                writer.write(data)
            await writer.drain()
        raise _Cut

    def cut(self) -> None:
        """Both sides, now."""
        for writer in self._writers:
            writer.transport.abort()


class _Cut(Exception):
    pass


@asynccontextmanager
async def proxy(address: str, port: int) -> AsyncIterator[Proxy]:
    """A proxy to that address; listens on 127.0.0.1."""
    one = Proxy(address, port)
    server = await asyncio.start_server(one.accept, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        one.cut()
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await server.wait_closed()
