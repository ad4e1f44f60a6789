"""The vocabulary of notifications: what is the case now, what a destination was told, and what it is told next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

# drift: found and not corrected, or corrected again and again. failure: a host's pass failed, or the record cannot be
# written. unreachable: a host, for long. refused: a commit, or a rewritten history. stopped: a rollout. git: it is
# away for long. recovery: one of these ended. finished: a rollout did.
EventName = Literal["drift", "failure", "unreachable", "refused", "stopped", "git", "recovery", "finished"]
EVENTS: tuple[EventName, ...] = (
    "drift", "failure", "unreachable", "refused", "stopped", "git", "recovery", "finished",
)  # fmt: skip
USUAL = frozenset(EVENTS) - {"finished"}


class Key(NamedTuple):
    """Which problem. environment, host: "" where it is of none."""

    event: EventName
    environment: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is the case. text: one harmless line. mark: another one means that it is another problem now.
    patience: seconds that it has to last before anybody is told."""

    text: str
    mark: str = ""
    patience: float = 0.0


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that is the case at one moment. unknown: of these nobody can say now: what was the case may still be.
    hosts: all that are followed."""

    there: Mapping[Key, Condition] = field(default_factory=dict)
    unknown: frozenset[Key] = frozenset()
    hosts: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Told:
    """What a destination knows of one problem. since: when it began; at: when that was told last; Unix seconds."""

    mark: str
    text: str
    since: float
    at: float


@dataclass(frozen=True, slots=True)
class News:
    """One thing to say. what: begun | changed | lasts | ended | gone (its host is followed no more) | happened.
    since: Unix seconds."""

    what: Literal["begun", "changed", "lasts", "ended", "gone", "happened"]
    key: Key
    text: str
    mark: str = ""
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Batch:
    """What goes into one message. missed: problems that came and went before they could be told; held: news that had
    to wait for the rate limit."""

    news: tuple[News, ...]
    missed: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """title: one line. body: lines. Both without anything that a terminal, a page or a chat would act on."""

    title: str
    body: str
