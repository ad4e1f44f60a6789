"""Time that passes as soon as everybody waits for it, and a controller's loop over worlds in memory."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from fleet.controller.environments import Environments
from fleet.controller.events import Events
from fleet.controller.loop import Loop, Quiet, Rules
from fleet.controller.standing import Moment
from fleet.model.change import PassResult
from fleet.model.host import HostSpec, Target
from tests.controller.test_run import Memo, parts
from tests.converge.world import KINDS, host, resource

Result = TypeVar("Result")


class VirtualLoop(asyncio.SelectorEventLoop):
    """Nobody here waits for anything but timers."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        inside = cast(Any, self)
        # Timers that nobody waits for any more are nothing to wait for: the loop would, in real time.
        while inside._scheduled and inside._scheduled[0]._cancelled:
            heapq.heappop(inside._scheduled)._scheduled = False
            inside._timer_cancelled_count -= 1
        if not inside._ready and inside._scheduled:
            self._now = max(self._now, inside._scheduled[0].when())
        cast(Any, super())._run_once()


def virtually(work: Awaitable[Result]) -> Result:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        found: Result = runner.run(cast(Any, work))
        return found


@dataclass
class _Fake:
    """As much of Environments as the loop asks for."""

    places: Mapping[str, Any]

    def host(self, key: tuple[str, str]) -> Any:
        place = self.places.get(key[0])
        return None if place is None else place.hosts.get(key[1])

    def kinds(self, environment: str) -> Any:
        return self.places[environment] and KINDS

    def __iter__(self) -> Iterator[HostSpec]:
        for place in self.places.values():
            yield from place.hosts.values()


@dataclass
class Rig:
    """worlds: host name → its world, as the transport of test_run takes them; names begin with their environment."""

    worlds: Mapping[str, object]
    period: float = 60.0
    passes: int = 256
    connections: int = 10_000
    spec: HostSpec = field(default_factory=lambda: host([resource("file:a")]))
    passed: list[tuple[float, PassResult]] = field(default_factory=list)
    orders: str = ""
    takes: float = 0.0  # seconds that pass between two looks at the clock, as they do on a real machine

    def __post_init__(self) -> None:
        self.specs = {name: self._spec(name) for name in self.worlds}
        places: dict[str, Any] = {}
        for name, spec in self.specs.items():
            place = places.setdefault(spec.environment, SimpleNamespace(hosts={}, revisions={}))
            place.hosts[name], place.revisions[name] = spec, "r1"
        self.places = places
        dice = random.Random(7)
        fake = _Fake(places)
        rules = Rules(
            self.passes,
            self.connections,
            lambda e: self.period,
            lambda spec: self.orders,
            lambda spec: bool(self.orders),
            lambda e: self.orders,
        )
        self.journal = Memo()

        ticks = itertools.count()

        def moment() -> Moment:
            now = asyncio.get_running_loop().time()
            now = now * (1 - 10 * self.takes) + next(ticks) * self.takes  # timers come a little early
            return Moment(now, now, dice.random())

        self.events = Events(lambda: 0.0, lambda said: said)
        self.loop = Loop(
            cast(Environments, fake), parts(self.worlds, self.journal), rules, self.events, Quiet(), moment
        )
        self.loop.heard = lambda spec, result: self.passed.append((moment().now, result))

    def _spec(self, name: str) -> HostSpec:
        environment = name.partition("-")[0]
        return replace(self.spec, name=name, environment=environment, target=Target(name, environment))

    async def run(self, seconds: float, meanwhile: Callable[[], Awaitable[None]] | None = None) -> None:
        """From the first look on."""
        self.loop.begin((spec.environment, name) for name, spec in self.specs.items())
        running = asyncio.create_task(self.loop.run())
        try:
            if meanwhile is not None:
                await meanwhile()
            await asyncio.sleep(seconds)
        finally:
            running.cancel()
            await self.loop.aclose(0.1)
            await asyncio.gather(running, return_exceptions=True)

    def drop(self, name: str) -> None:
        """The host leaves Git."""
        spec = self.specs[name]
        self.places[spec.environment].hosts.pop(name)
        self.loop.forget([(spec.environment, name)])

    def times(self, name: str) -> list[float]:
        return [at for at, result in self.passed if result.host == name]
