"""The one try of a half open breaker: whatever becomes of it, an API that is well again is asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from fleet.transports.gate import Gate
from tests.transports.http_server import Fast

Ending = Callable[[Gate], Awaitable[None]]


async def nothing(gate: Gate) -> None:
    """It ended before the API was asked: a login failed, say."""
    async with gate.turn("dev"):
        pass


async def an_error(gate: Gate) -> None:
    with pytest.raises(ValueError, match="no certificate"):
        async with gate.turn("dev"):
            raise ValueError("no certificate")


async def cut(gate: Gate) -> None:
    """Its deadline passed meanwhile."""
    task = asyncio.create_task(_stuck(gate))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def cut_at_once(gate: Gate) -> None:
    """Its turn came, and it was gone."""
    task = asyncio.create_task(_stuck(gate))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _stuck(gate: Gate) -> None:
    async with gate.turn("dev"):
        await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("ending", [nothing, an_error, cut, cut_at_once])
def test_a_try_that_says_nothing_keeps_no_other_out(ending: Ending) -> None:
    async def run() -> None:
        clock = Fast()
        gate = Gate(clock.clock, lambda: 0.5)
        for _ in range(5):
            gate.failed()
        assert gate.breaker.state(clock.clock.now()) == "open"
        async with gate.turn("dev"):
            gate.failed()  # the one try fails, and it rests again
        async with asyncio.timeout(5):
            await _rested(gate)
            await ending(gate)
            async with gate.turn("dev"):
                gate.breaker.succeeded()
        assert gate.breaker.state(clock.clock.now()) == "closed"

    asyncio.run(run())


async def _rested(gate: Gate) -> None:
    """Until it is half open."""
    over = asyncio.Event()
    gate.clock.later(gate.breaker.wait(gate.clock.now()), over.set)
    await over.wait()
