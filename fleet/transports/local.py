"""This machine, or any command that is a POSIX shell on stdin (a chroot, a container's shell): same script protocol."""

from __future__ import annotations

import asyncio
import contextlib
from asyncio.subprocess import DEVNULL
from collections.abc import Mapping, Sequence

from fleet.errors import Failure, TransportError
from fleet.model.host import Target
from fleet.model.port import Session
from fleet.model.traffic import Traffic
from fleet.transports.channel import Listener
from fleet.transports.meter import Count, Meter
from fleet.transports.prelude import KILL
from fleet.transports.resident import Resident
from fleet.transports.session import ShellSession

SHELL = ("/bin/sh", "-s")
BECOME = {"none": (), "sudo": ("sudo", "-n", "--"), "doas": ("doas", "-n")}


class LocalTransport:
    """`command` starts the shell; it gets a session of its own, in which all that it starts can be found and ended."""

    def __init__(self, command: Sequence[str] = SHELL) -> None:
        self._command = tuple(command)
        self._meter = Meter()

    async def connect(self, target: Target) -> Session:
        become, count = BECOME[target.become], self._meter.of(target.environment)

        async def opener(listener: Listener) -> _Process:
            return await _Process.start((*become, *self._command), _Process(listener, become, count))

        # Another command may come to another place each time: a container, a namespace.
        limits = target.output_limit, target.connect_timeout
        return ShellSession(opener, *limits, resident=Resident(opener, *limits) if self._command == SHELL else None)

    async def aclose(self) -> None:
        return None

    @property
    def traffic(self) -> Mapping[str, Traffic]:
        return self._meter.traffic

    @property
    def breakers(self) -> Mapping[str, str]:
        return {}


class _Process(asyncio.SubprocessProtocol):
    """A shell as a subprocess."""

    def __init__(self, listener: Listener, become: Sequence[str], count: Count) -> None:
        self._listener, self._become, self._count = listener, become, count
        self._transport: asyncio.SubprocessTransport | None = None
        self._exited = asyncio.Event()

    @classmethod
    async def start(cls, command: Sequence[str], process: _Process) -> _Process:
        loop = asyncio.get_running_loop()
        try:
            transport, protocol = await loop.subprocess_exec(lambda: process, *command, start_new_session=True)
        except OSError as error:
            raise TransportError(Failure.SHELL, f"cannot start {command[0]}: {error.strerror}") from error
        protocol._transport = transport
        return protocol

    def write(self, data: bytes) -> None:
        assert self._transport is not None
        pipe = self._transport.get_pipe_transport(0)
        if isinstance(pipe, asyncio.WriteTransport) and not pipe.is_closing():
            self._count.sent += len(data)
            pipe.write(data)

    async def end(self, session: int) -> None:
        """Seen from here the session is the one this process leads, whatever the shell's own view of processes says."""
        assert self._transport is not None
        await self.beside(KILL, str(self._transport.get_pid()))

    async def beside(self, text: str, word: str) -> bool:
        words = (*self._become, "/bin/sh", "-c", text, "sh", word)
        process = await asyncio.create_subprocess_exec(*words, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
        return await process.wait() == 0

    async def close(self) -> None:
        """The end of its input lets a shell that waits for more end by itself, its watchdog included."""
        assert self._transport is not None
        pipe = self._transport.get_pipe_transport(0)
        if pipe is not None:
            pipe.close()
        await self._wait_for_exit()
        self._transport.close()  # kills what is still there
        await self._wait_for_exit()

    async def _wait_for_exit(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._exited.wait()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._count.received += len(data)
        if fd == 1:
            self._listener.data(data)
        else:
            self._listener.error_text(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """All that it said was heard. process_exited may come before that."""
        if fd == 1:
            self._listener.exited = True
            self._listener.end()

    def process_exited(self) -> None:
        self._exited.set()
        # What it left behind may hold its output open for ever.
        asyncio.get_running_loop().call_later(0.2, self._listener.end)
