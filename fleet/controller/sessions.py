"""Open ways to hosts, one each, kept between passes: Target in, Session out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from fleet.model.host import Target
from fleet.model.port import Session, Transport
from fleet.transports.routed import RoutedSession


class Sessions:
    """Opens what is asked for and keeps it until `aclose`. transports: by the target's `type`, made when one is first
    needed."""

    def __init__(self, transports: Mapping[str, Callable[[], Transport]]) -> None:
        self._make = transports
        self._transports: dict[str, Transport] = {}
        self._open: dict[Target, Session] = {}

    async def get(self, target: Target) -> Session:
        """The session to this target, opened if need be. Raises TransportError, classified."""
        session = self._open.get(target)
        if session is None:
            session = self._open[target] = await self._connect(target)
        return session

    async def _connect(self, target: Target) -> Session:
        own = await self._transport(target.type).connect(target)
        if target.type == "http" or not target.apis:
            return own
        return RoutedSession(own, await self._transport("http").connect(target))

    def _transport(self, type_: str) -> Transport:
        if type_ not in self._transports:
            self._transports[type_] = self._make[type_]()
        return self._transports[type_]

    async def drop(self, target: Target) -> None:
        """Close one session after trouble; the next `get` opens a new one."""
        session = self._open.pop(target, None)
        if session is not None:
            await session.aclose()

    async def aclose(self) -> None:
        sessions, self._open = list(self._open.values()), {}
        await asyncio.gather(*(s.aclose() for s in sessions), return_exceptions=True)
        for transport in self._transports.values():
            await transport.aclose()
