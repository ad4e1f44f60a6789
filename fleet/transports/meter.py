"""Counts what a transport carries, per environment. Only grows, for as long as the transport lives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fleet.model.traffic import Traffic


@dataclass(slots=True)
class Count:
    """Of one environment. See model/traffic.py."""

    sent: int = 0
    received: int = 0
    retries: int = 0


@dataclass(slots=True)
class Meter:
    """Environment → what was counted."""

    _counts: dict[str, Count] = field(default_factory=dict)

    def of(self, environment: str) -> Count:
        return self._counts.setdefault(environment, Count())

    @property
    def traffic(self) -> Mapping[str, Traffic]:
        """As it stands now."""
        return {name: Traffic(one.sent, one.received, one.retries) for name, one in self._counts.items()}
