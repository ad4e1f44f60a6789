"""Which revision each environment is at. A commit that does not compile never takes the place of one that does: the
environments that compile go on, the broken ones stay where they are.

Input: a commit; output: which hosts are to be other than they were, and which are there no more. What an environment is
at stands in the record, so that a controller that starts again goes on from there.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from fleet.controller.queue import HostKey
from fleet.controller.rollout import Rollout, ordered
from fleet.desired.assemble import EnvironmentSpec
from fleet.desired.compile import Fleet
from fleet.desired.revisions import Revisions
from fleet.errors import HistoryError, UsageError
from fleet.history import History
from fleet.history.records import Taken
from fleet.model.host import HostSpec
from fleet.model.kind import Kind


@dataclass(slots=True)
class Place:
    """One environment. spec: of its revision. hosts: what each follows now, and of which revision. rollout: how those
    that the revision changes come to follow it. saved: what of it is on disk."""

    taken: Taken
    spec: EnvironmentSpec
    hosts: dict[str, HostSpec] = field(default_factory=dict)
    revisions: dict[str, str] = field(default_factory=dict)
    rollout: Rollout | None = None
    saved: str = ""

    def follow(self, name: str) -> bool:
        """The host follows the environment's revision from now on; whether that makes it another."""
        new, old = self.spec.hosts[name], self.hosts.get(name)
        self.hosts[name], self.revisions[name] = new, self.taken.revision
        return old is None or old.digest != new.digest


@dataclass(frozen=True, slots=True)
class Moved:
    """What a commit means. taken: environments that follow it now. refused: those that do not compile. changed: hosts
    that are to be other than they were, by environment; gone: those that are there no more."""

    commit: str
    taken: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    changed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    gone: tuple[HostKey, ...] = ()


