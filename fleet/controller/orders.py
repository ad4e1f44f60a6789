"""What people ordered: freezes and pauses, and whom they concern. In memory as on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from fleet.errors import HistoryError, UsageError
from fleet.history.control import Control
from fleet.history.records import Ordered
from fleet.model.host import HostSpec

ROLE = "role:"


@dataclass(slots=True)
class Orders:
    """Those that hold, by scope: "" everything, ENVIRONMENT, ENVIRONMENT/HOST, role:NAME."""

    control: Control
    held: dict[str, Ordered] = field(default_factory=dict)
    _kept: set[str] = field(default_factory=set)  # those on disk
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def read(self) -> None:
        self.held = {one.scope: one for one in await self.control.orders()}
        self._kept = set(self.held)

    def hold(self, one: Ordered, known: Collection[HostSpec]) -> Ordered:
        """At once, in memory: what is ordered to stop does not wait for the disk. The one that held already stays.
        Raises UsageError: there is no such scope."""
        check(one.scope, known)
        return self.held.setdefault(one.scope, one)

    async def keep(self, one: Ordered) -> None:
        """On disk when it returns, whoever said it first. Raises HistoryError: it holds, but not in the next life;
        said once more, it is tried once more."""
        async with self._turn:
            held = self.held.setdefault(one.scope, one)  # lifted while we waited: said later than that
            if one.scope in self._kept:
                return
            try:
                await self.control.order(held)
            except HistoryError as error:
                raise HistoryError(f"{in_words(held)}, but not over a restart of the controller: {error}") from error
            self._kept.add(one.scope)

    async def lift(self, scope: str, who: str) -> bool:
        async with self._turn:
            if scope not in self.held:
                return False
            await self.control.lift(scope, who)
            del self.held[scope]
            self._kept.discard(scope)
            return True

    def over(self, spec: HostSpec) -> Ordered | None:
        """The widest that concerns this host."""
        return over(self.held, spec)

    def over_environment(self, name: str) -> Ordered | None:
        return self.held.get("") or self.held.get(name)


def over(held: Mapping[str, Ordered], spec: HostSpec) -> Ordered | None:
    """Of orders by scope the widest that concerns this host."""
    scopes = ("", spec.environment, *(ROLE + role for role in spec.roles), spec.label)
    return next((held[one] for one in scopes if one in held), None)


def in_words(order: Ordered) -> str:
    """In words, for people."""
    what = "frozen" if not order.scope else f"{order.scope} is paused"
    return f"{what} by {order.who}: {order.reason}" if order.reason else f"{what} by {order.who}"


def check(scope: str, known: Collection[HostSpec]) -> None:
    """Raises UsageError: nothing is called so."""
    names = {"", *(one.environment for one in known), *(one.label for one in known)}
    roles = {ROLE + role for one in known for role in one.roles}
    if scope not in names | roles:
        raise UsageError(f"nothing is called {scope!r}: an environment, ENVIRONMENT/HOST or role:NAME")
