"""What a change of the repository asks of which hosts: two Fleets in, groups of hosts with equal changes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fleet.desired.compile import Fleet
from fleet.model.change import Change
from fleet.model.host import HostSpec, Resource

Sort = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class ResourceDiff:
    """One resource, before and after. Contents for text diffs are old.content and new.content.

    change: before and after are the desired States; attributes also names needs, watches and drift where they differ.
    """

    change: Change
    old: Resource | None
    new: Resource | None


@dataclass(frozen=True, slots=True)
class Group:
    """Hosts of one environment with the same change, sorted. connection: how they are reached changes as well."""

    environment: str
    sort: Sort
    hosts: tuple[str, ...]
    changes: tuple[ResourceDiff, ...]
    connection: bool = False


def diff(old: Fleet, new: Fleet) -> tuple[Group, ...]:
    """By environment; largest groups first. Hosts with equal digests are not mentioned."""
    found: list[Group] = []
    for name in sorted({*old.environments, *new.environments}):
        before, after = old.environments.get(name), new.environments.get(name)
        if before is after:
            continue
        hosts = _groups(name, before.hosts if before else {}, after.hosts if after else {})
        found += sorted(hosts, key=lambda group: (-len(group.hosts), group.hosts))
    return tuple(found)


def _groups(environment: str, before: Mapping[str, HostSpec], after: Mapping[str, HostSpec]) -> list[Group]:
    members: dict[tuple[object, ...], list[str]] = {}
    for host in sorted({*before, *after}):
        old, new = before.get(host), after.get(host)
        if old is not None and new is not None and old.digest == new.digest:
            continue
        olds, news = _resources(old), _resources(new)
        moved = tuple(
            (one, _digest(olds.get(one)), _digest(news.get(one)))
            for one in sorted({*olds, *news})
            if _digest(olds.get(one)) != _digest(news.get(one))
        )
        sort: Sort = "added" if old is None else "removed" if new is None else "changed"
        connection = old is not None and new is not None and old.target != new.target
        members.setdefault((sort, moved, connection), []).append(host)
    return [_group(environment, hosts, before, after) for hosts in members.values()]


def _group(environment: str, hosts: list[str], before: Mapping[str, HostSpec], after: Mapping[str, HostSpec]) -> Group:
    """Any of the hosts tells what changes for all of them."""
    old, new = before.get(hosts[0]), after.get(hosts[0])
    olds, news = _resources(old), _resources(new)
    order = [*news, *sorted(set(olds) - set(news))]
    changes = tuple(
        _difference(olds.get(one), news.get(one)) for one in order if _digest(olds.get(one)) != _digest(news.get(one))
    )
    sort: Sort = "added" if old is None else "removed" if new is None else "changed"
    connection = old is not None and new is not None and old.target != new.target
    return Group(environment, sort, tuple(hosts), changes, connection)


def _difference(old: Resource | None, new: Resource | None) -> ResourceDiff:
    resource = new if new is not None else old
    if resource is None:
        raise ValueError("a difference has two sides, and one of them says something")
    before = old.desired if old is not None else None
    after = new.desired if new is not None else None
    names: set[str] = set()
    if old is not None and new is not None:
        one, other = before or {}, after or {}
        names = {name for name in {*one, *other} if one.get(name) != other.get(name)}
        names |= {name for name in ("needs", "watches", "drift") if getattr(old, name) != getattr(new, name)}
    return ResourceDiff(Change(resource, before, after, tuple(sorted(names))), old, new)


def _resources(spec: HostSpec | None) -> dict[str, Resource]:
    return {} if spec is None else {one.id: one for one in spec.resources}


def _digest(resource: Resource | None) -> str:
    return "" if resource is None else resource.digest
