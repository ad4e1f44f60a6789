"""A run over many hosts with its progress on the screen: hosts in, results and what was not finished out."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from fleet.cli import render_trace
from fleet.cli.answer import Answer
from fleet.cli.exit_codes import exit_code
from fleet.cli.json_output import results_document
from fleet.cli.opening import said_of, source_document
from fleet.cli.options import Invocation
from fleet.cli.printable import keep_colours, one_line
from fleet.cli.progress import progress
from fleet.cli.ranges import by_environment
from fleet.cli.render_change import Detail
from fleet.cli.render_plan import closing, render
from fleet.cli.tally import Tally
from fleet.cli.words import count
from fleet.model.change import PassResult
from fleet.model.host import HostSpec
from fleet.model.made import Made
from fleet.telemetry import HostTime

if TYPE_CHECKING:
    from fleet.app import App, Selection
    from fleet.desired.compile import Fleet


@dataclass(frozen=True, slots=True)
class Job:
    """What is run, and how it is told. again: the options that select the same hosts once more (" -e dev").

    short: which changes, without their diffs. orphans: how many objects are in Git no more that nobody asked to remove;
    left: those that cannot be, since Git says nothing of their API either.
    """

    app: App
    fleet: Fleet
    hosts: tuple[HostSpec, ...]
    invocation: Invocation
    again: str
    short: bool = False
    orphans: int = 0
    left: Sequence[Made] = ()


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of it. unfinished: hosts without a result, since the run was interrupted."""

    results: tuple[PassResult, ...]
    unfinished: tuple[HostSpec, ...] = ()
    interrupted: bool = False
    times: tuple[HostTime, ...] = ()
    trace_id: str = ""


async def with_orphans(job: Job, selection: Selection, prune: int | None) -> Job:
    """The job that also removes what Git names no more, at most `prune` objects; None: that only tells of them."""
    found = await job.app.orphans(job.fleet, selection)
    if prune is None:
        return replace(job, orphans=found.count)
    return replace(job, hosts=job.app.removing(job.fleet, job.hosts, found, prune), left=found.left)


async def run_hosts(job: Job, hosts: Sequence[HostSpec], apply: bool) -> Ran:
    """One pass over each; never raises for what happens on hosts. Cancelling it ends in a Ran that says so."""
    tally = Tally(len(hosts))
    doing = "changing" if apply else "looking at"
    try:
        async with progress(tally, doing, job.invocation.json, job.invocation.color):
            run = await job.app.run(job.fleet, tuple(hosts), apply, tally)
    except asyncio.CancelledError:
        return Ran(tuple(tally.results), _unfinished(hosts, tally.results), True)
    return Ran(tuple(run.results), _unfinished(hosts, run.results), run.interrupted, tuple(run.times), run.trace_id)


def answer(job: Job, ran: Ran, applied: bool) -> Answer:
    """The whole run for people and for programs."""
    detail = detail_of(job.invocation, job.short)
    code = exit_code((r.verdict for r in ran.results), ran.interrupted)
    blocks = [render(ran.results, detail), _unfinished_text(ran, applied)]
    if job.invocation.trace:
        blocks.append(render_trace.render(ran.times))
    if job.orphans and not applied:
        what = f"{count(job.orphans, 'object')} that fleet made behind APIs: the repository names no such any more"
        blocks.append(f"{what}\nsee them with --prune")
    for url, ones in groupby(sorted(job.left, key=lambda one: one.url), key=lambda one: one.url):
        names = one_line(", ".join(sorted(one.resource for one in ones)), 500)
        blocks.append(f"left at {url}, to which nothing in the repository leads any more: {names}")
    blocks.append(heading(job) + closing(ran.results, applied, job.again, len(ran.unfinished)))
    document: dict[str, Any] = {
        **source_document(job.fleet),
        "interrupted": ran.interrupted,
        **results_document(ran.results),
        "orphans": job.orphans,
        "unfinished": [{"host": h.name, "environment": h.environment} for h in ran.unfinished],
    }
    if job.invocation.trace:
        document["trace"] = render_trace.document(ran.times, ran.trace_id)
    return Answer("\n\n".join(filter(None, blocks)), document, code)


def heading(job: Job) -> str:
    """Which state of the repository a run was about."""
    return f"at {said_of(job.fleet)}: "


def detail_of(invocation: Invocation, short: bool = False) -> Detail:
    """-v shows whole diffs and all variants; never wider than the terminal."""
    width = max(shutil.get_terminal_size((80, 24)).columns, 60)
    most = 1_000_000
    return Detail(most, most, most, short, width) if invocation.verbose else Detail(short=short, width=width)


async def ask(question: str, color: bool | None) -> bool:
    """A question on the terminal, while connections stay alive. Only a plain yes is a yes; Ctrl-C cancels."""
    click.echo(keep_colours(question + " [y/N] "), nl=False, err=True, color=color)
    loop = asyncio.get_running_loop()
    said: asyncio.Future[bytes] = loop.create_future()
    fd = sys.stdin.fileno()

    def read() -> None:
        if not said.done():
            said.set_result(os.read(fd, 1000))

    loop.add_reader(fd, read)
    try:
        return (await said).strip().lower() in (b"y", b"yes")
    finally:
        loop.remove_reader(fd)


def _unfinished(hosts: Sequence[HostSpec], results: Sequence[PassResult]) -> tuple[HostSpec, ...]:
    known = {(r.environment, r.host) for r in results}
    return tuple(h for h in hosts if (h.environment, h.name) not in known)


def _unfinished_text(ran: Ran, applied: bool) -> str:
    if not ran.interrupted:
        return ""
    said = click.style("interrupted", fg="magenta", bold=True)
    if not ran.unfinished:
        return f"{said}, but every host had finished"
    names = one_line(by_environment((h.environment, h.name) for h in ran.unfinished), 2000)
    what = "not changed" if applied else "not looked at"
    return f"{said}: these hosts were {what}\n  {names}"
