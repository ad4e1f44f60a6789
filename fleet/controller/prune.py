"""What fleet made behind APIs and Git names no more: HostSpecs and the ledger in, HostSpecs that remove it out. Pure.

Proof of ownership is the ledger (model/made.py): only what fleet itself made is in it. An object that is called
something else now, stands on another host, or is only read in another way, is named still. How its API is reached is
what Git says today; when Git says nothing of that API any more, or two tenants share its URL, the object is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fleet.errors import Origin
from fleet.model.api import Api
from fleet.model.change import PassResult
from fleet.model.host import Graph, HostSpec, Resource, Target
from fleet.model.kind import Kind
from fleet.model.made import Made
from fleet.model.step import Status

HostKey = tuple[str, str]  # environment, name
ROLE = "(no longer in Git)"


@dataclass(frozen=True, slots=True)
class Orphans:
    """by_host: what is to be removed, of hosts there are and hosts that are gone. left: of APIs that nobody names, or
    of which nobody can say which is meant."""

    by_host: Mapping[HostKey, Sequence[Made]] = field(default_factory=dict)
    left: Sequence[Made] = ()

    @property
    def count(self) -> int:
        return sum(map(len, self.by_host.values()))

    def of(self, keep: Callable[[HostKey], bool]) -> Orphans:
        """Those of some hosts."""
        return Orphans({key: ones for key, ones in self.by_host.items() if keep(key)}, self.left)

    def names(self) -> list[str]:
        return [f"{'/'.join(key)} {one.resource}" for key, ones in sorted(self.by_host.items()) for one in ones]


def orphans(hosts: Sequence[HostSpec], made: Mapping[HostKey, Sequence[Made]], kinds: Mapping[str, Kind]) -> Orphans:
    """hosts: all of Git's."""
    named = {one for host in hosts for one in _named(host, kinds)}
    called = {(host.environment, host.name, one.id) for host in hosts for one in host.resources}
    tenants: dict[tuple[str, str], set[object]] = {}
    for host in hosts:
        for api in apis(host):
            who = (api.auth, api.headers, api.tls.certificate, api.tls.key)
            tenants.setdefault((host.environment, api.url), set()).add(who)
    reached = {at for at, several in tenants.items() if len(several) == 1}
    found: dict[HostKey, list[Made]] = {}
    left: list[Made] = []
    for key, ones in sorted(made.items()):
        for one in ones:
            if (one.url, _rough(one, kinds)) in named or (*key, one.resource) in called:
                continue
            if (key[0], one.url) in reached:
                found.setdefault(key, []).append(one)
            else:
                left.append(one)
    return Orphans(found, left)


def apis(host: HostSpec) -> Iterable[Api]:
    return (*((host.target.api,) if host.target.api is not None else ()), *host.target.apis)


def _named(host: HostSpec, kinds: Mapping[str, Kind]) -> Iterable[tuple[str, str]]:
    urls = {api.name: api.url for api in apis(host)}
    for one in host.resources:
        removal = kinds[one.kind].removal
        if removal is not None and one.spec.api in urls:
            yield urls[one.spec.api], removal.rough(removal.place(one))


def _rough(one: Made, kinds: Mapping[str, Kind]) -> str:
    removal = kinds[_kind(one, kinds)].removal
    return one.place if removal is None else removal.rough(one.place)


def _kind(one: Made, kinds: Mapping[str, Kind]) -> str:
    """Its kind, or what all profiles are made of where that is there no more."""
    kind = one.resource.partition(":")[0]
    return kind if kind in kinds else "http_object"


def removing(
    chosen: Sequence[HostSpec], found: Orphans, hosts: Sequence[HostSpec], kinds: Mapping[str, Kind]
) -> tuple[HostSpec, ...]:
    """The chosen hosts with what they are to remove, and those that are gone and have something left. hosts: all."""
    ways = {(host.environment, api.url): api for host in hosts for api in apis(host)}
    there = {(one.environment, one.name) for one in hosts}
    result = [_with(host, found.by_host.get((host.environment, host.name), ()), ways, kinds) for host in chosen]
    for (environment, name), ones in found.by_host.items():
        if (environment, name) not in there:
            target = Target(name, environment, "http", timeout=3600.0)
            gone = HostSpec(name, environment, target, (), {}, (), Graph((), {}, {}), "")
            result.append(_with(gone, ones, ways, kinds))
    return tuple(result)


def _with(
    host: HostSpec, ones: Sequence[Made], ways: Mapping[tuple[str, str], Api], kinds: Mapping[str, Kind]
) -> HostSpec:
    if not ones:
        return host
    names = {api.url: api.name for api in apis(host)}
    extra: dict[str, Api] = {}
    taken = {one.id for one in host.resources}
    added: list[Resource] = []
    for one in sorted(ones, key=lambda one: -one.order):
        if one.url not in names:
            names[one.url] = f"{ROLE} {one.url}"
            extra[one.url] = replace(ways[host.environment, one.url], name=names[one.url])
        kind = _kind(one, kinds)
        removal = kinds[kind].removal
        if removal is None:
            continue
        id_ = one.resource if one.resource not in taken else f"{one.resource} {ROLE}"
        taken.add(id_)
        spec = removal.spec(one.memento, names[one.url])
        added.append(
            Resource(id_, kind, id_.partition(":")[2], spec, None, role=ROLE, origin=Origin(ROLE), digest=one.place)
        )
    before = {one.id: (added[n - 1].id,) if n else () for n, one in enumerate(added)}
    graph = Graph(
        (*host.graph.order, *before),
        {**host.graph.needs, **before},
        {**host.graph.wave, **{one: n for n, one in enumerate(before)}},
    )
    target = replace(host.target, apis=(*host.target.apis, *extra.values()))
    return replace(host, resources=(*host.resources, *added), graph=graph, target=target)


def ledger(spec: HostSpec, result: PassResult, kinds: Mapping[str, Kind]) -> tuple[list[Made], list[Made]]:
    """What a pass made, and what it removed or found removed."""
    urls = {api.name: api.url for api in apis(spec)}
    made: list[Made] = []
    gone: list[Made] = []
    for change in result.plan.changes if result.plan is not None else ():
        resource, outcome = change.resource, result.outcomes.get(change.resource.id)
        removal = kinds[resource.kind].removal
        if removal is None or outcome is None or outcome.status is not Status.OK or resource.id in result.remaining:
            continue
        memento = removal.memento(resource)
        object_ = Made(urls[resource.spec.api], removal.place(resource), resource.id, memento or {}, len(made))
        if change.action == "remove":
            gone.append(object_)
        elif change.action == "create" and memento is not None:
            made.append(object_)
    plan = result.plan
    if plan is None:
        return made, gone
    known = {change.resource.id for change in plan.changes} | set(plan.unreadable) | set(plan.waiting)
    for one in spec.resources:
        removal = kinds[one.kind].removal
        if one.role == ROLE and one.id not in known and removal is not None:
            gone.append(Made(urls[one.spec.api], removal.place(one), one.id))
    return made, gone
