"""What passes may do now: orders of people, windows, and how often hosts are looked at."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from fleet.controller.environments import Environments
from fleet.controller.loop import Rules
from fleet.controller.orders import Orders, in_words
from fleet.controller.windows import Opening, open_until
from fleet.model.host import HostSpec
from fleet.model.rollout import SWEEP
from fleet.settings import Settings


def rules(settings: Settings, environments: Environments, orders: Orders, wall: Callable[[], float]) -> Rules:
    """wall: Unix seconds."""

    def window(environment: str) -> str:
        place = environments.places.get(environment)
        found = Opening(True) if place is None else open_until(place.spec.windows, datetime.fromtimestamp(wall(), UTC))
        if found.open:
            return ""
        when = "never" if found.until is None else f"until {found.until.isoformat(timespec='minutes')}"
        return f"outside of its windows, {when}"

    def may_write(spec: HostSpec) -> str:
        order = orders.over(spec)
        return in_words(order) if order is not None else window(spec.environment)

    def as_a_whole(environment: str) -> str:
        order = orders.over_environment(environment)
        return in_words(order) if order is not None else window(environment)

    def period(environment: str) -> float:
        place = environments.places.get(environment)
        return SWEEP if place is None else place.spec.sweep

    def ordered(spec: HostSpec) -> bool:
        return orders.over(spec) is not None

    return Rules(settings.passes, settings.connections, period, may_write, ordered, as_a_whole)
