"""Views of a controller with one environment, as tests of notifications need them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fleet.controller.events import Events
from fleet.controller.view import ControllerView, EnvironmentView, Event, HostView, RolloutView, Trouble

HEAD, GOOD = "a" * 40, "b" * 40


def host(name: str = "h1", verdict: str = "in sync", **more: Any) -> HostView:
    return HostView("dev", name, verdict, **more)


def rollout(state: str, reason: str = "") -> RolloutView:
    return RolloutView(GOOD, state, 1, 2, 2, 0, 1, 0, reason)


def environment(**more: Any) -> EnvironmentView:
    return EnvironmentView(**{"name": "dev", "revision": GOOD, "since": 1.0, "hosts": 2, "verdicts": {}, **more})


def view(*environments: EnvironmentView, git: str = "", trouble: Trouble = "", ready: bool = True) -> ControllerView:
    return ControllerView("1", 1.0, ready, HEAD, 1.0, git, 0, 0, None, (), environments, trouble=trouble)


@dataclass
class Watched:
    """The part of a Controller that is asked; the rest nobody may ask here."""

    seen: list[HostView] = field(default_factory=list)
    said: ControllerView = field(default_factory=view)
    happened: Events = field(default_factory=lambda: Events(lambda: 1.0, lambda said: said))

    def view(self) -> ControllerView:
        return self.said

    def hosts(self) -> Sequence[HostView]:
        return self.seen

    def events(self, after: int = 0) -> AsyncIterator[Event]:
        return self.happened.after(after)

    def all(self, verdict: str, names: Iterable[str], **more: Any) -> None:
        self.seen = [host(name, verdict, **more) for name in names]
