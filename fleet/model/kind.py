"""The contract of a file in kinds/: a schema and pure functions. A kind never compares and never decides *whether*."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal

from fleet.model.change import Change, Observed
from fleet.model.host import Resource
from fleet.model.step import Outcome, Request, Script, Step
from fleet.model.value import State


class Stage(IntEnum):
    """Where a kind usually comes on a host; breaks ties in the order, and puts what is later after packages."""

    GROUP = 10
    USER = 20
    DIRECTORY = 30
    PACKAGE = 40
    FILE = 50
    SYSTEM = 60  # sysctl, cron
    SERVICE = 70
    COMMAND = 80


@dataclass(frozen=True, slots=True)
class Probe:
    """How to look at all resources of a kind at once. Probes of the same `script.text` are merged into one task over
    the union of their args (each kind's args in order, repeated ones once), and every reader gets the whole output
    and must find its own lines by name. read: (outcome) → resource id → Observed, for every resource given.

    requests: of a kind that is over an API, instead of the script; `model/answers.py` reads their answers in order.
    vouch: (outcome) → resource id → absolute paths whose identity proves its observation, where only the host can say
    which (see Kind.witness).
    """

    script: Script
    read: Callable[[Outcome], Mapping[str, Observed]]
    requests: tuple[Request, ...] = ()
    vouch: Callable[[Outcome], Mapping[str, tuple[str, ...]]] = lambda outcome: {}


@dataclass(frozen=True, slots=True)
class Removal:
    """How what fleet made is removed once nobody names it any more.

    place(resource): which thing it is, whatever it is called. memento(resource): what must be remembered of it, plain
    values; None when that is not enough. spec(memento, api): the Spec of its absence. rough(place): the same for all
    ways to ask for one thing; what Git names roughly is not removed.
    """

    place: Callable[[Resource], str]
    memento: Callable[[Resource], Mapping[str, Any] | None]
    spec: Callable[[Mapping[str, Any], str], Any]
    rough: Callable[[str], str] = lambda place: place


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of thing. Lives in kinds/NAME.py as `KIND`.

    Spec: frozen pydantic model of the attributes (extra="forbid", every field with a one-line description). What every
        resource may have (needs, reload_on, restart_on, only_on, drift) is the compiler's and never reaches the Spec.
        A Spec with a `template` or `source` attribute gets the file of that name, found through the layers, as
        `content` (rendered, or byte for byte).
    check(name): refuses an impossible name with ValueError.
    state(name, spec, content): the desired State, or None for `ensure: absent`.
    observe(resources): one Probe for all of them; their `desired` may be used to ask for less.
    fix(changes): task id (the resource's) → steps. Kinds that act in one transaction (package) return the steps under
        the first change's id and an empty tuple for the rest; the driver gives them all that task's outcome.
    witness(resource): absolute paths whose identity proves that the last observation holds; None: nothing proves it,
        or what its probe vouches for does.
    owns(name, spec): claims such as "path:/etc/motd", "user:alice", "unit:nginx.service": one owner each on a host.
    wants(name, spec): claims that must be right first if anything on the host owns them (automatic edges).
    foreseeable: False when its effects cannot be known beforehand (package, command): look again afterwards.
    complete(resource, claims): the resource with what it must know of the host's others, whose claims these are; None
        while some of them are not known yet.
    idle(spec): what is missing when a resource that watches nothing would never do anything; else "".
    unseen(spec): attributes that can be written and never read back: they are taken for right once they were written
        and while what is declared stays the same.
    expand(name, spec): what the Spec of a profile's kind stands for; everything but `check` gets that. Raises
        ValueError.
    removal: see there; None: it is never removed but by `ensure: absent`.
    over: what it needs: a shell on the host, or an API (the host itself, or the one that `spec.api` names).
    """

    name: str
    doc: str
    Spec: Any
    stage: Stage
    state: Callable[[str, Any, bytes | None], State | None]
    observe: Callable[[Sequence[Resource]], Probe]
    fix: Callable[[Sequence[Change]], Mapping[str, tuple[Step, ...]]]
    witness: Callable[[Resource], tuple[str, ...] | None]
    check: Callable[[str], None]
    owns: Callable[[str, Any], tuple[str, ...]]
    wants: Callable[[str, Any], tuple[str, ...]]
    foreseeable: bool = True
    complete: Callable[[Resource, Iterable[str] | None], Resource] | None = None
    idle: Callable[[Any], str] = lambda spec: ""
    unseen: Callable[[Any], tuple[str, ...]] = lambda spec: ()
    expand: Callable[[str, Any], Any] | None = None
    removal: Removal | None = None
    over: Literal["shell", "api"] = "shell"
