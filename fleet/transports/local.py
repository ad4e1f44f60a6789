"""This machine, or any command that is a POSIX shell on stdin (a chroot, a container's shell): same script protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from fleet.errors import Failure, TransportError
from fleet.model.host import Target
from fleet.model.port import Session
from fleet.transports.prelude import KILL
from fleet.transports.session import Listener, ShellSession


class LocalTransport:
    """`command` starts the shell; it gets a session (and so a process group) of its own."""

    def __init__(self, command: Sequence[str] = ("/bin/sh", "-s")) -> None:
        self._command = tuple(command)

    async def connect(self, target: Target) -> Session:
        async def opener(listener: Listener) -> _Process:
            return await _Process.start(self._command, listener)

        return ShellSession(opener, target.output_limit)

    async def aclose(self) -> None:
        return None


class _Process(asyncio.SubprocessProtocol):
    """A shell as a subprocess."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._transport: asyncio.SubprocessTransport | None = None

    @classmethod
    async def start(cls, command: Sequence[str], listener: Listener) -> _Process:
        loop = asyncio.get_running_loop()
        try:
            transport, protocol = await loop.subprocess_exec(lambda: cls(listener), *command, start_new_session=True)
        except OSError as error:
            raise TransportError(Failure.SHELL, f"cannot start {command[0]}: {error.strerror}") from error
        protocol._transport = transport
        return protocol

    def write(self, data: bytes) -> None:
        assert self._transport is not None
        pipe = self._transport.get_pipe_transport(0)
        assert isinstance(pipe, asyncio.WriteTransport)
        pipe.write(data)

    async def kill(self, session: int) -> None:
        """Seen from here the session is the one this process leads, whatever the shell's own view of processes says."""
        assert self._transport is not None
        words = ("/bin/sh", "-c", f"{KILL}\nfl_kill {self._transport.get_pid()} 0")
        await (await asyncio.create_subprocess_exec(*words)).wait()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 1:
            self._listener.data(data)
        else:
            self._listener.error_text(data)

    def process_exited(self) -> None:
        self._listener.end()
