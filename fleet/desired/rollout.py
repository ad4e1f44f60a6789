"""`rollout`, `windows` and `sweep` of the merged environment.yaml → values of `model.rollout`. Problems are collected;
what is not right counts as not said. No templates here: none of it is a matter of single hosts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from fleet.desired.check import near
from fleet.desired.yaml import excerpt
from fleet.errors import Origin, Problem
from fleet.model.duration import seconds, spelt
from fleet.model.rollout import SWEEP, RolloutPolicy, Share, Window
from fleet.model.value import Node, children, member

_SHARE = re.compile(r"(?P<number>[0-9]{1,6})(?P<percent>%?)\Z")
_A_DAY = datetime(2024, 1, 1, tzinfo=UTC)
_NO_ZONES = (
    "localtime",
    "posixrules",
    "right",
    "posix",
    "Factory",
)  # another time on each machine, or no people's time
_CRON = 'minute hour day month weekday, such as "0 22 * * 1-5"'


def rollout(settings: Node, problems: list[Problem]) -> RolloutPolicy:
    found: dict[str, Any] = {}
    for key, node in children(member(settings, "rollout")).items():
        try:
            found[key] = _waves(node, problems) if key == "waves" else _READERS[key](node.value)
        except ValueError as error:
            problems.append(Problem(node.origin, f"`{key}` of the rollout is not right", str(error)))
    return RolloutPolicy(**found)


def windows(settings: Node, problems: list[Problem]) -> tuple[Window, ...]:
    """By name."""
    found = [_window(name, node, problems) for name, node in sorted(children(member(settings, "windows")).items())]
    return tuple(one for one in found if one is not None)


def sweep(settings: Node, problems: list[Problem]) -> float:
    node = member(settings, "sweep")
    if node is None:
        return SWEEP
    try:
        return _at_least(1, node.value)
    except ValueError as error:
        problems.append(Problem(node.origin, "`sweep` is not right", str(error)))
        return SWEEP


def _waves(node: Node, problems: list[Problem]) -> tuple[Share, ...]:
    found: list[Share] = []
    if not isinstance(node.value, list):
        raise ValueError("a list, such as [1, 10%, 100%]")
    for item in node.value:
        try:
            share = _share(item.value)
            if not share.number:
                raise ValueError("at least one host in each wave")
            if any(share.number < one.number for one in found if one.percent == share.percent):
                raise ValueError("no wave smaller than the one before: each says how many hosts there are by then")
        except ValueError as error:
            problems.append(Problem(item.origin, f"`{excerpt(str(item.value))}` is no wave here", str(error)))
            return RolloutPolicy().waves
        found.append(share)
    if not found or found[-1] != Share(100, percent=True):
        raise ValueError("`100%` as the last wave, so that every host has its turn")
    return tuple(found)


def _share(value: object) -> Share:
    said = _SHARE.match(str(value)) if isinstance(value, int | str) and not isinstance(value, bool) else None
    if said is None:
        raise ValueError("a number of hosts, or a share of them in whole percent: 2 | 5%")
    if said["percent"] and int(said["number"]) > 100:
        raise ValueError("from 0% to 100%")
    return Share(int(said["number"]), percent=bool(said["percent"]))


def _label(value: object) -> str:
    if not isinstance(value, str) or "{{" in value or "{%" in value:
        raise ValueError('the name of a label; "" for the order of names')
    return value


def _yes_or_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


_READERS: Mapping[str, Any] = {
    "max_failed": _share, "max_unreachable": _share, "pause": seconds, "stable_for": seconds, "order": _label,
    "approval": _yes_or_no,
}  # fmt: skip


def _window(name: str, node: Node, problems: list[Problem]) -> Window | None:
    """None where something is not right."""
    given, known = children(node), len(problems)
    for key, example in (("cron", _CRON), ("duration", "duration: 4h")):
        if key not in given:
            problems.append(Problem(node.key or node.origin, f"the window `{excerpt(name)}` has no `{key}`", example))
    found: dict[str, Any] = {}
    for key, child in given.items():
        try:
            found[key] = _IN_WINDOW[key](child.value)
        except _NoZone as error:
            problems.append(error.problem(child.origin))
        except ValueError as error:
            problems.append(Problem(child.origin, f"`{key}` of the window `{excerpt(name)}` is not right", str(error)))
    return Window(name, **found) if len(problems) == known else None


class _NoZone(ValueError):
    """A time zone that this machine does not know."""

    def problem(self, origin: Origin) -> Problem:
        name = str(self)
        hint = near(name, sorted(available_timezones()))
        return Problem(origin, f"there is no time zone `{excerpt(name)}`", "a name such as Europe/Berlin or UTC", hint)


def _cron(value: object) -> str:
    if not isinstance(value, str) or len(value.split()) != 5:
        raise ValueError(f"five fields: {_CRON}")
    try:
        # Against a fixed day: whether a line is right must not depend on when it is asked.
        opens = next(CronSim(value, _A_DAY), None)
    except CronSimError as error:
        raise ValueError(f"{_CRON}; its {str(error).removeprefix('Bad ')} is not right") from error
    if opens is None:
        raise ValueError(f"a time that comes; {_CRON}")
    return " ".join(value.split())


def _zone(value: object) -> str:
    try:
        if str(value).partition("/")[0] in _NO_ZONES:
            raise ValueError(value)
        return ZoneInfo(str(value)).key
    except (LookupError, ValueError, OSError) as error:  # a folder of zones is an OSError
        raise _NoZone(str(value)) from error


def _at_least(least: float, value: object) -> float:
    found = seconds(value)
    if found < least:
        raise ValueError(f"at least {spelt(least)}")
    return found


_IN_WINDOW: Mapping[str, Any] = {"cron": _cron, "duration": partial(_at_least, 60), "timezone": _zone}
