"""What happens, as log lines: an event in, a level, a sentence and fields out. Pure, but for `write`.

The record goes to the logger "fleet"; who formats it, and where it goes, is decided by whoever started the process.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from fleet.controller.view import Event

_LOG = logging.getLogger("fleet")
_PASS = {
    "failed": logging.ERROR,
    "conflict": logging.ERROR,
    "unknown": logging.WARNING,
    "unreachable": logging.WARNING,
    "drifted": logging.WARNING,
}
# Fields that have a place of their own in a line, by the name that events have for them.
_NAMED = {"commit": "revision"}

Said = Mapping[str, Any]


def write(event: Event, quiet: bool = False) -> None:
    """quiet: nothing that anybody waits for; only those who want every detail hear of it."""
    level = logging.DEBUG if quiet else level_of(event)
    if _LOG.isEnabledFor(level):
        _LOG.log(level, "%s", sentence(event), extra={"event": event.type, "fields": fields(event)})


def detailed() -> bool:
    return _LOG.isEnabledFor(logging.DEBUG)


def level_of(event: Event) -> int:
    said = event.said
    match event.type:
        case "pass":
            return _PASS.get(str(said.get("verdict")), logging.INFO)
        case "refused" | "parked":
            return logging.ERROR
        case "record":
            return logging.ERROR if said.get("error") else logging.INFO
        case "rollout":
            return logging.ERROR if said.get("state") == "stopped" else logging.INFO
        case "git" | "settings":
            return logging.WARNING if said.get("error") else logging.INFO
        case "breaker":
            return logging.WARNING if said.get("state") == "open" else logging.INFO
        case "fought" | "exposed":
            return logging.WARNING
        case _:
            return logging.INFO


def fields(event: Event) -> dict[str, Any]:
    """For programs: where it happened, and what is said of it, without what is empty."""
    found: dict[str, Any] = {"environment": event.environment, "host": event.host}
    found |= {_NAMED.get(name, name): value for name, value in event.said.items()}
    return {name: value for name, value in found.items() if value not in ("", None)}


def sentence(event: Event) -> str:
    """For people, in one line; what others say in it is made safe by whoever prints it."""
    where = "/".join(filter(None, (event.environment, event.host)))
    make = _SENTENCES.get(event.type, _other)
    return f"{where}: {make(event.said)}" if where else make(event.said)


def _pass(said: Said) -> str:
    verdict, was = str(said.get("verdict", "")), said.get("was", "")
    words = [f"{verdict} again" if was == "unreachable" and verdict == "in sync" else verdict]
    if was == "unreachable":
        words.append("it can be reached again")
    words += [f"{said[name]} {name}" for name in ("changed", "failed") if said.get(name)]
    if said.get("drift"):
        words.append(f"{said['drift']} not as Git says")
    return ", ".join(words) + _why(said)


def _refused(said: Said) -> str:
    why = f": {said['error']}" if said.get("error") else f", it has {_count(said, 'problems')}"
    return f"{_short(said)} is refused{why}"


def _rollout(said: Said) -> str:
    match said.get("state"):
        case "stopped":
            return f"the rollout stopped: {said.get('reason')}"
        case "done":
            return f"the rollout of {_short(said)} is done"
        case _:
            return f"wave {said.get('wave')} of the rollout: {_count(said, 'hosts')} may begin"


def _parked(said: Said) -> str:
    count = said.get("failures")
    return ("left alone for an hour" + (f" after {count} failures in a row" if count else "")) + _why(said)


def _breaker(said: Said) -> str:
    if said.get("state") == "open":
        return f"{said.get('target')} does not answer: left alone, but for single tries"
    return f"{said.get('target')} answers again"


def _git(said: Said) -> str:
    return f"Git does not answer: {said['error']}" if said.get("error") else "Git answers again"


def _record(said: Said) -> str:
    if said.get("error"):
        return f"nothing is changed while the record cannot be written: {said['error']}"
    return "the record can be written again"


def _settings(said: Said) -> str:
    if said.get("error"):
        return f"the settings stay as they were: {said['error']}"
    if not said.get("name"):
        return "settings were read again: nothing is new"
    when = ": needs a restart" if said.get("restart") else ""
    return f"setting {said['name']}: {said.get('was')} -> {said.get('now')}{when}"


def _order(said: Said) -> str:
    what = " ".join(str(said[name]) for name in ("what", "scope", "commit") if said.get(name))
    hosts = f", {_count(said, 'hosts')}" if "hosts" in said else ""
    reason = f": {said['reason']}" if said.get("reason") else ""
    return f"{said.get('who')} asks: {what}{hosts}{reason}"


def _other(said: Said) -> str:
    return ", ".join(f"{name} {value}" for name, value in said.items())


def _count(said: Said, name: str, things: str = "") -> str:
    number, things = said.get(name), things or name
    return f"{number} {things.removesuffix('s') if number == 1 else things}"


def _short(said: Said) -> str:
    return f"commit {str(said.get('commit', ''))[:12]}"


def _why(said: Said) -> str:
    return f": {said['error']}" if said.get("error") else ""


_SENTENCES: Mapping[str, Callable[[Said], str]] = {
    "start": lambda said: f"fleet {said.get('version')} starts, and follows {said.get('follows')}",
    "ready": lambda said: f"ready: {_count(said, 'hosts')} in {_count(said, 'environments')}",
    "stop": lambda said: "fleet ends: what is under way is finished, for a while; a second signal ends it at once",
    "pass": _pass,
    "revision": lambda said: f"{_short(said)} is taken, it changes {_count(said, 'changed', 'hosts')}",
    "refused": _refused,
    "rollout": _rollout,
    "parked": _parked,
    "fought": lambda said: f"{said.get('resource')} was changed outside {said.get('times')} times; left for now",
    "breaker": _breaker,
    "git": _git,
    "record": _record,
    "settings": _settings,
    "exposed": lambda said: f"{said.get('setting')}: everybody here can read it: chmod o= {said.get('path')}",
    "order": _order,
}
