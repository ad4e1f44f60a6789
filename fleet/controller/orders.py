"""What people ordered: freezes and pauses, and whom they concern. In memory as on disk."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from fleet.errors import UsageError
from fleet.history.control import Control
from fleet.history.records import Ordered
from fleet.model.host import HostSpec

ROLE = "role:"


@dataclass(slots=True)
class Orders:
    """Those that hold, by scope: "" everything, ENVIRONMENT, ENVIRONMENT/HOST, role:NAME."""

    control: Control
    held: dict[str, Ordered] = field(default_factory=dict)

    async def read(self) -> None:
        self.held = {one.scope: one for one in await self.control.orders()}

    async def put(self, one: Ordered, known: Collection[HostSpec]) -> Ordered:
        """On disk when it returns. Raises UsageError: there is no such scope."""
        check(one.scope, known)
        if one.scope in self.held:
            return self.held[one.scope]
        self.held[one.scope] = one  # at once: what is ordered to stop does not wait for the disk
        await self.control.order(one)
        return one

    async def lift(self, scope: str, who: str) -> bool:
        if scope not in self.held:
            return False
        await self.control.lift(scope, who)
        del self.held[scope]
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
