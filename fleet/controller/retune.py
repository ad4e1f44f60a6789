"""Settings that change while the service runs: which may, what is new, and how it takes effect.

Hosts, secrets, sweep periods and rollouts stand in the repository and follow it; these are those of the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from fleet.controller.loop import Loop, Rules
from fleet.settings import Settings

LIVE = ("poll", "retention", "passes", "connections", "log_level", "tokens_file", "hook_secret_file")


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting. restart: what is new holds after a restart only."""

    name: str
    was: str
    now: str
    restart: bool


class Tuned(Protocol):
    """As much of a Service as this is about."""

    loop: Loop

    def retime(self, poll: float, retention: float) -> None: ...


def differences(old: Settings, new: Settings) -> list[Difference]:
    before, after = old.model_dump(), new.model_dump()
    return [
        Difference(name, _said(before[name]), _said(after[name]), name not in LIVE)
        for name in before
        if before[name] != after[name]
    ]


def effective(old: Settings, new: Settings) -> Settings:
    """Of the new ones what may change, else the old ones: so that the next reading tells again what waits."""
    live: Mapping[str, Any] = {name: getattr(new, name) for name in LIVE}
    return old.model_copy(update=live)


def retune(service: Tuned, settings: Settings) -> None:
    """From now on. Passes under way go on, and connections too many are closed as passes end."""
    rules: Rules = replace(service.loop.rules, passes=settings.passes, connections=settings.connections)
    service.loop.rules = rules
    service.retime(settings.poll, settings.retention)
    service.loop.wake()


def _said(value: object) -> str:
    return "none" if value is None else str(value)
