"""What passes may do now: orders of people, windows, and how often hosts are looked at."""

from __future__ import annotations

from collections.abc import Callable

from fleet.controller.environments import Environments
from fleet.controller.loop import Rules
from fleet.controller.orders import Orders, in_words
from fleet.controller.windows import closed
from fleet.model.host import HostSpec
from fleet.settings import Settings


def rules(settings: Settings, environments: Environments, orders: Orders, wall: Callable[[], float]) -> Rules:
    """wall: Unix seconds."""

    def window(environment: str) -> str:
        place = environments.places.get(environment)
        return "" if place is None else closed(place.spec.windows, wall())

    def may_write(spec: HostSpec) -> str:
        order = orders.over(spec)
        return in_words(order) if order is not None else window(spec.environment)

    def as_a_whole(environment: str) -> str:
        order = orders.over_environment(environment)
        return in_words(order) if order is not None else window(environment)

    def period(environment: str) -> float:
        place = environments.places.get(environment)
        own = None if place is None else place.spec.sweep
        return settings.sweep if own is None else own

    return Rules(settings.passes, period, may_write, as_a_whole)
