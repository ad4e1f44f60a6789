"""`fleet serve`: follows one branch, keeps every environment as it says, and can be asked what it is doing.

Side by side: Git is asked, the loop gives hosts their passes, and the service manager is told that we live.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from fleet import __version__
from fleet.controller.environments import Environments, Moved
from fleet.controller.events import Events
from fleet.controller.following import Following
from fleet.controller.forgetting import Clocks, forgetting
from fleet.controller.loop import Loop
from fleet.controller.metrics import Metrics
from fleet.controller.notify import Notify
from fleet.controller.orders import Orders
from fleet.controller.queue import HostKey, Priority
from fleet.controller.showing import change_views, environment_view, exec_view, host_view
from fleet.controller.standing import Standing
from fleet.controller.view import ChangeView, ControllerView, DestinationView, Event, ExecView, HostView
from fleet.controller.watched import Watched
from fleet.converge.facts import gather
from fleet.desired.mirror import Mirror
from fleet.errors import FleetError, HistoryError, TransportError, UsageError
from fleet.history import History
from fleet.history.records import Ordered
from fleet.model.change import PassResult
from fleet.model.host import HostSpec


@dataclass(frozen=True, slots=True)
class Habits:
    """poll: seconds between two questions to Git; jitter is added. watchdog: seconds between signs of life, or None.
    grace: seconds that steps under way get at the end. retention: days that the record goes back."""

    poll: float = 30.0
    watchdog: float | None = None
    grace: float = 15.0
    retention: float = 90.0


@dataclass(slots=True)
class Service:
    """See view.py: Controller."""

    mirror: Mirror
    environments: Environments
    loop: Loop
    orders: Orders
    events_: Events
    history: History
    notify: Notify
    habits: Habits
    counted: Metrics = field(default_factory=Metrics)
    told: Callable[[], tuple[DestinationView, ...]] = tuple
    version: str = __version__
    started: float = field(default_factory=time.time)
    ready: bool = False
    following: Following = field(init=False)
    watched: Watched = field(init=False)
    _rolled: asyncio.Event = field(default_factory=asyncio.Event)
    _forget: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.watched = Watched(self.events_)
        self.following = Following(self.mirror, self.events_, self.loop.moment, self._take, self._asked)

    async def run(self) -> None:
        """Until cancelled; then what is under way is ended in order."""
        self.loop.heard, self.loop.before = self.heard, self._learn
        self.events_.put("start", version=self.version, follows=self.mirror.url)
        await self.orders.read()
        if await self.following.open():
            await self.environments.restore(self.loop.moment().now)
            await self._adopt(self.environments)
        tasks = [
            asyncio.create_task(one)
            for one in (
                self.following.run(lambda: self.habits.poll),
                self.loop.run(),
                self._rolling(),
                self._live(),
                forgetting(self.history, lambda: self.habits.retention * 86_400, Clocks(), self._forget),
            )
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            self.notify.stopping()
            self.events_.put("stop")
            for one in tasks:
                one.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.loop.aclose(self.habits.grace)
            await self._finish(self.loop.runs)

    # -- a new commit ------------------------------------------------------------------------------------------

    async def _take(self, commit: str) -> None:
        await self._took(await self.environments.take(commit, time.time()))

    def _asked(self) -> None:
        if not self.ready and (self.following.taken or self.environments.places):
            self.ready = True
            self.notify.ready()
            places = self.environments.places.values()
            self.events_.put("ready", environments=len(places), hosts=sum(len(one.spec.hosts) for one in places))

    async def _took(self, moved: Moved) -> None:
        for name in moved.refused:
            self.events_.put("refused", name, commit=moved.commit, problems=len(self.environments.problems[name]))
        for name in moved.taken:
            changed = moved.changed.get(name, ())
            self.events_.put("revision", name, commit=moved.commit, changed=len(changed))
        self.loop.forget(moved.gone)
        await self._roll()
        await self.loop.tidy()
        await self._finish([at for at in self.loop.runs if not self._current(at)])

    async def _rolling(self) -> None:
        """What time alone allows."""
        while True:
            await self._rolled.wait()
            self._rolled.clear()
            try:
                await self._roll()
            except HistoryError as error:  # tried again with the next sign of life
                self.loop.record(str(error))

    async def _roll(self) -> None:
        """Hosts whose turn has come follow the new revision: none where nothing may be changed now."""
        for name, place in [*self.environments.places.items()]:  # a commit may add some meanwhile
            rollout, now = place.rollout, self.loop.moment().now
            if rollout is None or self.environments.places.get(name) is not place:
                continue
            if self.loop.rules.closed(name):
                await self.environments.save(name, now)  # who was under way has ended, maybe badly
                continue
            names = rollout.startable(now)
            if names:
                for host in names:
                    rollout.started(host)
                    place.follow(host)
                self.events_.put("rollout", name, state="running", wave=rollout.view().wave, hosts=len(names))
                await self._adopt(place.hosts[host] for host in names)
                self.loop.ask([(name, host) for host in names], Priority.REVISION, "a new revision")
            if rollout.state == "done":
                self.events_.put("rollout", name, state="done", commit=place.taken.revision)
                place.rollout = None
            await self.environments.save(name, now)
        self.loop.overtake()

    def heard(self, spec: HostSpec, result: PassResult) -> None:
        """A pass ended; what it means for the rollout that it was part of."""
        self.counted.passed(result)
        place = self.environments.places.get(spec.environment)
        rollout = None if place is None else place.rollout
        if place is None or rollout is None or place.spec.hosts.get(spec.name) is None:
            return
        if place.spec.hosts[spec.name].digest == spec.digest:
            before = rollout.state
            rollout.finished(spec.name, result.verdict, self.loop.moment().now)
            if rollout.state == "stopped" != before:
                self.events_.put("rollout", spec.environment, state="stopped", reason=rollout.reason)
            self._rolled.set()

    async def _learn(self, spec: HostSpec) -> None:
        """What a host says of itself, where its templates ask for it: at each full look. What that changes in it, and
        in those that ask about it, has its turn at once."""
        if not spec.uses_facts:
            return
        try:
            session = await self.loop.parts.sessions.get(spec.target)
            found = await gather(session, spec.target.timeout)
        except TransportError:
            return  # the pass will say why
        if found != await self.history.load_facts(spec.environment, spec.name):
            await self.history.save_facts(spec.environment, spec.name, found)
            changed = await self.environments.learn(spec.environment)
            self.loop.ask([(spec.environment, name) for name in changed], Priority.REVISION, "what hosts say changed")

    def retime(self, poll: float, retention: float) -> None:
        """See Habits; at once: Git is asked, and what is too old is forgotten."""
        before, self.habits = self.habits, replace(self.habits, poll=poll, retention=retention)
        if before.poll != poll:
            self.following.look()
        if before.retention != retention:
            self._forget.set()

    def _current(self, at: tuple[str, str]) -> bool:
        place = self.environments.places.get(at[0])
        return place is not None and at[1] in place.revisions.values()

    async def _adopt(self, specs: Iterable[HostSpec]) -> None:
        """Hosts that this process has not seen, with what the record knows of them."""
        found = [spec for spec in specs if (spec.environment, spec.name) not in self.loop.standings]
        wanted = {(one.environment, one.name): {r.id: r.digest for r in one.resources} for one in found}
        settled, withheld = await self.history.settled(wanted), await self.history.withheld()
        cut: dict[HostKey, set[str]] = {}
        for change in await self.history.interrupted():
            cut.setdefault((change.environment, change.host), set()).add(change.resource)
        for key in wanted:
            self.loop.standings[key] = Standing(
                settled=settled.get(key, {}),
                withheld=tuple(withheld.get(key, ())),
                cut=frozenset(cut.get(key, ())),
            )
        self.loop.begin(wanted)

    async def _finish(self, runs: Iterable[tuple[str, str]]) -> None:
        for at in [*runs]:
            number = self.loop.runs.pop(at)
            verdicts = [one.verdict for key, one in self.loop.standings.items() if key[0] == at[0] and one.verdict]
            with suppress(FleetError):
                await self.history.finish_run(await number, verdicts)

    async def _live(self) -> None:
        """The watchdog is fed only while the loop goes round. How late we wake is how late everybody does."""
        late: deque[float] = deque(maxlen=30)  # of a minute
        while True:
            if self.loop.moment().now - self.loop.turned < 5.0:
                self.notify.alive()
            verdicts = Counter(one.verdict or "not looked at" for one in self.loop.standings.values())
            self._rolled.set()  # waves wait for time, too
            said = ", ".join(f"{count} {name}" for name, count in verdicts.most_common())
            self.notify.status(said if self.ready else f"no revision yet: {self.following.error}")
            pause, began = min(self.habits.watchdog or 2.0, 2.0), self.loop.moment().now
            await asyncio.sleep(pause)
            late.append(self.loop.moment().now - began - pause)
            self.counted.delayed(max(late))
            self.watched.tell(self._breakers())

    def _breakers(self) -> Mapping[str, str]:
        return {**self.loop.outages.states(self.loop.moment().now), **self.loop.parts.sessions.breakers}

    # -- what it says -------------------------------------------------------------------------------------------

    def view(self) -> ControllerView:
        now = self.loop.moment().now
        return ControllerView(
            version=self.version,
            started=self.started,
            ready=self.ready and not self.loop.record_error,
            head=self.following.head,
            fetched=self.following.fetched,
            git=self.following.error,
            record=self.loop.record_error,
            trouble=self.following.trouble,
            told=self.told(),
            queue=self.loop.queue.due(now),
            running=self.loop.running,
            frozen=self.orders.held.get(""),
            orders=tuple(self.orders.held.values()),
            environments=tuple(environment_view(*one, self.loop) for one in self.environments.places.items()),
            breakers=self._breakers(),
        )

    def hosts(self) -> Sequence[HostView]:
        now = self.loop.moment().now
        return [host_view(spec, self.loop, self.orders, now) for spec in self.environments]

    def changes(self, environment: str, host: str) -> Sequence[ChangeView]:
        return change_views(self.loop.standings.get((environment, host), Standing()))

    async def execs(self) -> Mapping[tuple[str, str], Sequence[ExecView]]:
        try:
            found = await self.history.execs.unsettled()
        except HistoryError:  # a full disk does not hide the drift itself; `status` says that nothing can be recorded
            return {}
        return {key: [exec_view(one) for one in records] for key, records in found.items()}

    def metrics(self, openmetrics: bool = False) -> str:
        self.counted.carried(self.loop.parts.sessions.traffic, self.loop.retried)
        return self.counted.text(self.view(), self.hosts(), time.time(), openmetrics)

    def events(self, after: int = 0) -> AsyncIterator[Event]:
        return self.events_.after(after)

    # -- what it is asked ---------------------------------------------------------------------------------------

    def look(self) -> None:
        self.following.look()

    def reconcile(self, hosts: Sequence[HostKey], who: str) -> int:
        self.loop.doubt(hosts)
        count = self.loop.ask(hosts, Priority.ASKED, f"asked by {who}")
        self.events_.put("order", what="reconcile", who=who, hosts=count)
        return count

    async def order(self, scope: str, who: str, reason: str) -> Ordered:
        order = self.orders.hold(Ordered(scope, who, reason, time.time()), [*self.environments])
        self.events_.put("order", what="pause" if scope else "freeze", who=who, scope=scope, reason=reason)
        over = [(s.environment, s.name) for s in self.environments if self.orders.over(s) is not None]
        # Side by side: a disk that is full, or busy for ten seconds, keeps nobody from stopping.
        kept, _ = await asyncio.gather(self.orders.keep(order), self.loop.halt(over), return_exceptions=True)
        if isinstance(kept, BaseException):
            raise kept
        return order

    async def lift(self, scope: str, who: str) -> bool:
        concerned = [(s.environment, s.name) for s in self.environments if self.orders.over(s) is not None]
        if not await self.orders.lift(scope, who):
            return False
        self.events_.put("order", what="resume" if scope else "unfreeze", who=who, scope=scope)
        self.loop.ask(concerned, Priority.REVISION, f"allowed again by {who}")
        self._rolled.set()
        return True

    async def accept(self, commit: str, who: str) -> None:
        await self.history.control.audit(who, "accept", {"commit": commit})
        await self.mirror.accept(commit)
        self.events_.put("order", what="accept", who=who, commit=commit)
        self.following.look()

    async def approve(self, environment: str, revision: str, who: str) -> bool:
        place = self.environments.places.get(environment)
        if place is None or place.rollout is None or place.rollout.state != "waiting":
            return False
        if place.rollout.revision != revision:
            raise UsageError(f"{environment} waits with {place.rollout.revision}, not with {revision!r}")
        await self.history.control.audit(who, "approve", {"environment": environment, "revision": revision})
        place.rollout.approve(self.loop.moment().now)
        await self.environments.save(environment, self.loop.moment().now)
        self.events_.put("order", environment, what="approve", who=who, commit=revision)
        self._rolled.set()
        return True

    async def go_on(self, environment: str, who: str) -> bool:
        """A rollout that stopped goes on; False when there is none. In the audit, and on disk, when it returns."""
        place = self.environments.places.get(environment)
        if place is None or (rollout := place.rollout) is None or rollout.state != "stopped":
            return False
        said = {"environment": environment, "revision": rollout.revision, "reason": rollout.reason}
        await self.history.control.audit(who, "rollout goes on", said)
        rollout.resume(self.loop.moment().now)
        await self.environments.save(environment, self.loop.moment().now)
        self.events_.put("order", environment, what="rollout goes on", who=who)
        self._rolled.set()
        return True
