"""SSH: one connection per host, one long-lived `sh` on it. Target in, Session out; every error classified.

Nothing is sent before the host's key was found among the pinned ones. A bastion's connection is opened once and shared.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace

import asyncssh

from fleet.errors import Failure, TransportError
from fleet.model.host import Target
from fleet.model.port import Session
from fleet.model.step import Batch, Outcome, Report
from fleet.pacing import Backoff
from fleet.transports.limits import Limits
from fleet.transports.prelude import KILL
from fleet.transports.quoting import quote
from fleet.transports.session import Channel, Listener, Opener, ShellSession
from fleet.transports.ssh_errors import classify
from fleet.transports.ssh_options import OptionsCache

_BECOME = {"none": "", "sudo": "sudo -n -- ", "doas": "doas -n "}


class SSHTransport:
    """Opens sessions. chance: a number in [0, 1) for the jitter between tries. key_file: for targets without one."""

    def __init__(
        self, chance: Callable[[], float], limits: Limits | None = None, key_file: str = "", tries: int = 3
    ) -> None:
        self._options = OptionsCache()
        self._limits = limits or Limits(32, 64)
        self._key_file = key_file
        self._chance, self._tries = chance, tries
        self._bastions: dict[Target, asyncio.Task[asyncssh.SSHClientConnection]] = {}

    async def connect(self, target: Target) -> Session:
        """A session with its connection open. Raises TransportError; repeats only what repeating can help."""
        connection = await self._retrying(target)
        session = ShellSession(_opener(connection, target), target.output_limit, connection.abort)
        return _Limited(session, target, self._limits)

    async def aclose(self) -> None:
        bastions, self._bastions = list(self._bastions.values()), {}
        for task in bastions:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, TransportError):
                (await task).abort()

    async def _retrying(self, target: Target) -> asyncssh.SSHClientConnection:
        backoff = Backoff(base=0.5, cap=5.0)
        for attempt in range(1, self._tries + 1):
            try:
                return await self._open(target)
            except TransportError as error:
                # A closed banner may be a penalty that every further try makes longer; a time-out already cost one.
                again = error.failure.retryable and error.failure is not Failure.TIMEOUT
                if not again or attempt == self._tries:
                    raise
            await asyncio.sleep(backoff.delay(attempt, self._chance()))
        raise AssertionError("unreachable: the last try returns or raises")

    async def _open(self, target: Target) -> asyncssh.SSHClientConnection:
        tunnel = await self._bastion(target.via) if target.via is not None else None
        options = await self._options.get(replace(target, key_file=target.key_file or self._key_file))
        async with self._limits.handshake(target):
            try:
                async with asyncio.timeout(target.connect_timeout):
                    return await asyncssh.connect(
                        target.address, target.port, tunnel=tunnel, options=options, config=None
                    )
            except (OSError, asyncssh.Error, ValueError) as error:
                raise classify(error, target) from error

    async def _bastion(self, target: Target) -> asyncssh.SSHClientConnection:
        """One connection per bastion, shared by all hosts behind it; opened anew once it is gone."""
        task = self._bastions.get(target)
        if task is None or (task.done() and (task.cancelled() or task.exception() or task.result().is_closed())):
            task = self._bastions[target] = asyncio.create_task(self._retrying(target))
        try:
            return await asyncio.shield(task)
        except TransportError as error:
            message = f"bastion {target.host}: {error.message}"
            raise TransportError(error.failure, message, error.hint) from error


class _Limited:
    """A session whose scripts count against the environment's limit."""

    def __init__(self, session: ShellSession, target: Target, limits: Limits) -> None:
        self._session, self._target, self._limits = session, target, limits

    @property
    def round_trips(self) -> int:
        return self._session.round_trips

    async def perform(self, batch: Batch, report: Report | None = None) -> Mapping[str, Outcome]:
        async with self._limits.script(self._target):
            return await self._session.perform(batch, report)

    async def aclose(self) -> None:
        await self._session.aclose()


class _Shell(asyncssh.SSHClientSession[bytes]):
    """The channel's callbacks, straight into the listener: no streams, no tasks, little CPU per host."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        if datatype is None:
            self._listener.data(data)
        else:
            self._listener.error_text(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.end()


class _SSHChannel:
    """A shell's channel; killing it takes a second channel on the same connection."""

    def __init__(
        self, connection: asyncssh.SSHClientConnection, channel: asyncssh.SSHClientChannel[bytes], become: str
    ) -> None:
        self._connection, self._channel, self._become = connection, channel, become

    def write(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError, OSError):
            self._channel.write(data)  # a channel that is gone tells its listener; there is nothing to add here

    async def kill(self, session: int) -> None:
        with contextlib.suppress(asyncssh.Error, OSError):
            words = quote(f"{KILL}\nfl_kill {session} 0").decode()
            await self._connection.run(f"exec {self._become}/bin/sh -c {words}", encoding=None, check=False)

    def close(self) -> None:
        self._channel.abort()


def _opener(connection: asyncssh.SSHClientConnection, target: Target) -> Opener:
    become = _BECOME[target.become]

    async def opener(listener: Listener) -> Channel:
        try:
            async with asyncio.timeout(target.connect_timeout):
                channel, _ = await connection.create_session(
                    lambda: _Shell(listener), f"exec {become}/bin/sh -s", encoding=None
                )
        except (OSError, asyncssh.Error) as error:
            raise classify(error, target) from error
        return _SSHChannel(connection, channel, become)

    return opener
