"""The loop: whoever is due gets a pass, one at a time for each host, side by side for all; how it ended decides what
follows. Input: hosts that are to be looked at, from whoever wants it; output: what happened, as events.

Level-triggered: nothing is lost when a trigger is, since the next sweep reads the world again.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field, replace

from fleet.controller.environments import Environments
from fleet.controller.events import Events
from fleet.controller.one import Asked, Parts, Passed, cut_short, one_pass
from fleet.controller.outages import WHY, Outages
from fleet.controller.queue import HostKey, Priority, Turn, Workqueue
from fleet.controller.standing import PARKED, Moment, Standing, after, phase
from fleet.controller.told import told
from fleet.converge.memory import Memory
from fleet.errors import HistoryError
from fleet.model.change import PassResult, Verdict
from fleet.model.host import HostSpec, Target
from fleet.model.port import Watcher
from fleet.model.step import Outcome
from fleet.pacing.bucket import Bucket

FULL = 3600.0  # seconds after which everything is looked at again, whatever the witnesses say
AT_ONCE = 8  # passes that begin in one turn of the loop
HALT_AGAIN = 0.5  # seconds until a host is told once more to stop
RECORD_AGAIN = 5.0  # seconds until a host is tried again whose intent could not be recorded


@dataclass(frozen=True, slots=True)
class Rules:
    """passes: at once. connections: kept open at most. period: environment → seconds between sweeps. may_write: "" or
    why a host is only looked at; ordered: whether a person said so, which ends even what has begun (a window only
    says when something may begin); closed: why not, of an environment as a whole. retries: second tries of hosts that a
    second may see, and how many at once after a rest."""

    passes: int
    connections: int
    period: Callable[[str], float]
    may_write: Callable[[HostSpec], str]
    ordered: Callable[[HostSpec], bool]
    closed: Callable[[str], str]
    retries: tuple[float, float] = (20.0, 100.0)


@dataclass(slots=True)
class _Work:
    """A pass under way. full: it looks at everything. halted: nothing more is begun."""

    asked: Asked
    full: bool = False
    task: asyncio.Task[None] | None = None
    halted: bool = False
    told: bool = False  # that it should stop


@dataclass(slots=True)
class Loop:
    """heard: called with each pass that ended, and what it was about. before: with each that looks at everything,
    before it does."""

    environments: Environments
    parts: Parts
    rules: Rules
    events: Events
    watcher: Watcher
    moment: Callable[[], Moment]
    heard: Callable[[HostSpec, PassResult], None] = lambda spec, result: None
    before: Callable[[HostSpec], Awaitable[None]] | None = None
    standings: dict[HostKey, Standing] = field(default_factory=dict)
    memories: dict[HostKey, Memory] = field(default_factory=dict)
    queue: Workqueue = field(default_factory=Workqueue)
    runs: dict[tuple[str, str], asyncio.Future[int]] = field(default_factory=dict)
    outages: Outages = field(default_factory=Outages)
    record_error: str = ""
    retried: Counter[str] = field(default_factory=Counter)  # environment → passes that were tried again
    turned: float = 0.0  # when the loop last went round, of its own clock
    _work: dict[HostKey, _Work] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _retries: Bucket | None = None
    _telling: set[asyncio.Task[None]] = field(default_factory=set)

    def ask(self, keys: Iterable[HostKey], priority: Priority, reason: str) -> int:
        """As soon as may be; how many of them there are."""
        now, count = self.moment().now, 0
        for key in keys:
            if self.environments.host(key) is None:
                continue
            count += 1
            self.queue.add(Turn(key, now, priority, reason))
            # A person, or a new revision, may have mended what was wrong.
            if priority in (Priority.ASKED, Priority.REVISION) and key in self.standings:
                self.standings[key] = replace(self.standings[key], failures=0, parked=False)
        self.wake()
        return count

    def begin(self, keys: Iterable[HostKey]) -> None:
        """Hosts that nobody has looked at yet, each at its own moment of the first period."""
        at = self.moment()
        for key in keys:
            period = min(self.rules.period(key[0]), 10.0)
            self.queue.add(Turn(key, at.now + period * phase(key), Priority.SWEEP, "first look"))
        self.wake()

    def forget(self, keys: Collection[HostKey]) -> None:
        for key in keys:
            self.queue.forget(key)
            self.standings.pop(key, None)
            self.memories.pop(key, None)
        self.outages.forget(keys)

    def doubt(self, keys: Iterable[HostKey]) -> None:
        """Nothing that is remembered of them counts any more."""
        for key in keys:
            self.memories.pop(key, None)

    def record(self, error: str) -> None:
        """Whether the record can be written, and why not."""
        if bool(error) != bool(self.record_error):
            self.events.put("record", error=error)
        self.record_error = error

    def wake(self) -> None:
        self._wake.set()

    @property
    def running(self) -> int:
        return len(self._work)

    async def run(self) -> None:
        """Until cancelled; passes under way go on."""
        while True:
            self._wake.clear()
            at = self.moment()
            more = self._start(at)
            self.turned = at.now
            if more:
                await asyncio.sleep(0)  # those that began come first, and whoever else wants to be heard
                continue
            # By the same clock: 0 means those whose environment has its share already, and they wait for an end.
            wait = self.queue.wait(at.now) if self.running < self.rules.passes else None
            try:
                async with asyncio.timeout(min(wait or 1.0, 1.0)):  # an end wakes us, too
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def halt(self, keys: Collection[HostKey] | None = None, grace: float = 4.0) -> None:
        """No pass that writes on these hosts (None: any) begins another script; what is not over after `grace` seconds
        is cut short, and nobody knows how that ended. Passes that only look end as they like."""
        work = [one for key, one in self._work.items() if (keys is None or key in keys) and one.asked.write]
        for one in work:
            one.halted = True
        self.overtake()
        tasks = [one.task for one in work if one.task is not None]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=grace)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def overtake(self) -> None:
        """Passes that write what Git says no more, or what may not be written any more, end between two resources:
        nobody waits for the rest of a long script."""
        for one in self._work.values():
            if one.asked.started and not one.told and one.asked.stop is not None and one.asked.stop():
                one.told = True
                task = asyncio.create_task(self._tell_to_stop(one))
                self._telling.add(task)
                task.add_done_callback(self._telling.discard)

    async def _tell_to_stop(self, work: _Work) -> None:
        """Again and again until it has ended: a script that is not yet under way on the host does not hear of it."""
        while work.task is not None and not work.task.done():
            await self.parts.sessions.halt(work.asked.spec.target)
            await asyncio.wait([work.task], timeout=HALT_AGAIN)

    async def aclose(self, grace: float) -> None:
        """The end: like `halt`, and whoever only looks is not waited for."""
        looking = [one.task for one in self._work.values() if not one.asked.write and one.task is not None]
        for task in looking:
            task.cancel()
        await asyncio.gather(self.halt(None, grace), *looking, return_exceptions=True)

    def _start(self, at: Moment) -> bool:
        """A few passes; whether there may be more of them."""
        for _ in range(min(AT_ONCE, self.rules.passes - self.running)):
            turn = self.queue.take(at.now, self._full())
            if turn is None:
                return False
            spec = self.environments.host(turn.key)
            if spec is None:
                self.queue.done(turn.key)
                continue
            pause = self.outages.wait(turn, self.moment())
            held = replace(turn, reason=WHY) if pause > 0 else turn
            if pause <= 0 and turn.priority is Priority.RETRY:
                pause = self._retry(at.now)
            if pause > 0:
                self.queue.done(turn.key)
                self.queue.add(replace(held, due=at.now + pause))
                continue
            self.outages.begin(turn, at.now)
            self._counts[turn.key[0]] += 1
            self.retried[turn.key[0]] += turn.priority is Priority.RETRY
            work = self._work[turn.key] = _Work(*self._asked(turn.key, spec))
            work.task = asyncio.create_task(self._one(turn.key, work), name=spec.label)
        return self.running < self.rules.passes

    def _full(self) -> set[str]:
        """Environments that have their share: none has the last quarter while there are others."""
        if len(self.environments.places) < 2:
            return set()
        most = self.rules.passes - self.rules.passes // 4
        return {name for name, count in self._counts.items() if count >= most}

    def _retry(self, now: float) -> float:
        """Seconds that a second try has to wait: there are only so many, whoever they are for."""
        if self._retries is None:
            self._retries = Bucket(*self.rules.retries)
        pause = self._retries.wait(now)
        if pause <= 0:
            self._retries.take(now)
        return pause

    def _asked(self, key: HostKey, spec: HostSpec) -> tuple[Asked, bool]:
        """And whether everything is looked at."""
        at, known = self.moment(), self.standings.get(key, Standing())
        full = at.now - known.full >= FULL or key not in self.memories
        if full:
            self.memories.pop(key, None)
            self.standings[key] = known = replace(known, full=at.now)
        held = known.held(at.now)
        if held:
            reported = (replace(r, drift="report") if r.id in held else r for r in spec.resources)
            spec = replace(spec, resources=tuple(reported))
        memory = self.memories.setdefault(key, Memory())
        write = not self.rules.may_write(spec)
        return Asked(spec, 0, write, known.settled, known.withheld, memory, known.cut, None, known.last), full

    async def _one(self, key: HostKey, work: _Work) -> None:
        asked = work.asked
        asked.stop = lambda: work.halted or self._overtaken(key, asked.spec)
        ended: Passed | None = None
        try:
            parts = replace(self.parts, kinds=self.environments.kinds(key[0]))
            if work.full and self.before is not None:
                await self.before(asked.spec)
            asked.run = await self._run(key)
            ended = await one_pass(asked, parts, self.watcher)
            self.record("")
        except HistoryError as error:
            self.record(str(error))
        except asyncio.CancelledError:
            if asked.started:
                ended = Passed(cut_short(asked.spec, asked.started))
            if not work.halted:
                raise
        except Exception as error:  # a mistake of ours, or its environment left Git just now: nobody else's trouble
            if self.environments.host(key) is not None:
                self.events.put("parked", *key, error=repr(error))
        finally:
            self._ended(asked.spec, ended)
        await self.parts.sessions.trim(self.rules.connections, self._in_use)

    async def tidy(self) -> None:
        """Connections to what is no host of ours any more are closed."""
        await self.parts.sessions.keep({spec.target for spec in self.environments}, self._in_use())

    def _in_use(self) -> set[Target]:
        return {one.asked.spec.target for one in self._work.values()}

    def _overtaken(self, key: HostKey, spec: HostSpec) -> bool:
        """Git says something newer of the host: what was begun for the old is not finished first."""
        now = self.environments.host(key)
        return now is None or now.digest != spec.digest or self.rules.ordered(spec)

    async def _run(self, key: HostKey) -> int:
        """The number in the record under which passes of one environment at one revision stand."""
        at = (key[0], self.environments.places[key[0]].revisions[key[1]])
        if at not in self.runs:
            start = self.parts.journal.start_run("serve", *at, self.parts.telemetry.trace_id)
            self.runs[at] = asyncio.ensure_future(start)
        try:
            return await asyncio.shield(self.runs[at])
        except HistoryError:
            self.runs.pop(at, None)
            raise

    def _ended(self, about: HostSpec, ended: Passed | None) -> None:
        key = (about.environment, about.name)
        del self._work[key]
        self._counts[key[0]] -= 1
        at, spec = self.moment(), self.environments.host(key)
        self.queue.done(key)
        for turn in self.outages.ended(key, None if ended is None else ended.result.verdict, at):
            self.queue.add(turn)
        if spec is None:
            self.forget([key])
        elif ended is None:
            self.queue.add(Turn(key, at.now + RECORD_AGAIN, Priority.RETRY, "nothing came of it, and none is recorded"))
        else:
            try:
                self._stands(key, ended, at)
                self.heard(about, ended.result)
            except Exception as error:  # a mistake of ours: that host's trouble only
                self.queue.add(Turn(key, at.now + PARKED, Priority.SWEEP, "parked: fleet itself failed"))
                self.events.put("parked", *key, error=repr(error))
        self.wake()

    def _stands(self, key: HostKey, ended: Passed, at: Moment) -> None:
        known, result = self.standings.get(key, Standing()), ended.result
        stands, turn = after(known, key, result, self.rules.period(key[0]), at)
        if ended.settled is not None:
            stands = replace(stands, settled=ended.settled, withheld=tuple(ended.withheld))
        if result.verdict not in (Verdict.IN_SYNC, Verdict.CHANGED, Verdict.PENDING, Verdict.DRIFTED):
            self.memories.pop(key, None)
        self.standings[key] = stands
        self.queue.add(turn)
        self._tell(key, known, stands)

    def _tell(self, key: HostKey, before: Standing, now: Standing) -> None:
        assert now.last is not None
        news = before.verdict != now.verdict or now.last.outcomes
        if news or self.events.detailed():
            said = told(before.verdict, now.last, self.environments.places[key[0]].revisions.get(key[1], ""))
            (self.events.put if news else self.events.detail)("pass", *key, **said)
        if now.parked and not before.parked:
            self.events.put("parked", *key, verdict=now.verdict, failures=now.failures, error=str(now.last.error or ""))
        for name, one in now.fights.items():
            if one.rounds > before.fights.get(name, one).rounds or (one.rounds and name not in before.fights):
                self.events.put("fought", *key, resource=name, times=len(before.fights.get(name, one).times) + 1)


class Quiet:
    """A Watcher that says nothing."""

    def stage(self, host: str, stage: str) -> None: ...

    def outcome(self, host: str, outcome: Outcome) -> None: ...

    def done(self, result: PassResult) -> None: ...


def clock_moment(chance: Callable[[], float]) -> Callable[[], Moment]:
    """The machine's."""
    return lambda: Moment(time.monotonic(), time.time(), chance())
