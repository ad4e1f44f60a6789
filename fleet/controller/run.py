"""One run: a pass over each of many hosts, side by side, with intent before and result after.

Input: HostSpecs and the parts a pass needs; output: a PassResult per host, collected in `Run.results` as they come, so
that what was done is known however the run ends. Limits on handshakes and running scripts are the transports' own.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fleet.controller.prune import ROLE, ledger
from fleet.controller.sessions import Sessions
from fleet.converge.drive import Intent, run_pass
from fleet.converge.witness import Memory
from fleet.errors import Failure, FleetError, HistoryError, SecretError, TransportError
from fleet.history.masked import masked_plan
from fleet.masking import Masker
from fleet.model.change import PassResult, Plan, Verdict
from fleet.model.host import HostSpec, Resource
from fleet.model.kind import Kind
from fleet.model.port import Journal, Watcher
from fleet.model.step import Write
from fleet.secrets.vault import Vault
from fleet.telemetry import Telemetry
from fleet.transports.opening import Opener, OpeningSession

Intend = Callable[[Plan, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Parts:
    """What every run needs, made once by `app`."""

    kinds: Mapping[str, Kind]
    sessions: Sessions
    journal: Journal
    telemetry: Telemetry
    vault: Vault
    masker: Masker


@dataclass(slots=True)
class Run:
    """What is asked for and what came of it. results: by host (environment, name), in the order they finished.

    write: False only plans. memories: (environment, name) → what is remembered of the host; empty: look at everything.
    withheld: (environment, name) → resources that held a secret when they were last seen.
    interrupted: the run was cancelled; hosts without a result were not begun, or only looked at.
    """

    number: int
    write: bool
    settled: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    memories: Mapping[tuple[str, str], Memory] = field(default_factory=dict)
    withheld: Mapping[tuple[str, str], Collection[str]] = field(default_factory=dict)
    results: dict[tuple[str, str], PassResult] = field(default_factory=dict)
    interrupted: bool = False


async def run_all(run: Run, hosts: Sequence[HostSpec], parts: Parts, watcher: Watcher) -> None:
    """Every host once. A cancelled run stops its hosts' scripts, keeps what it knows, and returns."""
    try:
        async with asyncio.TaskGroup() as group:
            for spec in hosts:
                group.create_task(_one(run, spec, parts, watcher), name=spec.label)
    except asyncio.CancelledError:
        run.interrupted = True
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
    await parts.journal.finish_run(run.number, [result.verdict for result in run.results.values()])


async def _one(run: Run, spec: HostSpec, parts: Parts, watcher: Watcher) -> None:
    started = list[Plan]()

    async def intend(plan: Plan, attempt: str) -> None:
        await parts.journal.intend(run.number, plan, attempt)
        started.append(plan)

    with parts.telemetry.span("host", host=spec.label, environment=spec.environment) as span:
        try:
            result = await _pass(run, spec, parts, watcher, intend)
        except asyncio.CancelledError:
            if started:
                run.results[spec.environment, spec.name] = _cut(spec, started)
            raise
        except HistoryError:
            raise  # what cannot be recorded is not done, on any host
        except SecretError as error:  # before anything was sent that needs it
            plan = started[-1] if started else None
            result = PassResult(spec.name, spec.environment, Verdict.FAILED, plan=plan, error=error)
        except Exception as error:
            # A mistake of ours that one host brings to light is that host's trouble only.
            result = _broken(spec, started, error)
        # Now, while it is whole: what is made for a screen is cut, and half a secret is not known for one.
        shown = None if result.plan is None else masked_plan(result.plan, parts.masker.value)
        result = replace(result, plan=shown, error=_masked(result.error, parts.masker))
        span.set(verdict=str(result.verdict), round_trips=result.round_trips)
        await parts.journal.record(run.number, result, parts.telemetry.trace_id)
        made, gone = ledger(spec, result, parts.kinds)
        if made or gone:
            await parts.journal.keep_made(spec.environment, spec.name, made, gone)
        if result.plan is not None and result.verdict not in (Verdict.UNREACHABLE, Verdict.UNKNOWN):
            right = _right(spec, result.plan, result)
            withheld = _withheld(spec, right, run.withheld.get((spec.environment, spec.name), ()))
            await parts.journal.settle(spec.environment, spec.name, right, withheld)
    run.results[spec.environment, spec.name] = result
    watcher.done(result)


async def _pass(run: Run, spec: HostSpec, parts: Parts, watcher: Watcher, intend: Intend) -> PassResult:
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
    key = (spec.environment, spec.name)
    intent = Intent(
        write=_writer(spec) if run.write else None,
        intend=intend,
        settled=run.settled.get(key, {}),
        memory=run.memories.get(key),
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


def closed(resource: Resource, withheld: Collection[str]) -> bool:
    """Whether what stands in a resource's place may be of one of these: of itself, or of a block in what is now a file
    as a whole."""
    if resource.kind == "file" and any(one.startswith(f"block:{resource.name}#") for one in withheld):
        return True
    return resource.id in withheld


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


def _cut(spec: HostSpec, started: Sequence[Plan]) -> PassResult:
    """What is known of a host whose change was interrupted from here: that nobody knows."""
    return PassResult(
        spec.name,
        spec.environment,
        Verdict.UNKNOWN,
        plan=started[-1],
        error=TransportError(Failure.LOST, "interrupted while changing it", "plan again to see how it is"),
    )
