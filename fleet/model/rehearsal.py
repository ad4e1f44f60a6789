"""What a profile promises, as data: a resource, what a server says of it, and what should then be sent. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fleet.errors import Origin
from fleet.model.api import Answered
from fleet.model.host import Resource
from fleet.model.step import Request

# How a case may end without a request.
ENDS = ("in sync", "waiting", "unreadable", "refused")


@dataclass(frozen=True, slots=True)
class Sent:
    """One request that changes something. body: the JSON value, or the text of a body that is none; None without."""

    method: str
    path: str
    body: Any = None


@dataclass(frozen=True, slots=True)
class Case:
    """answer: to every read, unless `elsewhere` has its path. expect: one of ENDS, or the requests in their order."""

    name: str
    origin: Origin
    resource: Resource
    answer: Answered
    elsewhere: Mapping[str, Answered] = field(default_factory=dict)
    expect: str | tuple[Sent, ...] = "in sync"

    def answer_to(self, request: Request) -> Answered:
        return self.elsewhere.get(request.path, self.answer)


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What became of a case: how it ended, with the reason where it sent nothing, or what it sent."""

    end: str | tuple[Sent, ...]
    reason: str = ""
