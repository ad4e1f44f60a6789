"""One pass over one host with all that goes around it: the way there, its secrets, intent before and result after.

Input: what is asked and the parts that every pass needs; output: what it found, and what is right now. Never raises
for what happens on the host. Raises HistoryError: what cannot be recorded is not done. Cancelled: `Asked.started` tells
what was being changed, and how that ended nobody knows.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fleet.controller.prune import ROLE, ledger
from fleet.controller.sessions import Sessions
from fleet.converge.drive import Intent, run_pass
from fleet.converge.memory import Memory
from fleet.converge.unseen import unseen
from fleet.errors import Failure, FleetError, HistoryError, SecretError, TransportError
from fleet.history.masked import masked_plan
from fleet.masking import Masker
from fleet.model.change import PassResult, Plan, Verdict
from fleet.model.host import HostSpec, Resource
from fleet.model.kind import Kind
from fleet.model.port import Journal, Watcher
from fleet.model.step import Status, Write
from fleet.secrets.vault import Vault
from fleet.telemetry import Telemetry
from fleet.transports.opening import Opener, OpeningSession

Intend = Callable[[Plan, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Parts:
    """What every pass needs, made once by `app`."""

    kinds: Mapping[str, Kind]
    sessions: Sessions
    journal: Journal
    telemetry: Telemetry
    vault: Vault
    masker: Masker


@dataclass(slots=True)
class Asked:
    """What one pass is about. run: its number in the record. write: False only plans.

    settled: resource id → digest that an earlier pass found right. withheld: resources that held a secret when they
    were last seen. memory: what is remembered of the host; None: look at everything. cut: resources of which nobody
    knows how their change ended. stop: whether to begin nothing more. last: how the host was found before; a pass that
    finds the same is not written into the record again.
    started: gets the plan of each round that was sent.
    """

    spec: HostSpec
    run: int
    write: bool
    settled: Mapping[str, str] = field(default_factory=dict)
    withheld: Collection[str] = ()
    memory: Memory | None = None
    cut: Collection[str] = ()
    stop: Callable[[], bool] | None = None
    last: PassResult | None = None
    started: list[Plan] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Passed:
    """settled: resource id → digest of what was found as Git says, now or before; None: nobody could look.
    withheld: resources of which nothing may be shown."""

    result: PassResult
    settled: Mapping[str, str] | None = None
    withheld: Collection[str] = ()


async def one_pass(asked: Asked, parts: Parts, watcher: Watcher) -> Passed:
    spec, journal = _shielded(asked.spec, asked.withheld), parts.journal

    async def intend(plan: Plan, attempt: str) -> None:
        await journal.intend(asked.run, plan, attempt)
        asked.started.append(plan)

    with parts.telemetry.span("host", host=spec.label, environment=spec.environment) as span:
        try:
            result = await _pass(replace(asked, spec=spec), parts, watcher, intend)
        except HistoryError:
            raise  # what cannot be recorded is not done, on any host
        except SecretError as error:  # before anything was sent that needs it
            plan = asked.started[-1] if asked.started else None
            result = PassResult(spec.name, spec.environment, Verdict.FAILED, plan=plan, error=error)
        except Exception as error:
            # A mistake of ours that one host brings to light is that host's trouble only.
            result = _broken(spec, asked.started, error)
        # Now, while it is whole: what is made for a screen is cut, and half a secret is not known for one.
        shown = None if result.plan is None else masked_plan(result.plan, parts.masker.value)
        told, trace_id = _masked(result.error, parts.masker), parts.telemetry.trace_id
        result = replace(result, plan=shown, error=told, run=asked.run, id=secrets.token_hex(6), trace_id=trace_id)
        span.set(verdict=str(result.verdict), round_trips=result.round_trips)
        if _same(asked.last, result):
            began = time.time() - sum(result.seconds.values())
            in_sync = began if result.verdict is Verdict.IN_SYNC else None
            await journal.looked(spec.environment, spec.name, in_sync)
            if asked.last is not None and shown is not None and shown is asked.last.plan:
                return Passed(result, asked.settled, asked.withheld)  # the last look once more, see `Memory.same`
        else:
            await journal.record(asked.run, result, trace_id)
        made, gone = ledger(spec, result, parts.kinds)
        if made or gone:
            await journal.keep_made(spec.environment, spec.name, made, gone)
        if result.plan is None or result.verdict in (Verdict.UNREACHABLE, Verdict.UNKNOWN):
            return Passed(result)
        right = _right(spec, result.plan, result)
        settled = right | _still_settled(spec, asked.settled, result)
        withheld = _withheld(spec, right, asked.withheld)
        if asked.last is None or settled != asked.settled or set(withheld) != set(asked.withheld):
            await journal.settle(spec.environment, spec.name, settled, withheld)
        return Passed(result, settled, withheld)


def _same(last: PassResult | None, now: PassResult) -> bool:
    """Whether there is nothing to tell: nothing was done, and it is as it was."""
    if last is None or now.outcomes or now.verdict is not last.verdict or str(now.error) != str(last.error):
        return False
    before, found = last.plan, now.plan
    same = before is not None and found is not None and before.digest == found.digest
    return (same and last.remaining == now.remaining) or (found is None and before is None)


async def _pass(asked: Asked, parts: Parts, watcher: Watcher, intend: Intend) -> PassResult:
    spec = asked.spec
    watcher.stage(spec.label, "connect")
    began = time.perf_counter()
    try:
        with parts.telemetry.span("connect", host=spec.label):
            session = await parts.sessions.get(spec.target)
    except TransportError as error:
        seconds = {"connect": time.perf_counter() - began}
        return PassResult(spec.name, spec.environment, Verdict.UNREACHABLE, error=error, seconds=seconds)
    connected = time.perf_counter() - began
    opener: Opener | None = None
    if spec.secrets:
        opener = Opener(spec.resources, await parts.vault.values(spec), parts.masker)
    intent = Intent(
        write=_writer(spec) if asked.write else None,
        intend=intend,
        settled=asked.settled,
        memory=asked.memory,
        cut=asked.cut,
        stop=asked.stop,
        unseen=unseen(asked.last, spec, parts.kinds),
        telemetry=parts.telemetry,
        seal=opener.seal if opener is not None else None,
    )
    before = session.round_trips
    traced = parts.telemetry.traced(session, spec.label)
    open_ = OpeningSession(traced, opener) if opener is not None else traced
    result = await run_pass(spec, open_, parts.kinds, intent, watcher)
    if result.verdict in (Verdict.UNREACHABLE, Verdict.UNKNOWN):
        await parts.sessions.drop(spec.target)
    return replace(
        result,
        seconds={"connect": connected, **result.seconds},
        round_trips=result.round_trips - before,
    )


def _right(spec: HostSpec, plan: Plan, result: PassResult) -> dict[str, str]:
    """Resource id → digest of what the last look found as Git says."""
    wrong = set(result.remaining) | set(plan.unreadable) | set(plan.waiting)
    if not result.outcomes:
        wrong |= {change.resource.id for change in plan.changes}
    return {r.id: r.digest for r in spec.resources if r.id not in wrong and r.role != ROLE}


def _still_settled(spec: HostSpec, settled: Mapping[str, str], result: PassResult) -> dict[str, str]:
    """What was right once, and is not now since the host moved, or nobody could see: Git still asks for nothing new.
    Otherwise drift that is only reported would be corrected the second time."""
    tried = {name for name, one in result.outcomes.items() if one.status not in (Status.OK, Status.HALTED)}
    cut = {name for name, cause in result.causes.items() if cause == "interrupted"}
    return {
        r.id: r.digest
        for r in spec.resources
        if settled.get(r.id) == r.digest and r.id not in tried and r.id not in cut
    }


def _closed(resource: Resource, withheld: Collection[str]) -> bool:
    """Whether what stands in a resource's place may be of one of these: of itself, or of a block in what is now a file
    as a whole."""
    if resource.kind == "file" and any(one.startswith(f"block:{resource.name}#") for one in withheld):
        return True
    return resource.id in withheld


def _shielded(spec: HostSpec, withheld: Collection[str]) -> HostSpec:
    """What held a secret until now is not shown on its way to what holds none."""
    if not withheld or not any(
        _closed(one, withheld) and not one.secrets and not one.sensitive for one in spec.resources
    ):
        return spec
    found = (
        replace(one, sensitive=True) if not one.secrets and _closed(one, withheld) else one for one in spec.resources
    )
    return replace(spec, resources=tuple(found))


def _withheld(spec: HostSpec, right: Mapping[str, str], before: Collection[str]) -> list[str]:
    """Resources of which an earlier content must not be shown: those with secrets, and those that had some and are not
    yet what they should be now (`App` marks these sensitive). What nobody manages any more may stand there still."""
    found = [
        one.id
        for one in spec.resources
        if one.secrets or getattr(one.spec, "sensitive", False) or (one.sensitive and one.id not in right)
    ]
    known = {one.id for one in spec.resources}
    over = tuple(f"block:{one.name}#" for one in spec.resources if one.kind == "file" and one.id in right)
    return found + [one for one in before if one not in known and not one.startswith(over)]


def _writer(spec: HostSpec) -> Callable[[int], Write]:
    """Tokens that only grow, whatever this machine's clock says, and a fresh name for every attempt."""

    def write(fence: int) -> Write:
        return Write(spec.environment, max(time.time_ns() // 1_000_000, fence + 1), secrets.token_hex(8))

    return write


def _masked(error: FleetError | None, masker: Masker) -> FleetError | None:
    """What a host says when it ends badly may be what it was given."""
    if error is None or masker.text(str(error)) == str(error):
        return error
    if isinstance(error, TransportError):
        return TransportError(error.failure, masker.text(error.message), masker.text(error.hint))
    return type(error)(masker.text(str(error)))


def _broken(spec: HostSpec, started: Sequence[Plan], error: Exception) -> PassResult:
    """fleet itself failed on this host; what it had begun to change there is unknown."""
    what = FleetError(f"fleet itself failed on this host, please report it: {type(error).__name__}: {error}")
    verdict = Verdict.UNKNOWN if started else Verdict.FAILED
    return PassResult(spec.name, spec.environment, verdict, plan=started[-1] if started else None, error=what)


def cut_short(spec: HostSpec, started: Sequence[Plan]) -> PassResult:
    """What is known of a host whose change was interrupted from here: that nobody knows."""
    return PassResult(
        spec.name,
        spec.environment,
        Verdict.UNKNOWN,
        plan=started[-1],
        error=TransportError(Failure.LOST, "interrupted while changing it", "plan again to see how it is"),
    )
