"""A command by hand as it goes: asked about, run, told; hosts and the words in, an Answer out."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from typing import Any

import click

from fleet.app import App
from fleet.cli.answer import Answer, show
from fleet.cli.controlling import client_of
from fleet.cli.exit_codes import ExitCode, exit_code
from fleet.cli.opening import source_document
from fleet.cli.options import Invocation
from fleet.cli.printable import one_line
from fleet.cli.ranges import by_environment
from fleet.cli.render_exec import closing, document, render
from fleet.cli.running import ask
from fleet.cli.words import count
from fleet.controller.executing import Asked, Call
from fleet.controller.orders import in_words, over
from fleet.desired.compile import Fleet
from fleet.errors import FleetError, SecretError, UsageError
from fleet.history.execs import NOTHING_RUN
from fleet.history.records import Ordered
from fleet.model.executed import Executed
from fleet.model.host import HostSpec

TELL_EVERY = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class Job:
    """What is run, and how it is told."""

    app: App
    fleet: Fleet
    hosts: tuple[HostSpec, ...]
    asked: Asked
    invocation: Invocation

    def note(self, text: str) -> None:
        if not self.invocation.json:
            show(self.invocation.masker.text(text), error=True, color=self.invocation.color)


async def carry_out(job: Job, even_frozen: bool, yes: bool) -> Answer:
    """Raises UsageError: hosts are frozen; SecretError: nothing could be masked; HistoryError. In each case nothing was
    run."""
    status = await asyncio.to_thread(_controller, job.invocation)
    if not even_frozen and (reasons := await _held(job, status)):
        raise UsageError(f"{'; '.join(reasons)}; nothing was run: say --even-frozen if that is meant")
    if status is not None:
        what = "the controller on this machine looks at these hosts afterwards, and corrects drift where it may"
        job.note(click.style(f"note: {what}", fg="yellow"))
    if len(job.hosts) > 1 and not yes and not await _agreed(job):
        return Answer("nothing was run", exit_code=ExitCode.PENDING)
    call = await _told(job)
    looks = await asyncio.to_thread(_look_again, job.invocation, call) if status is not None else 0
    return _answer(job, call, looks)


async def _agreed(job: Job) -> bool:
    names = one_line(by_environment((h.environment, h.name) for h in job.hosts), 2000)
    question = f"{names}\nrun {one_line(job.asked.text)} on {count(len(job.hosts), 'host')}?"
    return await ask(job.invocation.masker.text(question), job.invocation.color)


async def _held(job: Job, status: dict[str, Any] | None) -> list[str]:
    """Freezes and pauses over these hosts: on record here, and as the controller tells them, whose record may be
    another."""
    told = [] if status is None else [*([status["frozen"]] if status["frozen"] else []), *status["orders"]]
    orders = {one["scope"]: Ordered(**one) for one in told}
    found = {one.scope: one for host in job.hosts if (one := over(orders, host)) is not None}
    found |= {one.scope: one for one in await job.app.held(job.hosts)}
    return [one_line(in_words(one), 400) for _, one in sorted(found.items())]


async def _told(job: Job) -> Call:
    """The call, with a line every few seconds on how far it is."""
    done: list[Executed] = []

    async def tell() -> None:
        while True:
            await asyncio.sleep(TELL_EVERY)
            job.note(f"{len(done):,} of {count(len(job.hosts), 'host')} done")

    telling = asyncio.create_task(tell())
    try:
        return await job.app.execute(job.fleet, job.hosts, job.asked, done.append)
    except SecretError as error:
        hint = "or say --no-output, which neither shows nor keeps what is printed"
        raise SecretError(f"what hosts print could not be masked: {error}; {hint}") from None
    finally:
        telling.cancel()


def _controller(invocation: Invocation) -> dict[str, Any] | None:
    """What it tells of itself; None where none runs, or none that this user may ask."""
    try:
        return client_of(invocation).status()
    except FleetError:
        return None


def _look_again(invocation: Invocation, call: Call) -> int:
    """How many hosts the controller looks at now. It is asked, and not needed."""
    touched = [f"{one.environment}/{one.host}" for one in call.results.values() if str(one.status) not in NOTHING_RUN]
    try:
        return client_of(invocation).reconcile(touched) if touched else 0
    except FleetError:
        return 0


def _answer(job: Job, call: Call, looks: int) -> Answer:
    order = [(host.environment, host.name) for host in job.hosts]
    results = [call.results[key] for key in order]
    code = exit_code((one.status.verdict for one in results), call.interrupted)
    blocks = [render(results, max(shutil.get_terminal_size((80, 24)).columns, 60))]
    if call.interrupted:
        blocks.append(click.style("interrupted", fg="magenta", bold=True))
    next_ = f"the controller looks at {count(looks, 'host')} now: see `fleet drift`" if looks else (
        "`fleet plan` with the same hosts shows what it left"
    )  # fmt: skip
    blocks.append(f"{closing(results)}; on record as run {call.number}\n{click.style('next: ', bold=True)}{next_}")
    counted: dict[str, int] = {}
    for one in results:
        counted[str(one.status)] = counted.get(str(one.status), 0) + 1
    said = {
        **source_document(job.fleet),
        "run": call.number,
        "reason": job.asked.reason,
        "run_command": job.asked.text,
        "interrupted": call.interrupted,
        "summary": counted,
        "hosts": [document(one) for one in results],
    }
    return Answer("\n\n".join(blocks), said, code)
