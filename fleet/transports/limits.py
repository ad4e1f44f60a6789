"""How much goes on at once over SSH: handshakes and running scripts, per environment and in all; and how many
handshakes may be tried again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fleet.model.host import Target
from fleet.transports.gate import Clock, Gate, real_clock

# sshd drops connections by chance from its tenth login in progress on (MaxStartups), hardened ones earlier. Only many
# hosts behind one address and port ever come near it.
PER_ADDRESS = 3


class Limits:
    """handshakes, scripts: in all. An environment's own limits stand in its targets; a bastion counts as a target."""

    def __init__(
        self, handshakes: int, scripts: int, chance: Callable[[], float] = lambda: 0.5, clock: Clock | None = None
    ) -> None:
        clock = clock or real_clock()
        self._handshakes, self._scripts = Gate(clock, chance, handshakes), Gate(clock, chance, scripts)
        self._addresses: dict[str, asyncio.Semaphore] = {}

    @asynccontextmanager
    async def handshake(self, target: Target) -> AsyncIterator[None]:
        """The rarest first, so that who waits for one address holds no place that others could use."""
        where = f"{target.via}{target.address}:{target.port}"
        address = self._addresses.setdefault(where, asyncio.Semaphore(PER_ADDRESS))
        self._handshakes.join(target.environment, concurrency=target.handshakes)
        async with address, self._handshakes.turn(target.environment):
            yield

    @asynccontextmanager
    async def script(self, target: Target) -> AsyncIterator[None]:
        self._scripts.join(target.environment, concurrency=target.scripts)
        async with self._scripts.turn(target.environment):
            yield

    def now(self) -> float:
        """Seconds of the clock that all of this goes by."""
        return self._handshakes.clock.now()

    def first(self) -> None:
        """A first try of a handshake begins."""
        self._handshakes.budget.first(self._handshakes.clock.now())

    def again(self) -> bool:
        """Whether another try may begin: a share of the first ones, so that a herd does not bury a bastion."""
        return self._handshakes.budget.again(self._handshakes.clock.now())
