"""`connection` of environment, host entry and overlay → `Target`. Values are checked here, after rendering; those of an
API in `api`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from fleet.desired.api import DEADLINE, api, with_secrets
from fleet.desired.check import near
from fleet.desired.format import API
from fleet.desired.inventory import Entry, Merged
from fleet.desired.merge import merge_all
from fleet.desired.scope import View
from fleet.desired.wrong import Wrong
from fleet.errors import Origin, Problem
from fleet.model import sealed
from fleet.model.host import Target
from fleet.model.value import Node, children, member

_TEXT = ("address", "user", "key_file", "certificate_file")
_COUNTS = ("port", "output_limit", "handshakes", "scripts")
_SECONDS = ("connect_timeout", "timeout", "keepalive")
_FLAGS = ("agent", "ssh_config")
_CHOICES = {"type": ("ssh", "local", "http"), "become": ("none", "sudo", "doas")}


def merged_connection(environment: Merged, entry: Entry, problems: list[Problem]) -> Node | None:
    """Weakest first: the environment's, the entry's with the overlay's over it."""
    return merge_all([member(environment.settings, "connection"), member(entry.node, "connection")], problems)


@dataclass(frozen=True, slots=True)
class Via:
    """The bastion a host names, and where it is named."""

    name: str
    origin: Origin


def target(node: Node | None, address: str, view: View, known_hosts: str) -> tuple[Target, Via | None]:
    """The Target without its bastion, and the bastion, if there is one. Raises Wrong."""
    name, environment = view.host["name"], view.host["environment"]
    given = children(node)
    kind = member(node, "type")
    if kind is not None and view.render(kind) == "http":
        own = with_secrets(api(node, view, "", kind.origin), view)
        host = address or urlsplit(own.url).hostname or ""
        return Target(host=name, environment=environment, type="http", address=host, timeout=DEADLINE, api=own), None
    if "url" in given and given["url"].value is not None:
        raise Wrong(Problem(given["url"].origin, "a `url` for a host that is no API", "`type: http` beside it"))
    values: dict[str, Any] = {"address": address or name}
    via: Via | None = None
    for key, child in given.items():
        if key in API and key not in _SECONDS:
            continue  # said for the APIs among the hosts
        value = view.render(child)
        if value is None:
            continue
        if key == "via":
            via = Via(str(value), child.origin) if value != "" else None
        elif key != "address" or not address:
            values[key] = _checked(key, value, child.origin)
    return Target(host=name, environment=environment, known_hosts=known_hosts, **values), via


def _checked(key: str, value: Any, origin: Origin) -> Any:
    if sealed.holds(value):
        raise Wrong(Problem(origin, "a secret cannot be used to describe a host"))
    if key in _TEXT:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return _text(key, str(value), origin)
        raise _wrong(key, "text", origin)
    if key in _COUNTS:
        limit = 65535 if key == "port" else 1 << 40
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= limit:
            return value
        raise _wrong(key, f"a whole number from 1 to {limit}" if key == "port" else "a whole number from 1", origin)
    if key in _SECONDS:
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e7:
            return float(value)
        raise _wrong(key, "seconds, more than 0", origin)
    if key in _FLAGS:
        if isinstance(value, bool):
            return value
        raise _wrong(key, "true or false", origin)
    if value in _CHOICES.get(key, ()):
        return value
    raise _wrong(key, " | ".join(_CHOICES.get(key, ())), origin)


def _text(key: str, value: str, origin: Origin) -> str:
    if not value or value.startswith("-") or any(ord(c) < 33 or ord(c) == 127 for c in value.replace(" ", "_")):
        raise _wrong(key, "text without control characters that does not begin with a dash", origin)
    if key in ("address", "user") and " " in value:
        raise _wrong(key, "text without spaces", origin)
    return value


def _wrong(key: str, expected: str, origin: Origin) -> Wrong:
    return Wrong(Problem(origin, f"`{key}` of the connection is not right", expected))


def bastions(
    targets: Mapping[str, tuple[Target, Via | None]], known: Collection[str], problems: dict[str, Problem]
) -> dict[str, Target]:
    """Every Target with its bastion in it. `problems` is filled by host; such a host has no Target.

    known: all hosts of the environment; one without a Target has a problem of its own, which is said already.
    """
    done: dict[str, Target] = {}

    def reach(name: str, way: tuple[str, ...]) -> Target | None:
        if name in done or name in problems or name not in targets:
            return done.get(name)
        own, via = targets[name]
        if via is not None:
            wrong = _no_way(via, (*way, name), known)
            if wrong is not None:
                problems[name] = wrong
                return None
            bastion = reach(via.name, (*way, name))
            if bastion is None:
                return None
            own = replace(own, via=bastion)
        done[name] = own
        return own

    for name in sorted(targets):
        reach(name, ())
    return done


def _no_way(via: Via, way: tuple[str, ...], known: Collection[str]) -> Problem | None:
    """Why the last host of the way cannot go on through its bastion. Told where `via` stands."""
    name = via.name
    if name in way:
        names = " → ".join([*way[way.index(name) :], name])
        # Said for all hosts, it is said for the bastion as well: there it is taken out again.
        shared = via.origin.file.endswith("/environment.yaml")
        hint = f"give `{name}` in hosts.yaml `connection: {{via: !remove}}`" if shared else ""
        return Problem(via.origin, f"the bastions go round in a circle: {names}", "a host reached directly", hint)
    if name not in known:
        expected = "a host of the same environment"
        return Problem(via.origin, f"there is no host `{name}` to go through", expected, near(name, known))
    if len(way) > 9:
        return Problem(via.origin, "more than eight bastions in a row")
    return None
