"""A person's own command on many hosts, side by side: on record before the first byte, its result after.

It takes each host's lock, as an apply does: neither sees the other's work half done, and what an apply has compared and
not yet swapped is nobody else's. An apply holds that lock for seconds; one that hangs is ended by its own deadline. It
moves no fence and keeps no journal, so that it needs no room on a full disk, and a cut apply is still found as it was.
"""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from fleet.controller.one import Parts
from fleet.errors import TransportError
from fleet.history.execs import Execs
from fleet.model.executed import Ended, Executed
from fleet.model.host import HostSpec
from fleet.model.secret import SecretSource
from fleet.model.step import Batch, Command, Outcome, Status, Task, Write
from fleet.transports.opening import Opener, OpeningSession

TASK = "exec"
CAP = 64 * 1024  # bytes of output that are kept of one host
# Seconds that the host may take on top of the command's own time, to end what is left of it and to say so.
MARGIN = 10.0

_LOST = "the connection was lost before its end was heard: look at the host before you run it again"
_ENDLESS = "it printed without end and was stopped"
_CUT = "interrupted from here while it ran; it was told to stop"


@dataclass(frozen=True, slots=True)
class Asked:
    """words: one is a line for sh, several are a program and its words, which no shell sees. timeout: seconds.

    parallel: hosts at a time. silent: what it prints is neither kept nor shown.
    """

    words: tuple[str, ...]
    reason: str
    timeout: float = 60.0
    parallel: int = 32
    silent: bool = False

    @property
    def text(self) -> str:
        """As one would type it into a shell."""
        return self.words[0] if len(self.words) == 1 else shlex.join(self.words)

    @property
    def step(self) -> Command:
        if len(self.words) == 1:
            return Command(shell=self.words[0], timeout=self.timeout)
        return Command(argv=self.words, timeout=self.timeout)


@dataclass(slots=True)
class Call:
    """One call and what came of it. number: of its run in the record. heard: gets each result as it comes."""

    number: int
    asked: Asked
    heard: Callable[[Executed], None]
    results: dict[tuple[str, str], Executed] = field(default_factory=dict)
    interrupted: bool = False


def secrets_of(hosts: Iterable[HostSpec], environments: Collection[str]) -> dict[str, list[SecretSource]]:
    """Environment → all secrets that hosts of these environments, and the APIs beside them, hold: what may be printed
    there is not known beforehand."""
    found: dict[str, dict[SecretSource, None]] = {}
    for host in hosts:
        if host.environment in environments:
            found.setdefault(host.environment, {}).update(dict.fromkeys(host.secrets))
            for api in host.target.apis:
                found.setdefault(api.environment, {}).update(dict.fromkeys(api.secrets))
    return {name: list(sources) for name, sources in found.items() if sources}


async def execute(call: Call, hosts: Sequence[HostSpec], parts: Parts, execs: Execs) -> None:
    """Every host once; their intents are on disk. Never raises for what happens on hosts; a cancelled call stops what
    runs, writes down what it knows, and returns. Raises HistoryError."""
    turn = asyncio.Semaphore(call.asked.parallel)
    try:
        async with asyncio.TaskGroup() as group:
            for spec in hosts:
                group.create_task(_one(call, spec, parts, execs, turn), name=spec.label)
    except asyncio.CancelledError:
        call.interrupted = True
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
    for spec in hosts:
        if (key := (spec.environment, spec.name)) not in call.results:
            call.results[key] = Executed(*key, Ended.SKIPPED, error="interrupted before its turn came")
            await execs.ended(call.number, call.results[key])
    await parts.journal.finish_run(call.number, [str(one.status) for one in call.results.values()])


async def _one(call: Call, spec: HostSpec, parts: Parts, execs: Execs, turn: asyncio.Semaphore) -> None:
    """The APIs beside a host have no part in it, and their credentials are not needed."""
    target = replace(spec.target, apis=())
    key, began, sent = (spec.environment, spec.name), time.perf_counter(), False
    try:
        async with turn:
            session = await parts.sessions.get(target)
            sent = True
            masked = OpeningSession(session, Opener((), {}, parts.masker))
            outcomes = await masked.perform(_batch(call.asked, spec.environment))
        found = _read(spec, outcomes[TASK], call.asked.silent)
    except TransportError as error:  # nothing was begun
        found = Executed(*key, Ended.UNREACHABLE, error=parts.masker.text(str(error)))
    except asyncio.CancelledError:
        if sent:
            call.results[key] = Executed(*key, Ended.UNKNOWN, error=_CUT, seconds=time.perf_counter() - began)
            await execs.ended(call.number, call.results[key])
        raise
    except Exception as error:  # a mistake of ours that one host brings to light is that host's trouble only
        said = f"fleet itself failed on this host, please report it: {type(error).__name__}: {error}"
        found = Executed(*key, Ended.UNKNOWN if sent else Ended.FAILED, error=parts.masker.text(said))
    call.results[key] = replace(found, seconds=time.perf_counter() - began)
    await execs.ended(call.number, call.results[key])
    if found.status in (Ended.UNKNOWN, Ended.UNREACHABLE):
        await parts.sessions.drop(target)
    call.heard(call.results[key])


def _batch(asked: Asked, environment: str) -> Batch:
    return Batch((Task(TASK, (asked.step,)),), Write(environment, keeps=False), asked.timeout + MARGIN)


def _read(spec: HostSpec, outcome: Outcome, silent: bool) -> Executed:
    key = (spec.environment, spec.name)
    if outcome.step == -1 and outcome.code == 75:  # the host's half of the protocol says why it does not begin
        status = Ended.CONFLICT if outcome.status is Status.CONFLICT else Ended.FAILED
        return Executed(*key, status, error=outcome.output.decode(errors="backslashreplace").strip())
    output, cut = (b"", False) if silent else clipped(outcome.output)
    if outcome.status is Status.UNKNOWN:
        why = _ENDLESS if outcome.truncated else _LOST
        return Executed(*key, Ended.UNKNOWN, None, output, cut or (outcome.truncated and not silent), why)
    status = Ended.OK if outcome.status is Status.OK else Ended.FAILED
    return Executed(*key, status, outcome.code, output, cut or (outcome.truncated and not silent))


def clipped(output: bytes) -> tuple[bytes, bool]:
    """At most `CAP` bytes of it, its beginning and its end, and whether something is left out."""
    if len(output) <= CAP:
        return output, False
    left_out = len(output) - CAP
    return output[: CAP // 2] + b"\n[%d bytes left out]\n" % left_out + output[-CAP // 2 :], True
