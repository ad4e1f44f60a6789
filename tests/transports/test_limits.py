"""How much goes on at once: per environment, in all, and per address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

import pytest

from fleet.model.host import Target
from fleet.transports.limits import PER_ADDRESS, Limits

pytestmark = pytest.mark.anyio


class Peak:
    """How many were inside at once."""

    def __init__(self) -> None:
        self.now = self.most = 0

    @asynccontextmanager
    async def inside(self, gate: AbstractAsyncContextManager[None]) -> AsyncIterator[None]:
        async with gate:
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(0)
            yield
            self.now -= 1


def targets(environment: str, count: int) -> list[Target]:
    return [Target(f"h{n}", environment, address=f"10.0.0.{n}") for n in range(count)]


async def most(limits: Limits, what: str, many: list[Target]) -> int:
    peak = Peak()

    async def one(target: Target) -> None:
        gate = limits.handshake(target) if what == "handshakes" else limits.script(target)
        async with peak.inside(gate):
            for _ in range(5):
                await asyncio.sleep(0)

    await asyncio.gather(*(one(target) for target in many))
    return peak.most


@pytest.mark.parametrize("what", ["handshakes", "scripts"])
async def test_an_environment_keeps_its_own_limit(what: str) -> None:
    many = [replace(t, handshakes=4, scripts=4) for t in targets("dev", 30)]
    assert await most(Limits(100, 100), what, many) == 4


@pytest.mark.parametrize("what", ["handshakes", "scripts"])
async def test_all_environments_together_keep_the_limit_of_all(what: str) -> None:
    assert await most(Limits(7, 7), what, targets("dev", 30) + targets("prod", 30)) == 7


async def test_one_address_is_spared() -> None:
    many = [replace(target, address="10.0.0.1") for target in targets("dev", 30)]
    assert await most(Limits(100, 100), "handshakes", many) == PER_ADDRESS
    # Behind two bastions one address is two hosts.
    far = [replace(t, via=replace(many[0], host="b", address=f"10.1.0.{n % 2}")) for n, t in enumerate(many)]
    assert await most(Limits(100, 100), "handshakes", far) == 2 * PER_ADDRESS


@pytest.mark.parametrize("what", ["handshakes", "scripts"])
async def test_hosts_that_never_answer_keep_no_other_environment_out(what: str) -> None:
    """Each of them holds its place as long as it can; the few others all get through."""
    limits, stuck, through = Limits(8, 8), asyncio.Event(), 0

    async def one(target: Target) -> None:
        nonlocal through
        async with limits.handshake(target) if what == "handshakes" else limits.script(target):
            if target.environment == "dev":
                await stuck.wait()
            else:
                through += 1

    await one(Target("p0", "prod", address="10.1.0.0"))  # there is such an environment
    dead = [asyncio.create_task(one(target)) for target in targets("dev", 100)]
    await asyncio.sleep(0)
    await asyncio.gather(*(one(target) for target in targets("prod", 50)))
    assert through == 51
    stuck.set()
    await asyncio.gather(*dead)


def test_of_many_that_fail_a_tenth_is_tried_again() -> None:
    limits = Limits(8, 8)
    for _ in range(100):
        limits.first()
    assert sum(limits.again() for _ in range(100)) == 10
