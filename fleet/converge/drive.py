"""The pass: one host once through look, plan, apply and look again, over any Session.

Input: a HostSpec, a Session and what the caller decides (`Intent`); output: a PassResult. Never raises for what happens
on the host; a lost connection is *unreachable* while looking and *unknown* once something was being changed.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fleet.converge.look import STATE_TASK, HostState, Look, look, read_state, state_task
from fleet.converge.memory import Asked, Memory
from fleet.converge.plan import ancestors, plan
from fleet.converge.rounds import Round, next_round
from fleet.converge.unseen import ABSENT, WORDS
from fleet.converge.witness import Witnesses, witness_task
from fleet.errors import Failure, FleetError, IdentityError, TransportError
from fleet.model.change import Cause, Change, Observed, PassResult, Plan, Verdict
from fleet.model.host import HostSpec, Resource
from fleet.model.kind import Kind
from fleet.model.port import Session, Watcher
from fleet.model.step import Batch, Command, Outcome, Script, Status, Task, Write
from fleet.telemetry import Telemetry

# A host that needs more scripts than this for one pass is going round in circles.
MAX_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Intent:
    """What a pass may do. write: makes the writer's token from the host's last one; None: only look and plan.

    intend: called with each round's Plan and the attempt's name before anything of it is sent; returns when the intent
    is on disk. settled: resource id → digest that an earlier pass verified, to tell drift from what Git asks for.
    memory: what is remembered of this host since the last pass; None: look at everything. telemetry: hears of plans.
    seal: an observation as it may be kept, on a host with secrets. cut: resources of which nobody knows how their last
    change ended. stop: asked before each script; once it says True nothing more is begun. unseen: what must not be
    made once more, see unseen.py.
    """

    write: Callable[[int], Write] | None = None
    intend: Callable[[Plan, str], Awaitable[None]] | None = None
    settled: Mapping[str, str] = field(default_factory=dict)
    memory: Memory | None = None
    telemetry: Telemetry | None = None
    seal: Callable[[Resource, Observed], Observed] | None = None
    cut: Collection[str] = ()
    stop: Callable[[], bool] | None = None
    unseen: Collection[str] = ()


@dataclass(slots=True)
class _Pass:
    """What is known so far. Lives for one pass."""

    spec: HostSpec
    session: Session
    kinds: Mapping[str, Kind]
    watcher: Watcher
    telemetry: Telemetry
    seal: Callable[[Resource, Observed], Observed] | None = None
    settled: Mapping[str, str] = field(default_factory=dict)
    observed: dict[str, Observed] = field(default_factory=dict)
    proof: dict[str, tuple[str, ...] | None] = field(default_factory=dict)
    state: HostState = field(default_factory=HostState)
    planned: Plan | None = None
    first: Plan | None = None
    changes: dict[str, Change] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    lost: bool = False
    stopped: bool = False
    owed: frozenset[str] = frozenset()

    async def perform(self, stage: str, batch: Batch) -> Mapping[str, Outcome]:
        self.watcher.stage(self.spec.label, stage)
        started = time.perf_counter()
        looks = {task.id for task in batch.tasks if task.id.startswith("look:")}

        def report(outcome: Outcome) -> None:
            if outcome.id not in looks:
                self.watcher.outcome(self.spec.label, outcome)

        try:
            return await self.session.perform(batch, report)
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - started

    async def observe(self, memory: Memory | None) -> None:
        """The first look. With a memory of this host: one `stat`, and only what it does not vouch for in full. Behind
        an API nothing vouches for anything, and nothing of ours is kept: there the memory is the last answer."""
        resources = self.spec.resources
        if memory is not None and (memory.seen or self.spec.target.type == "http"):
            asked, outcomes = await self._sweep(memory)
            if self.planned is not None:
                return
            now = memory.last
            self.observed |= memory.recall([r for r in resources if r.id not in self.observed], now)
            resources = tuple(r for r in resources if r.id not in self.observed)
            state = memory.recall_state(now) if asked.witnessed else HostState()
            if not resources and state is not None:
                self.state = state
                memory.remember(asked, outcomes, self.observed, self.plan())
                return
        then = await self._look(resources, self.spec.resources, memory)
        if memory is not None:
            memory.keep(resources, self.observed, self.proof, then)

    async def _sweep(self, memory: Memory) -> tuple[Asked, Mapping[str, Outcome]]:
        """One round trip: all witnesses, and a look at what has none. The last answer once more means the same."""
        asked = memory.asked_before(self.spec)
        if asked is None:
            unproven = look(memory.unproven(self.spec.resources), self.kinds)
            asked = Asked.about(self.spec, unproven, memory.paths(self.spec.resources, self.kinds))
        outcomes = await self.perform("observe", Batch(asked.tasks, deadline=self.spec.target.timeout))
        _all_known(asked.tasks, outcomes)
        now = memory.witnesses(asked.tasks, outcomes)
        before = memory.same(asked, outcomes)
        state = memory.recall_state(now) if asked.witnessed else HostState()
        if before is not None and state is not None:
            self.observed, self.planned, self.state = dict(before.observed), before.plan, state
        else:
            self._learn(asked.looked, outcomes)
            memory.keep(asked.looked.resources, self.observed, self.proof, now)
        return asked, outcomes

    async def _look(
        self, resources: Sequence[Resource], witness: Sequence[Resource], memory: Memory | None
    ) -> Witnesses | None:
        """One round trip: witnesses first, then what they should vouch for, and the host's own memory."""
        wanted = look(resources, self.kinds)
        first = (witness_task(memory.paths(witness, self.kinds)),) if memory is not None else ()
        tasks = (*first, state_task(), *wanted.tasks)
        outcomes = await self.perform("observe", Batch(tasks, deadline=self.spec.target.timeout))
        _all_known(tasks, outcomes)
        self.state = read_state(outcomes.get(STATE_TASK))
        if self.state.environment not in ("", self.spec.environment):
            raise IdentityError(
                f"{self.spec.name} belongs to environment {self.state.environment!r}, not {self.spec.environment!r}: "
                "nothing was changed; if it really moved, remove /var/lib/fleet/environment on it"
            )
        self._learn(wanted, outcomes)
        if memory is None:
            return None
        then = memory.witnesses(tasks, outcomes)
        memory.keep_state(self.state, then)
        return then

    def _learn(self, looked: Look, outcomes: Mapping[str, Outcome]) -> None:
        found = looked.read(outcomes)
        if self.seal is not None:
            found |= {one.id: self.seal(one, found[one.id]) for one in looked.resources if one.secrets}
        for one in looked.resources:
            seen = found[one.id]
            if one.desired and isinstance(seen, Mapping) and self._written(one):
                found[one.id] = {**seen, **{name: one.desired[name] for name in self.kinds[one.kind].unseen(one.spec)}}
        vouched = looked.vouched(outcomes)
        for one in looked.resources:
            witness = self.kinds[one.kind].witness(one)
            self.proof[one.id] = vouched.get(one.id) if witness is None else witness
        self.observed |= found
        self.planned = None

    def _written(self, resource: Resource) -> bool:
        """Whether it has attributes that cannot be read back, and these were written as they are declared now."""
        if not self.kinds[resource.kind].unseen(resource.spec):
            return False
        done = self.outcomes.get(resource.id)
        return self.settled.get(resource.id) == resource.digest or (done is not None and done.status is Status.OK)

    def plan(self) -> Plan:
        """From all that is known now; the same one until something more is."""
        if self.planned is not None:
            return self.planned
        with self.telemetry.span("plan", host=self.spec.label) as span:
            found = plan(self.spec, self.observed, self.state.due, self.kinds)
            span.set(changes=len(found.changes), unreadable=len(found.unreadable))
        self.planned = found
        return found

    async def apply(self, chosen: Round, write: Write) -> None:
        """One script: the round's tasks, then the look at what they touched. Learns what became of both."""
        again = look([r for r in self.spec.resources if r.id in chosen.look_at], self.kinds)
        tasks = (*chosen.tasks, *again.tasks, state_task())
        batch = Batch(tasks, write, deadline=self.spec.target.timeout + _asked(chosen.tasks))
        outcomes = await self.perform("apply", batch)
        for change in chosen.changes:
            one = change.resource.id
            carried = outcomes.get(chosen.joined[one], Outcome(one, Status.UNKNOWN))
            self.outcomes[one] = replace(carried, id=one)
        self._learn(again, outcomes)
        self.state = read_state(outcomes.get(STATE_TASK))
        self.lost = any(outcomes.get(t.id, Outcome(t.id, Status.UNKNOWN)).status is Status.UNKNOWN for t in tasks)


