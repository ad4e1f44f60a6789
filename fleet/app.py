"""The composition root: settings in, running parts out. The only place that knows which transport, record and kinds."""

# ruff: noqa: PLC0415 - see `transports`
from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

from fleet.controller import logged
from fleet.controller.environments import Environments
from fleet.controller.events import Events
from fleet.controller.executing import Asked, Call, execute, secrets_of
from fleet.controller.loop import Loop, Quiet, clock_moment
from fleet.controller.notices.notifier import Notifier
from fleet.controller.notify import Notify
from fleet.controller.one import Parts
from fleet.controller.orders import Orders
from fleet.controller.prune import Orphans, orphans, removing
from fleet.controller.rules import rules
from fleet.controller.run import Run, run_all
from fleet.controller.service import Habits, Service
from fleet.controller.sessions import Sessions
from fleet.converge.facts import gather
from fleet.converge.memory import Memory
from fleet.desired.check import nearest
from fleet.desired.compile import Fleet
from fleet.desired.mirror import Access, Mirror
from fleet.desired.profiles import every_kind
from fleet.desired.revisions import Revisions
from fleet.desired.whereabouts import checkout
from fleet.errors import ConfigError, TransportError, UsageError
from fleet.history import History
from fleet.history.records import Ordered
from fleet.history.who import who_in_full
from fleet.masking import Masker
from fleet.model.change import PassResult
from fleet.model.executed import Executed, Execution
from fleet.model.host import HostSpec
from fleet.model.key_service import KeyServices
from fleet.model.kind import Kind
from fleet.model.port import Transport, Watcher
from fleet.secrets.identities import Identities
from fleet.secrets.vault import Vault
from fleet.settings import Settings
from fleet.telemetry import HostTime, Telemetry

Result = TypeVar("Result")
HostKey = tuple[str, str]  # environment, name


