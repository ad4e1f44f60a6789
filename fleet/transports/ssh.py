"""SSH: one connection per host, one long-lived `sh` on it. Target in, Session out; every error classified.

Nothing is sent before the host's key was found among the pinned ones. A bastion's connection is opened once and shared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import asyncssh

from fleet.errors import Failure, TransportError
from fleet.model.host import Target
from fleet.model.port import Session
from fleet.model.step import Batch, Outcome, Report
from fleet.model.traffic import Traffic
from fleet.pacing.backoff import Backoff
from fleet.transports.bastions import Bastions
from fleet.transports.limits import Limits
from fleet.transports.meter import Meter
from fleet.transports.resident import Resident
from fleet.transports.session import ShellSession
from fleet.transports.ssh_channel import Link
from fleet.transports.ssh_errors import PENALTY, classify, not_pinned
from fleet.transports.ssh_options import OptionsCache

TRIES = 3


class SSHTransport:
    """Opens sessions. chance: a number in [0, 1) for the jitter between tries. key_file: for targets without one.

    wait: lets so many seconds pass between two tries.
    """

    def __init__(
        self,
        chance: Callable[[], float],
        limits: Limits | None = None,
        key_file: str = "",
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._options = OptionsCache()
        self._limits = limits or Limits(32, 64)
        self._key_file = key_file
        self._chance, self._wait = chance, wait
        self._meter = Meter()
        self._bastions: Bastions[asyncssh.SSHClientConnection] = Bastions(self.open, self._limits.now, chance)

    async def connect(self, target: Target) -> Session:
        """A session with its connection open. Raises TransportError; repeats only what repeating can help."""
        link = Link(target, self.open, self._meter.of(target.environment))
        await link.connect()
        resident = Resident(link.another, target.output_limit, target.connect_timeout)
        session = ShellSession(link, target.output_limit, target.connect_timeout, link.abort, resident)
        return _Limited(session, target, self._limits)

    async def aclose(self) -> None:
        await self._bastions.aclose()

    @property
    def traffic(self) -> Mapping[str, Traffic]:
        return self._meter.traffic

    @property
    def breakers(self) -> Mapping[str, str]:
        return self._bastions.breakers

    async def open(self, target: Target) -> asyncssh.SSHClientConnection:
        """A connection, logged in. A bastion has had its own tries."""
        target = replace(target, key_file=target.key_file or self._key_file)
        attempt = 1
        self._limits.first()
        while True:
            tunnel = await self.bastion(target.via) if target.via is not None else None
            try:
                return await self._try(target, tunnel)
            except TransportError as error:
                if attempt == TRIES or not _again(error.failure) or not self._limits.again():
                    raise
                await self._wait(pause(error.failure, attempt, self._chance()))
                self._meter.of(target.environment).retries += 1
            attempt += 1

    async def _try(self, target: Target, tunnel: asyncssh.SSHClientConnection | None) -> asyncssh.SSHClientConnection:
        options = await self._options.get(target)
        if not self._options.pins(target):
            raise not_pinned(target)
        where: dict[str, Any] = {"host": target.address}
        if tunnel is not None or not target.ssh_config:
            where["tunnel"] = tunnel
        if target.port != 22 or not target.ssh_config:
            where["port"] = target.port
        async with self._limits.handshake(target):
            try:
                async with asyncio.timeout(target.connect_timeout):
                    return await asyncssh.connect(options=options, config=None, **where)
            except (OSError, asyncssh.Error, ValueError) as error:
                raise classify(error, target) from error

    async def bastion(self, target: Target) -> asyncssh.SSHClientConnection:
        """See Bastions. Raises TransportError, which names it."""
        return await self._bastions.get(target)


def _again(failure: Failure) -> bool:
    """A time-out has already cost what a host may cost."""
    return failure.retryable and failure is not Failure.TIMEOUT


def pause(failure: Failure, attempt: int, chance: float) -> float:
    """Seconds between two tries. Being cut off before the login is bad luck once (MaxStartups drops by chance); twice
    it may be a penalty, which only time ends."""
    penalty = PENALTY if failure is Failure.BANNER and attempt > 1 else 0.0
    return penalty + Backoff(base=1.0, cap=5.0).delay(attempt, chance)


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

    async def halt(self) -> None:
        await self._session.halt()

    async def aclose(self) -> None:
        await self._session.aclose()