async def run_pass(
    spec: HostSpec, session: Session, kinds: Mapping[str, Kind], intent: Intent, watcher: Watcher
) -> PassResult:
    """One host once through the loop."""
    one = _Pass(spec, session, kinds, watcher, intent.telemetry or Telemetry(), intent.seal, intent.settled)
    error: FleetError | None = None
    try:
        await one.observe(intent.memory)
        one.first = one.plan()
        one.owed = frozenset(one.state.due)
        one.changes = {c.resource.id: c for c in one.first.changes}
        if intent.write is not None:
            await _converge(one, intent, intent.write)
    except (TransportError, IdentityError) as caught:
        error = caught
    return _result(one, intent, error)


async def _converge(one: _Pass, intent: Intent, write: Callable[[int], Write]) -> None:
    for _ in range(MAX_ROUNDS):
        current = one.plan()
        todo = _startable(one, current, intent)
        if not todo:
            return
        if intent.stop is not None and intent.stop():
            one.stopped = True
            return
        chosen = next_round(one.spec, todo, one.kinds)
        token = write(one.state.fence)
        one.changes |= {c.resource.id: c for c in chosen.changes}
        if intent.intend is not None:
            await intent.intend(replace(current, changes=chosen.changes), token.attempt)
        await one.apply(chosen, token)
        one.stopped = any(done.status is Status.HALTED for done in one.outcomes.values())
        if one.lost or one.stopped:
            return


