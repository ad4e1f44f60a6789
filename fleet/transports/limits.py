"""How much may go on at once: handshakes and running scripts, per environment and in all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fleet.model.host import Target


class Limits:
    """handshakes, scripts: in all. An environment's own limits stand in its targets; a bastion counts as a target."""

    def __init__(self, handshakes: int, scripts: int) -> None:
        self._all = {"handshakes": asyncio.Semaphore(handshakes), "scripts": asyncio.Semaphore(scripts)}
        self._own: dict[tuple[str, str, int], asyncio.Semaphore] = {}

    @asynccontextmanager
    async def handshake(self, target: Target) -> AsyncIterator[None]:
        async with self._environment("handshakes", target, target.handshakes), self._all["handshakes"]:
            yield

    @asynccontextmanager
    async def script(self, target: Target) -> AsyncIterator[None]:
        async with self._environment("scripts", target, target.scripts), self._all["scripts"]:
            yield

    def _environment(self, what: str, target: Target, limit: int) -> asyncio.Semaphore:
        return self._own.setdefault((what, target.environment, limit), asyncio.Semaphore(limit))
