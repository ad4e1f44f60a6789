"""What a controller says of itself → what is the case. Pure.

What nobody can know now is said to be unknown, never over: a host that failed and then is out of reach has not
recovered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from fleet.controller.notices.values import Condition, EventName, Key, Seen
from fleet.controller.notices.words import like, safe
from fleet.controller.view import ControllerView, HostView

_GOOD = ("in sync", "changed")
_BAD = ("failed", "conflict")
_AWAY = ("unreachable", "unknown")
_OF_HOSTS: tuple[EventName, ...] = ("drift", "failure", "unreachable")
Say = Callable[[str], str]
_NAMED = 3  # resources of a host's drift


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a host may be unreachable, and Git not answer, before that is news."""

    unreachable: float = 900.0
    git: float = 600.0


def conditions(view: ControllerView, hosts: Iterable[HostView], patience: Patience, say: Say) -> Seen:
    """hosts: all of them. say: makes one harmless line of others' words."""
    there: dict[Key, Condition] = {}
    unknown: set[Key] = set()
    followed = set()
    for host in hosts:
        followed.add((host.environment, host.name))
        found = dict(_of_host(host, patience, say))
        there |= {Key(event, host.environment, host.name): one for event, one in found.items()}
        unknown |= {Key(one, host.environment, host.name) for one in _OF_HOSTS if one not in found} - _known(host)
    there |= dict(_of_environments(view, say)) | dict(_of_git(view, patience, say))
    return Seen(there, frozenset(unknown), frozenset(followed))


def _of_host(host: HostView, patience: Patience, say: Say) -> Iterator[tuple[EventName, Condition]]:
    external = sorted(name for name, cause in host.drift.items() if cause == "external")
    if host.fought:
        names = _names(host.fought)
        yield "drift", Condition(f"changed back again and again, so only reported for now: {names}", "fought " + names)
    elif external and host.verdict in ("drifted", "pending"):
        yield "drift", Condition(f"changed by somebody else: {_names(external)}", " ".join(external))
    if host.verdict in _BAD:
        text = say(host.error) or f"not as Git says: {_names(sorted(host.drift)) or 'a resource'}"
        left = "; it is left alone for an hour" if host.parked else ""
        yield "failure", Condition(text + left, f"{host.verdict} {host.parked} {like(text)}")
    elif host.verdict in _AWAY:
        text = say(host.error) or "the connection was lost"
        yield "unreachable", Condition(text, "", patience.unreachable)


def _known(host: HostView) -> set[Key]:
    """Of which the absence is a fact."""
    if host.verdict in _GOOD or host.verdict == "drifted":
        found: tuple[EventName, ...] = _OF_HOSTS
    elif host.verdict in _BAD or host.verdict == "waiting":
        found = ("unreachable",)
    elif host.verdict == "pending":  # looked at, but nobody may change it: what failed was not tried again
        found = ("unreachable", "drift")
    else:
        found = ()
    return {Key(one, host.environment, host.name) for one in found}


def _of_environments(view: ControllerView, say: Say) -> Iterator[tuple[Key, Condition]]:
    for one in view.environments:
        if one.problems:
            more = f" (and {len(one.problems) - 1} more)" if len(one.problems) > 1 else ""
            text = f"commit {say(view.head)[:12]} does not compile: {say(one.problems[0])}{more}"
            yield Key("refused", one.name), Condition(text, view.head)
        if one.rollout is not None and one.rollout.state == "stopped":
            revision = say(one.rollout.revision)[:12]
            text = f"the rollout of {revision} stopped: {say(one.rollout.reason)}"
            yield Key("stopped", one.name), Condition(text, one.rollout.revision)


def _of_git(view: ControllerView, patience: Patience, say: Say) -> Iterator[tuple[Key, Condition]]:
    """Of all environments, and of the controller itself."""
    if view.record:
        yield Key("failure"), Condition(say(view.record), like(view.record))
    if view.trouble in ("refused", "rewritten"):
        yield Key("refused"), Condition(say(view.git), f"{view.trouble} {view.head}")
    elif view.trouble == "git":
        yield Key("git"), Condition(f"Git does not answer: {say(view.git)}", "", patience.git)


def _names(resources: Iterable[str]) -> str:
    names = [*resources]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(safe(one, 80) for one in names[:_NAMED]) + more
