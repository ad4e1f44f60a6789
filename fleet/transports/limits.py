"""How much may go on at once: handshakes and running scripts, per environment (bastions count as targets, too)."""

from __future__ import annotations

import asyncio

from fleet.model.host import Target


class Limits:
    """Semaphores made on first use, one pair per environment and limit."""

    def __init__(self) -> None:
        self._handshakes: dict[tuple[str, int], asyncio.Semaphore] = {}
        self._scripts: dict[tuple[str, int], asyncio.Semaphore] = {}

    def handshake(self, target: Target) -> asyncio.Semaphore:
        key = (target.environment, target.handshakes)
        return self._handshakes.setdefault(key, asyncio.Semaphore(target.handshakes))

    def script(self, target: Target) -> asyncio.Semaphore:
        key = (target.environment, target.scripts)
        return self._scripts.setdefault(key, asyncio.Semaphore(target.scripts))
