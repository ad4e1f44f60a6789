"""How much may go on at once: handshakes and running scripts, per environment and in all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fleet.model.host import Target

# sshd drops connections by chance from its tenth login in progress on (MaxStartups), hardened ones earlier. Only many
# hosts behind one address and port ever come near it.
PER_ADDRESS = 3


class Limits:
    """handshakes, scripts: in all. An environment's own limits stand in its targets; a bastion counts as a target."""

    def __init__(self, handshakes: int, scripts: int) -> None:
        self._all = {"handshakes": asyncio.Semaphore(handshakes), "scripts": asyncio.Semaphore(scripts)}
        self._own: dict[tuple[str, str, int], asyncio.Semaphore] = {}

    @asynccontextmanager
    async def handshake(self, target: Target) -> AsyncIterator[None]:
        """The rarest first, so that who waits for one address holds no place that others could use."""
        address = self._semaphore("address", f"{target.via}{target.address}:{target.port}", PER_ADDRESS)
        own = self._semaphore("handshakes", target.environment, target.handshakes)
        async with address, own, self._all["handshakes"]:
            yield

    @asynccontextmanager
    async def script(self, target: Target) -> AsyncIterator[None]:
        async with self._semaphore("scripts", target.environment, target.scripts), self._all["scripts"]:
            yield

    def _semaphore(self, what: str, whose: str, limit: int) -> asyncio.Semaphore:
        return self._own.setdefault((what, whose, limit), asyncio.Semaphore(limit))