def _startable(one: _Pass, current: Plan, intent: Intent) -> list[Change]:
    """Changes not tried yet in this pass. What needs something bad is skipped, and says so."""
    failed = {i for i, o in one.outcomes.items() if o.status is not Status.OK}
    bad = failed | set(current.unreadable) | set(current.waiting)
    todo = []
    for change in current.changes:
        name = change.resource.id
        if name in one.outcomes or _only_reported(change, intent):
            continue
        if name in intent.unseen and change.action == "create":
            one.changes[name] = change
            one.outcomes[name] = Outcome(name, Status.CONFLICT, output=WORDS)
            bad.add(name)
            continue
        blockers = sorted(ancestors(one.spec.graph, name) & bad)
        if blockers:
            one.changes[name] = change
            one.outcomes[name] = Outcome(name, Status.SKIPPED, output=f"needs {blockers[0]}".encode())
            continue
        todo.append(change)
    return todo


def _only_reported(change: Change, intent: Intent) -> bool:
    """Drift (Git did not move) of a resource whose drift is to be reported, not corrected. What is due is no drift."""
    resource = change.resource
    return not change.due and resource.drift == "report" and intent.settled.get(resource.id) == resource.digest


def _result(one: _Pass, intent: Intent, error: FleetError | None) -> PassResult:
    remaining: dict[str, str] | None = None
    last = one.plan() if one.first is not None else None
    if last is not None and intent.write is not None and not one.stopped:
        remaining = {c.resource.id: _still(c) for c in last.changes if not _only_reported(c, intent)}
    found = last
    if one.first is not None and last is not None and one.changes:
        order = [i for i in one.spec.graph.order if i in one.changes]
        found = replace(
            one.first, changes=tuple(one.changes[i] for i in order), unreadable=last.unreadable, waiting=last.waiting
        )
    return PassResult(
        one.spec.name,
        one.spec.environment,
        _verdict(one, last, remaining, error),
        found,
        one.outcomes,
        remaining or {},
        error,
        one.seconds,
        one.session.round_trips,
        {name: _cause(one, name, intent) for name in one.changes},
    )


def _cause(one: _Pass, name: str, intent: Intent) -> Cause:
    """Who moved: the host, Git, or neither, since an earlier change was cut short."""
    if name in intent.cut:
        return "interrupted"
    change = one.changes[name]
    if change.due and not change.attributes:
        return "interrupted" if name in one.owed else "intended"
    return "external" if intent.settled.get(name) == change.resource.digest else "intended"


def _verdict(one: _Pass, last: Plan | None, remaining: Mapping[str, str] | None, error: FleetError | None) -> Verdict:
    """The worst that happened, in the order of how much a person must care. remaining None: only planning."""
    statuses = {o.status for o in one.outcomes.values()}
    if isinstance(error, IdentityError) or Status.CONFLICT in statuses:
        return Verdict.CONFLICT
    if one.lost or Status.UNKNOWN in statuses:
        return Verdict.UNKNOWN
    if error is not None or last is None:
        return Verdict.UNREACHABLE
    if statuses & {Status.FAILED, Status.SKIPPED} or remaining or last.unreadable:
        return Verdict.FAILED
    if last.waiting and not last.changes:
        return Verdict.WAITING
    if one.outcomes and not (one.stopped and last.changes):
        return Verdict.CHANGED
    if last.changes:
        return Verdict.PENDING if remaining is None else Verdict.DRIFTED
    return Verdict.IN_SYNC


def _still(change: Change) -> str:
    if change.attributes:
        return "differs in " + ", ".join(change.attributes)
    if change.due:
        return f"{change.due} is still due"
    return "is still there" if change.after is None else ABSENT


def _asked(tasks: Sequence[Task]) -> float:
    """Seconds that users allow their own commands, and kinds long work, on top of what the host is allowed anyway."""
    return sum(step.timeout for task in tasks for step in task.steps if isinstance(step, Command | Script))


def _all_known(tasks: Sequence[Task], outcomes: Mapping[str, Outcome]) -> None:
    """While looking nothing was changed, so a lost connection is plain *unreachable*."""
    for task in tasks:
        outcome = outcomes.get(task.id)
        if outcome is None or outcome.status is Status.UNKNOWN:
            raise TransportError(Failure.LOST, "the connection was lost, or the time was up, while looking")
