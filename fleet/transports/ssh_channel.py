"""A shell on a host over SSH: the channel's bytes straight into a Listener, and the connection below it, kept alive.

No streams and no tasks per host: what hundreds of hosts say costs little. A lost connection is opened again when the
next shell is asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import asyncssh

from fleet.errors import TransportError
from fleet.model.host import Target
from fleet.transports.channel import Channel, Listener
from fleet.transports.meter import Count
from fleet.transports.prelude import KILL
from fleet.transports.ssh_errors import classify

Connect = Callable[[Target], Awaitable[asyncssh.SSHClientConnection]]

_BECOME = {"none": "", "sudo": "sudo -n -- ", "doas": "doas -n "}


class Link:
    """The connection to one host. Called with a Listener it starts a shell: an Opener (see session)."""

    def __init__(self, target: Target, connect: Connect, count: Count | None = None) -> None:
        self._target, self._connect, self.count = target, connect, count or Count()
        self._connection: asyncssh.SSHClientConnection | None = None

    async def connect(self) -> asyncssh.SSHClientConnection:
        """The connection, opened (again) if need be. Raises TransportError."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._connect(self._target)
        return self._connection

    def abort(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    async def __call__(self, listener: Listener) -> Channel:
        try:
            return await self.another(listener)
        except TransportError:
            self.abort()
            raise

    async def another(self, listener: Listener) -> Channel:
        """One more shell beside the first: the server may refuse that, and then nothing else is given up for it."""
        connection = await self.connect()
        try:
            async with asyncio.timeout(self._target.connect_timeout):
                channel, _ = await connection.create_session(
                    lambda: _Shell(listener, self.count), self.command("-s"), encoding=None, request_pty=False
                )
        except (OSError, asyncssh.Error) as error:
            raise classify(error, self._target) from error
        return _Channel(self, channel)

    def command(self, words: str) -> str:
        """`exec`, and nothing that fish or csh would read otherwise: the login shell may be any."""
        return f"exec {_BECOME[self._target.become]}/bin/sh {words}"

    async def end(self, session: int) -> None:
        """End a session's processes over a second channel. A connection that does not even carry that is given up."""
        ended = False
        try:
            ended = bool(session) and await self.beside(KILL, str(session))
        finally:
            if not ended:
                self.abort()

    async def beside(self, text: str, word: str) -> bool:
        """See session.Channel. Not every server allows a second channel."""
        connection = self._connection
        try:
            if connection is None:
                return False
            result = await connection.run(self.command(f"-s {word}"), input=text.encode(), encoding=None)
            return result.exit_status == 0
        except (OSError, asyncssh.Error):
            return False


class _Shell(asyncssh.SSHClientSession[bytes]):
    """The channel's callbacks."""

    def __init__(self, listener: Listener, count: Count) -> None:
        self._listener, self._count = listener, count

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        self._count.received += len(data)
        if datatype is None:
            self._listener.data(data)
        else:
            self._listener.error_text(data)

    def exit_status_received(self, status: int) -> None:
        self._listener.exited = True

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.end()


class _Channel:
    """One shell's channel."""

    def __init__(self, link: Link, channel: asyncssh.SSHClientChannel[bytes]) -> None:
        self._link, self._channel = link, channel

    def write(self, data: bytes) -> None:
        self._link.count.sent += len(data)
        with contextlib.suppress(BrokenPipeError, OSError):
            self._channel.write(data)  # a channel that is gone tells its listener; there is nothing to add here

    async def end(self, session: int) -> None:
        await self._link.end(session)

    async def beside(self, text: str, word: str) -> bool:
        return await self._link.beside(text, word)

    async def close(self) -> None:
        self._channel.abort()