class Environments:
    """places: by name. problems: why the newest commit was not taken, of those that do not compile."""

    def __init__(self, revisions: Revisions, history: History) -> None:
        self._revisions, self._history = revisions, history
        self._one_at_a_time = asyncio.Lock()  # the compiler keeps what it rendered
        self._writing = asyncio.Lock()  # so that what is newer in memory is newer on disk, too
        self.places: dict[str, Place] = {}
        self.problems: dict[str, tuple[str, ...]] = {}

    def host(self, key: HostKey) -> HostSpec | None:
        """What it is to be now."""
        place = self.places.get(key[0])
        return None if place is None else place.hosts.get(key[1])

    def __iter__(self) -> Iterator[HostSpec]:
        for place in self.places.values():
            yield from place.hosts.values()

    def kinds(self, environment: str) -> Mapping[str, Kind]:
        return self.places[environment].spec.kinds

    async def restore(self, now: float) -> None:
        """Where they were when the record was last written. What cannot be gone on from (a revision that is there no
        more, a rollout that another version wrote) is taken anew later, from its first wave on: no reason not to
        start."""
        for name, taken in (await self._history.control.taken()).items():
            try:
                fleet = await self._compiled(taken.revision)
                if name in fleet.environments and name not in fleet.broken:
                    self.places[name] = await self._restored(taken, fleet.environments[name], now)
            except HistoryError:
                raise
            except Exception:  # noqa: S112 - the newest commit is compiled next, and what is wrong with it is told
                continue

    async def _restored(self, taken: Taken, spec: EnvironmentSpec, now: float) -> Place:
        """Hosts whose turn had not come follow the revision that they followed then."""
        place = Place(taken, spec)
        said = json.loads(taken.rollout) if taken.rollout else {"old": {}}
        for host in spec.hosts:
            if host not in said["old"]:
                place.follow(host)
        for revision in sorted({one for one in said["old"].values() if one}):
            with suppress(UsageError):
                old = (await self._compiled(revision)).environments.get(taken.environment)
                mine = [host for host, at in said["old"].items() if at == revision and host in spec.hosts]
                for host in mine if old is not None else ():
                    assert old is not None
                    if host in old.hosts:
                        place.hosts[host], place.revisions[host] = old.hosts[host], revision
        if taken.rollout:
            place.rollout = Rollout.read(said["rollout"], spec.rollout, now)
            place.rollout.returned(place.rollout.under_way())  # by a controller that is no more
        return place

    async def save(self, name: str, now: float) -> None:
        """How far the environment has come: on disk when it returns."""
        async with self._writing:
            place = self.places.get(name)
            if place is None:  # it left Git meanwhile
                return
            rollout = place.rollout
            old = {host: place.revisions.get(host, "") for host in rollout.hosts} if rollout is not None else {}
            waiting = {host: at for host, at in old.items() if at != place.taken.revision}
            said = "" if rollout is None else json.dumps({"rollout": rollout.said(now), "old": waiting})
            # By fixed times: ages alone, which change all the time, are no news.
            news = "" if rollout is None else json.dumps({"rollout": rollout.said(0.0), "old": waiting})
            if news != place.saved or bool(said) != bool(place.taken.rollout):
                taken = replace(place.taken, rollout=said)
                await self._history.control.take(taken)
                place.taken, place.saved = taken, news  # not before: what the disk refused is tried again

    async def take(self, commit: str, wall: float) -> Moved:
        """Raises UsageError: there is no such commit, or it holds no environments: then nothing moves."""
        fleet = await self._compiled(commit)
        changed: dict[str, tuple[str, ...]] = {}
        gone: list[HostKey] = []
        for name, spec in fleet.environments.items():
            if name in fleet.broken:
                continue
            changed[name] = await self._move(name, spec, commit, wall)
            place = self.places[name]
            gone += [(name, host) for host in [*place.hosts] if host not in spec.hosts]
        # With a broken file nobody knows which environments the commit means to have.
        for name in [*self.places] if not fleet.broken else ():
            if name not in fleet.environments:
                gone += [(name, host) for host in self.places.pop(name).hosts]
                await self._history.control.leave(name)
        for environment, host in gone:
            if environment in self.places:
                del self.places[environment].hosts[host], self.places[environment].revisions[host]
        self._forget()
        refused = tuple(sorted(fleet.broken))
        said = tuple(str(one) for one in fleet.problems)
        self.problems = dict.fromkeys(refused, said)
        return Moved(commit, tuple(changed), refused, changed, tuple(gone))

    async def learn(self, environment: str) -> tuple[str, ...]:
        """Hosts that are to be other than they were, since what they say of themselves is known now."""
        place = self.places[environment]
        fleet = await self._again(place.taken.revision)
        if fleet is None or environment in fleet.broken or environment not in fleet.environments:
            return ()
        place.spec = fleet.environments[environment]
        current = [name for name, at in place.revisions.items() if at == place.taken.revision]
        return tuple(name for name in current if name in place.spec.hosts and place.follow(name))

    async def _move(self, name: str, spec: EnvironmentSpec, commit: str, wall: float) -> tuple[str, ...]:
        """Hosts that change wait for their turn; all others follow at once, since nothing changes for them."""
        place = self.places.get(name)
        before = "" if place is None else place.taken.revision
        if place is None or before != commit:
            taken = Taken(name, commit, before, wall)
            async with self._writing:
                await self._history.control.take(taken)
                old = (place.hosts, place.revisions) if place is not None else ({}, {})
                place = self.places[name] = Place(taken, spec, *old)
        place.spec = spec
        changed = {}
        for host, new in spec.hosts.items():
            known = place.hosts.get(host)
            if known is None or known.digest != new.digest:
                changed[host] = new.labels
            else:
                place.follow(host)
        if before == commit and place.rollout is not None:
            return tuple(changed)  # under way already, maybe in an earlier life: what stopped there stays stopped
        order = ordered(changed, spec.rollout)
        place.rollout = Rollout(spec.rollout, order, len(spec.hosts), commit) if order else None
        return tuple(order)

    async def _compiled(self, commit: str) -> Fleet:
        facts = await self._history.all_facts()
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._revisions.compile, commit, False, facts)

    async def _again(self, commit: str) -> Fleet | None:
        facts = await self._history.all_facts()
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._revisions.again, commit, facts)

    def _forget(self) -> None:
        used = {place.taken.revision for place in self.places.values()}
        used |= {at for place in self.places.values() for at in place.revisions.values()}
        self._revisions.keep(used)
