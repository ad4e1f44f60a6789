"""`rollout`, `windows` and `sweep` of environment.yaml → values. They are no templates: what decides when changes begin
can be read where it stands."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from fleet.desired.wrong import Wrong
from fleet.errors import Problem
from fleet.model.rollout import Amount, RolloutPolicy, Window
from fleet.model.value import Node, children, member

_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
DURATION = "seconds, or text such as 30s, 5m, 4h or 1d"
AMOUNT = "a number of hosts, or a share such as 10%"


def rollout(settings: Node, problems: list[Problem]) -> RolloutPolicy:
    """What is wrong is told, and the default stands in its place."""
    said = children(member(settings, "rollout"))
    found: dict[str, Any] = {}
    for name in ("max_failed", "max_unreachable"):
        if name in said:
            found |= _kept(name, partial(_amount, said[name]), problems)
    for name in ("pause", "stable_for"):
        if name in said:
            found |= _kept(name, partial(duration, said[name]), problems)
    if "waves" in said:
        found |= _kept("waves", partial(_waves, said["waves"]), problems)
    if "order" in said:
        found["order"] = str(said["order"].value)
    return RolloutPolicy(**found)


def windows(settings: Node, problems: list[Problem]) -> tuple[Window, ...]:
    found: list[Window] = []
    for name, node in children(member(settings, "windows")).items():
        found += _kept("one", partial(_window, name, node), problems).values()
    return tuple(found)


def sweep(settings: Node, problems: list[Problem]) -> float | None:
    """Seconds between two looks at a host; None: nobody says."""
    node = member(settings, "sweep")
    if node is None:
        return None

    def checked() -> float:
        seconds = duration(node)
        if not 1 <= seconds <= 86_400:
            raise Wrong(Problem(node.origin, "`sweep` is not right", "from 1s to 1d"))
        return seconds

    found: float | None = _kept("one", checked, problems).get("one")
    return found


def duration(node: Node) -> float:
    """Seconds. Raises Wrong."""
    value = node.value
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return float(value)
    if isinstance(value, str) and (match := re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", value)):
        return float(match[1]) * _UNITS.get(match[2], 1)
    raise Wrong(Problem(node.origin, f"`{value}` is no duration", DURATION))


def _amount(node: Node) -> Amount:
    value = node.value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Amount(value)
    if isinstance(value, str) and (match := re.fullmatch(r"(\d+(?:\.\d+)?)(%?)", value)):
        number = float(match[1])
        if (match[2] and number <= 100) or (not match[2] and number.is_integer()):
            return Amount(number, bool(match[2]))
    raise Wrong(Problem(node.origin, f"`{value}` is no amount", AMOUNT))


def _waves(node: Node) -> tuple[Amount, ...]:
    """Those of one sort grow."""
    items = node.value if isinstance(node.value, list) else []
    found = tuple(_amount(one) for one in items)
    last: dict[bool, float] = {}
    for one, where in zip(found, items, strict=True):
        if one.number <= last.get(one.percent, 0.0):
            raise Wrong(Problem(where.origin, f"wave `{one}` is no larger than the one before", "waves that grow"))
        last[one.percent] = one.number
    if not found:
        raise Wrong(Problem(node.origin, "`waves` is empty", "such as [1, 10%, 100%]"))
    return found


def _window(name: str, node: Node) -> Window:
    said = children(node)
    for key in ("cron", "duration"):
        if key not in said:
            raise Wrong(Problem(node.key or node.origin, f"window `{name}` has no `{key}`", "cron and duration"))
    cron, seconds = str(said["cron"].value), duration(said["duration"])
    zone = str(said["timezone"].value) if "timezone" in said else "UTC"
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Wrong(
            Problem(said["timezone"].origin, f"there is no time zone `{zone}`", "Europe/Berlin, UTC")
        ) from error
    try:
        CronSim(cron, _ANY_TIME)
    except CronSimError as error:
        raise Wrong(Problem(said["cron"].origin, f"`{cron}` is no cron expression: {error}", "0 22 * * 1-5")) from error
    if not 60 <= seconds <= 7 * 86_400:
        raise Wrong(Problem(said["duration"].origin, f"window `{name}` is not right", "a duration from 1m to 7d"))
    return Window(name, cron, seconds, zone)


def _kept(name: str, parse: Callable[[], Any], problems: list[Problem]) -> dict[str, Any]:
    try:
        return {name: parse()}
    except Wrong as wrong:
        problems.append(wrong.problem)
        return {}