@dataclass(frozen=True, slots=True)
class Selection:
    """Which hosts are meant. All that is given must hold; of one sort given twice, either. Empty: every host.

    hosts: shell patterns of names, or of ENVIRONMENT/NAME. labels: key and value.
    """

    environments: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()

    def takes(self, host: HostSpec) -> bool:
        """Whether this host is meant."""
        wanted: dict[str, set[str]] = {}
        for key, value in self.labels:
            wanted.setdefault(key, set()).add(value)
        return (
            (not self.environments or host.environment in self.environments)
            and (not self.hosts or any(fnmatchcase(n, p) for p in self.hosts for n in (host.name, host.label)))
            and (not self.roles or bool(set(self.roles) & set(host.roles)))
            and all(host.labels.get(key) in values for key, values in wanted.items())
        )


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run: a result per host that was finished, and where the time went (with tracing on)."""

    results: tuple[PassResult, ...]
    interrupted: bool = False
    times: tuple[HostTime, ...] = ()
    trace_id: str = ""
    number: int = 0


@dataclass(slots=True)
class App:
    """The parts of one process. What is opened for runs stays open until `aclose`."""

    settings: Settings
    kinds: Mapping[str, Kind] = field(default_factory=every_kind)
    memories: dict[HostKey, Memory] = field(default_factory=dict)
    masker: Masker = field(default_factory=Masker)
    _revisions: Revisions | None = None
    _parts: Parts | None = None
    _history: History | None = None

    def compile(self, revision: str = "HEAD", working_tree: bool = False) -> Fleet:
        """What a revision (or the uncommitted files) says. Raises ConfigError with all problems, UsageError."""
        fleet = self.compile_what_can_be(revision, working_tree)
        if fleet.problems:
            raise ConfigError(fleet.problems)
        return fleet

    def compile_what_can_be(self, revision: str = "HEAD", working_tree: bool = False) -> Fleet:
        """The same, where problems are part of the answer."""
        return self.revisions.compile(revision, working_tree)

    @property
    def revisions(self) -> Revisions:
        if self._revisions is None:
            self._revisions = Revisions(self.settings.repository, self.kinds, self.settings.cache_dir)
        return self._revisions

    def select(self, fleet: Fleet, selection: Selection) -> tuple[HostSpec, ...]:
        """The hosts that are meant, in order. Raises UsageError when there is none, with near misses."""
        every = tuple(fleet.hosts)
        chosen = tuple(host for host in every if selection.takes(host))
        if not chosen:
            raise UsageError(_nothing_selected(every, selection))
        return chosen

    async def orphans(self, fleet: Fleet, selection: Selection) -> Orphans:
        """What fleet made behind APIs and this revision names no more: of the hosts that are meant, and of hosts that
        are gone when whole environments are meant. Of an environment with a host whose templates wait for its facts
        nobody knows yet what it names: nothing of it is gone."""
        await self._open()
        assert self._history is not None
        facts = await self._history.all_facts()
        asking = [host for host in fleet.hosts if host.uses_facts]
        again = self.revisions.again(fleet.revision, facts) if asking else fleet
        waiting = {one.environment for one in asking if again is None or (one.environment, one.name) not in facts}
        whole_fleet = again or fleet
        waiting |= {one.environment for one in fleet.hosts} if whole_fleet.problems else set()
        found = orphans(whole_fleet.hosts, await self._history.made(), fleet.kinds)
        found = found.of(lambda key: key[0] not in waiting)
        there = {(host.environment, host.name): selection.takes(host) for host in fleet.hosts}
        whole = not (selection.hosts or selection.roles or selection.labels)
        wanted = selection.environments
        return found.of(lambda key: there.get(key, whole and (not wanted or key[0] in wanted)))

    def removing(self, fleet: Fleet, hosts: Sequence[HostSpec], found: Orphans, limit: int) -> tuple[HostSpec, ...]:
        """The hosts with what they are to remove. Raises UsageError when that is more than the limit."""
        if found.count > limit:
            names = ", ".join(found.names()[:5]) + (", …" if found.count > 5 else "")
            raise UsageError(
                f"would remove {found.count} objects that Git names no more, limit {limit}: {names}; "
                f"nothing was changed; if that is meant, say --prune={found.count}"
            )
        return removing(hosts, found, fleet.hosts, fleet.kinds)

    async def run(self, fleet: Fleet, hosts: Sequence[HostSpec], apply: bool, watcher: Watcher) -> RunResult:
        """One pass over each host, recorded. Never raises for what happens on hosts."""
        parts = replace(await self._open(), kinds=fleet.kinds)
        journal = self._history
        assert journal is not None
        with parts.telemetry.span("run", command="apply" if apply else "plan", hosts=len(hosts)):
            hosts = await self._with_facts(fleet, hosts, parts)
            names = ",".join(sorted({host.environment for host in hosts}))
            trace_id = parts.telemetry.trace_id
            command = "apply" if apply else "plan"
            number = await journal.start_run(command, names, fleet.revision, trace_id)
            wanted = {(h.environment, h.name): {r.id: r.digest for r in h.resources} for h in hosts}
            settled = await journal.settled(wanted)
            withheld = await journal.withheld()
            run = Run(number, apply, settled, self.memories, withheld)
            await run_all(run, hosts, parts, watcher)
        times = tuple(parts.telemetry.slowest(10))
        return RunResult(tuple(run.results.values()), run.interrupted, times, trace_id, number)

    async def held(self, hosts: Sequence[HostSpec]) -> list[Ordered]:
        """Freezes and pauses on record over any of these hosts, each once."""
        await self._open()
        assert self._history is not None
        orders = Orders(self._history.control)
        await orders.read()
        return list({one.scope: one for one in map(orders.over, hosts) if one is not None}.values())

    async def execute(
        self, fleet: Fleet, hosts: Sequence[HostSpec], asked: Asked, heard: Callable[[Executed], None]
    ) -> Call:
        """A person's own command on these hosts, on record before the first byte is sent. Never raises for what happens
        on hosts. Raises SecretError: what it prints could not be masked; HistoryError."""
        parts, history = await self._open(), self._history
        assert history is not None
        environments = {host.environment for host in hosts}
        with parts.telemetry.span("run", command="exec", hosts=len(hosts)):
            for name, sources in ({} if asked.silent else secrets_of(fleet.hosts, environments)).items():
                await parts.vault.of(name, sources)
            trace_id = parts.telemetry.trace_id
            number = await history.start_run("exec", ",".join(sorted(environments)), fleet.revision, trace_id)
            keys = [(host.environment, host.name) for host in hosts]
            await history.execs.intend(number, Execution(who_in_full(), asked.reason, asked.text, keys))
            call = Call(number, asked, heard)
            await execute(call, hosts, parts, history.execs)
        return call

    async def service(self, notify: Notify, habits: Habits) -> Service:
        """The controller, not yet running."""
        settings = self.settings
        parts = await self._open()
        history = self._history
        assert history is not None
        access = Access(token=settings.token_file, key=settings.key_file, ca=settings.ca_file)
        remote, directory = settings.remote, settings.directory
        if not remote:  # the repository that we stand in, maybe somewhere below its top
            top, inside = await asyncio.to_thread(checkout, settings.repository)
            remote, directory = str(top), directory or inside
        mirror = Mirror(remote, settings.branch, settings.state_dir / "mirror", access)
        self.revisions.repository, self.revisions.directory = mirror.repository, directory
        environments, orders = Environments(self.revisions, history), Orders(history.control)
        events = Events(time.time, self.masker.value, logged.write, logged.detailed)
        allowed = rules(settings, environments, orders, time.time)
        loop = Loop(environments, parts, allowed, events, Quiet(), clock_moment(random.random))
        return Service(mirror, environments, loop, orders, events, history, notify, habits)

    def notifier(self, events: Events) -> Notifier | None:
        """Tells people, and Git servers, how it goes; None where nobody is to be told. Raises UsageError."""
        settings = self.settings
        if settings.notify_file is None and not settings.status_url:
            return None
        from fleet.notifying import notifier

        return notifier(settings, self.masker, events)

    async def closing(self, work: Awaitable[Result]) -> Result:
        """The result of `work`, with everything closed after it."""
        try:
            return await work
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        parts, self._parts = self._parts, None
        history, self._history = self._history, None
        if parts is not None:
            await parts.sessions.aclose()
            await parts.telemetry.aclose()
        if history is not None:
            await history.aclose()

    async def _open(self) -> Parts:
        if self._parts is None:
            self._history = await History.open(self.settings.history_file, mask=self.masker.value)
            telemetry = Telemetry(self.settings.trace, self.masker.text)
            vault = Vault(self.identities, self.masker, self.revisions.read, telemetry.span)
            sessions = Sessions(transports(self.settings, vault, telemetry))
            self._parts = Parts(self.kinds, sessions, self._history, telemetry, vault, self.masker)
        return self._parts

    @property
    def identities(self) -> Identities:
        given = os.environ.get("CREDENTIALS_DIRECTORY")
        services = KeyServices.parse(self.settings.key_services)
        return Identities(self.settings.age_dir, Path(given) if given else None, services)

    async def _with_facts(self, fleet: Fleet, hosts: Sequence[HostSpec], parts: Parts) -> Sequence[HostSpec]:
        """Hosts whose templates read facts are compiled again with what they say of themselves."""
        asking = [host for host in hosts if host.uses_facts]
        if not asking or self._history is None:
            return hosts
        facts = dict(await self._history.all_facts())
        for host, found in zip(asking, await asyncio.gather(*(_ask(host, parts) for host in asking)), strict=True):
            if found is not None:
                facts[host.environment, host.name] = found
                await self._history.save_facts(host.environment, host.name, found)
        again = self.revisions.again(fleet.revision, facts)
        if again is None:
            return hosts
        if again.problems:
            raise ConfigError(again.problems)
        by_name = {(h.environment, h.name): h for h in again.hosts}
        return [by_name.get((h.environment, h.name), h) for h in hosts]


def transports(settings: Settings, vault: Vault, telemetry: Telemetry) -> Mapping[str, Callable[[], Transport]]:
    """How each sort of host is reached. What takes long to import is imported when there is such a host."""

    # Jitter needs no secrecy.
    def ssh() -> Transport:
        from fleet.transports.limits import Limits
        from fleet.transports.ssh import SSHTransport

        limits = Limits(settings.handshakes, settings.scripts, random.random)
        return SSHTransport(random.random, limits, str(settings.key_file or ""))

    def http() -> Transport:
        from fleet.transports.http_transport import HttpTransport

        return HttpTransport(random.random, vault.of, telemetry.span)

    def local() -> Transport:
        from fleet.transports.local import LocalTransport

        return LocalTransport()

    return {"ssh": ssh, "http": http, "local": local}


async def _ask(host: HostSpec, parts: Parts) -> dict[str, Any] | None:
    """Facts of one host; None when it cannot be reached: the pass will say why."""
    try:
        return await gather(await parts.sessions.get(host.target), host.target.timeout)
    except TransportError:
        return None


def _nothing_selected(hosts: Sequence[HostSpec], selection: Selection) -> str:
    """Which of the given options matched nothing, and what it could have been."""
    for option, given, known in (
        ("environment", selection.environments, {h.environment for h in hosts}),
        ("role", selection.roles, {role for h in hosts for role in h.roles}),
        ("label", [f"{k}={v}" for k, v in selection.labels], {f"{k}={v}" for h in hosts for k, v in h.labels.items()}),
    ):
        for word in given:
            if word not in known:
                return f"no {option} {word!r}{_near(word, known)}; `fleet hosts` lists them"
    names = {name for h in hosts for name in (h.name, h.label)}
    for pattern in selection.hosts:
        if not any(fnmatchcase(name, pattern) for name in names):
            return f"no host matches {pattern!r}{_near(pattern, names)}; `fleet hosts` lists them"
    if selection.hosts and selection.environments:
        found = [h for h in hosts if any(fnmatchcase(n, p) for p in selection.hosts for n in (h.name, h.label))]
        if not any(h.environment in selection.environments for h in found):
            return f"{found[0].name} is in {found[0].environment}, not in {', '.join(selection.environments)}"
    return "no host is all that at once; `fleet hosts` lists them with their roles and labels"


def _near(word: str, known: Iterable[str]) -> str:
    close = nearest(word, sorted(known), 1)
    return f"; did you mean {close[0]!r}?" if close else ""
