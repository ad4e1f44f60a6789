"""Open ways to hosts, one each, kept between passes: Target in, Session out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping

from fleet.model.host import Target
from fleet.model.port import Session, Transport
from fleet.model.traffic import Traffic
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
        session = self._open.pop(target, None)
        if session is None:
            session = await self._connect(target)
        self._open[target] = session  # the last to be used stands last
        return session

    async def halt(self, target: Target) -> None:
        """What is being written there stops between two tasks, see model/port.py."""
        session = self._open.get(target)
        if session is not None:
            await session.halt()

    async def trim(self, most: int, busy: Callable[[], Collection[Target]]) -> None:
        """Close those that were not used for longest, until no more than `most` are open; none that is in use."""
        if len(self._open) <= most:
            return
        used = busy()
        for target in [one for one in self._open if one not in used][: len(self._open) - most]:
            await self.drop(target)

    @property
    def traffic(self) -> Mapping[tuple[str, str], Traffic]:
        """(type of transport, environment) → what was carried so far."""
        return {(type_, e): one for type_, t in self._transports.items() for e, one in t.traffic.items()}

    @property
    def breakers(self) -> Mapping[str, str]:
        """What several hosts need and is not well now: see model/port.py."""
        return {name: state for one in self._transports.values() for name, state in one.breakers.items()}

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

    async def keep(self, targets: Collection[Target], busy: Collection[Target]) -> None:
        """Close those to other targets: of hosts that are gone, or are reached in another way now."""
        for target in [one for one in self._open if one not in targets and one not in busy]:
            await self.drop(target)

    async def aclose(self) -> None:
        sessions, self._open = list(self._open.values()), {}
        await asyncio.gather(*(s.aclose() for s in sessions), return_exceptions=True)
        for transport in self._transports.values():
            await transport.aclose()
