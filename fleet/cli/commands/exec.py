"""`fleet exec`: a command by hand on hosts, with a record of who, why, where and what it said."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from fleet.cli.answer import Answer, show
from fleet.cli.exit_codes import ExitCode, exit_code
from fleet.cli.options import FleetCommand, Invocation
from fleet.cli.printable import one_line
from fleet.cli.selection import again, selects_hosts
from fleet.cli.words import count
from fleet.errors import FleetError, SecretError, UsageError
from fleet.model.duration import seconds, spelt

if TYPE_CHECKING:
    from fleet.app import App, Selection
    from fleet.controller.executing import Asked, Call
    from fleet.desired.compile import Fleet
    from fleet.model.executed import Executed
    from fleet.model.host import HostSpec

TELL_EVERY = 10.0  # seconds
LONGEST_REASON = 1000


class ExecCommand(FleetCommand):
    """Wants `--` before the other command, so that no option of that one is ever taken for one of ours."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        wants_help = any(name in args for name in ctx.help_option_names)
        if ctx.resilient_parsing or (wants_help and "--" not in args):
            return super().parse_args(ctx, args)
        example = "e.g. fleet exec -e dev --reason why -- uptime"
        if "--" not in args:
            raise click.UsageError(f"put -- before what is to be run, {example}", ctx)
        theirs = tuple(args[args.index("--") + 1 :])
        rest = super().parse_args(ctx, args)
        if ctx.params["words"] != theirs:
            raise click.UsageError(f"what is to be run stands after -- and nowhere else, {example}", ctx)
        return rest


def _timeout(ctx: click.Context, param: click.Parameter, value: str) -> float:
    from fleet.model.executed import LONGEST

    try:
        found = seconds(value)
    except ValueError as error:
        raise click.BadParameter(f"expected {error}, not {value!r}", ctx, param) from error
    if not 1 <= found <= LONGEST:
        raise click.BadParameter(f"expected from 1s to {spelt(LONGEST)}, not {value!r}", ctx, param)
    return found


@click.command(
    "exec",
    cls=ExecCommand,
    examples=(
        ("fleet exec -e prod --host web-1 --reason 'disk full' -- df -h /", "a program and its words, as they are"),
        ("fleet exec -e prod --role web --yes --reason INC-7 -- 'ps aux | sort -rk4 | head -3'",
         "one word: a line for sh, with pipes and variables of the host"),
        ("fleet history --exec", "who ran what, where and why"),
    ),
)  # fmt: skip
@click.argument("words", nargs=-1, required=True, metavar="-- COMMAND...")
@selects_hosts
@click.option("--reason", default="", metavar="TEXT", help="Why; it stays on record. Needed.")
@click.option("--timeout", default="60s", show_default=True, callback=_timeout, help="Then it is ended on the host.")
@click.option("--parallel", type=click.IntRange(1, 1000), default=32, show_default=True, help="Hosts at a time.")
@click.option("--yes", is_flag=True, help="Do not ask. Needed for several hosts where there is no terminal.")
@click.option("--even-frozen", is_flag=True, help="Also on hosts that are frozen or paused.")
@click.option("--no-output", is_flag=True, help="Neither show nor keep what it prints: needs no key of a secret.")
@click.pass_obj
def command(
    invocation: Invocation, /, *, selection: Selection, words: tuple[str, ...], even_frozen: bool, **more: Any
) -> Answer:
    """Run a command by hand on hosts, and keep a record of it.

    For what cannot wait for a commit. It runs as root, with empty input; several words after -- are a program and its
    arguments, one word is a line for sh. Who, why, where and what it is are on record before anything is sent, what it
    printed after (64 kB a host, its secrets masked). Nothing runs on a host of another environment, or while an apply
    runs there. What it leaves behind is drift like any other: `fleet drift` tells it with this record beside it, and a
    controller corrects it where it may; `fleet pause` stops that.
    """
    from fleet.cli.opening import open_fleet
    from fleet.cli.run_async import run_async
    from fleet.controller.executing import Asked

    asked = Asked(words, more["reason"].strip(), more["timeout"], more["parallel"], more["no_output"])
    same = again(selection, invocation)
    _check(asked, selection, same)
    app, fleet = open_fleet(invocation)
    hosts = app.select(fleet, selection)
    _check_hosts(hosts)
    if len(hosts) > 1 and not more["yes"] and (invocation.json or not sys.stdin.isatty() or not sys.stderr.isatty()):
        said = f"fleet exec{same} --yes --reason {shlex.quote(asked.reason)} -- …"
        where = f"this runs on {count(len(hosts), 'host')}, and there is no terminal to ask on"
        raise UsageError(f"{where}; if that is meant: {one_line(said)}")
    return run_async(app.closing(_run(_Job(app, fleet, hosts, asked, invocation), even_frozen, more["yes"])))


class _Job:
    """What is run, and how it is told."""

    def __init__(self, app: App, fleet: Fleet, hosts: Sequence[HostSpec], asked: Asked, invocation: Invocation) -> None:
        self.app, self.fleet, self.hosts, self.asked, self.invocation = app, fleet, hosts, asked, invocation

    def note(self, text: str) -> None:
        if not self.invocation.json:
            show(self.invocation.masker.text(text), error=True, color=self.invocation.color)


def _check(asked: Asked, selection: Selection, same: str) -> None:
    why = shlex.quote(asked.reason) if asked.reason else "WHY"
    if not (selection.environments or selection.hosts or selection.roles or selection.labels):
        said = one_line(f"fleet exec{same} -e ENV --host NAME --reason {why} -- …", 500)
        raise UsageError(f"which hosts? name them: {said}")
    said = one_line(f"fleet exec{same} --reason {why} -- …", 500)
    if not asked.reason:
        raise UsageError(f"why? it stays on record: {said}")
    if len(asked.reason) > LONGEST_REASON or not asked.reason.isprintable():
        raise UsageError(f"expected a reason of one line, at most {LONGEST_REASON:,} characters")
    if not asked.words[0].strip():
        raise UsageError("the command after -- is empty")


def _check_hosts(hosts: Sequence[HostSpec]) -> None:
    if apis := [host.label for host in hosts if host.target.type == "http"]:
        raise UsageError(f"{', '.join(apis[:5])}: reached over an HTTP API, so there is no shell to run anything in")


async def _run(job: _Job, even_frozen: bool, yes: bool) -> Answer:
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


async def _agreed(job: _Job) -> bool:
    from fleet.cli.ranges import by_environment
    from fleet.cli.running import ask

    names = one_line(by_environment((h.environment, h.name) for h in job.hosts), 2000)
    question = f"{names}\nrun {one_line(job.asked.text)} on {count(len(job.hosts), 'host')}?"
    return await ask(job.invocation.masker.text(question), job.invocation.color)


async def _held(job: _Job, status: dict[str, Any] | None) -> list[str]:
    """Freezes and pauses over these hosts: on record here, and as the controller tells them, whose record may be
    another."""
    from fleet.controller.orders import in_words, over
    from fleet.history.records import Ordered

    told = [] if status is None else [*([status["frozen"]] if status["frozen"] else []), *status["orders"]]
    orders = {one["scope"]: Ordered(**one) for one in told}
    found = {one.scope: one for host in job.hosts if (one := over(orders, host)) is not None}
    found |= {one.scope: one for one in await job.app.held(job.hosts)}
    return [one_line(in_words(one), 400) for _, one in sorted(found.items())]


async def _told(job: _Job) -> Call:
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
    from fleet.cli.controlling import client_of

    try:
        return client_of(invocation).status()
    except FleetError:
        return None


def _look_again(invocation: Invocation, call: Call) -> int:
    """How many hosts the controller looks at now. It is asked, and not needed."""
    from fleet.cli.controlling import client_of
    from fleet.history.execs import NOTHING_RUN

    touched = [f"{one.environment}/{one.host}" for one in call.results.values() if str(one.status) not in NOTHING_RUN]
    try:
        return client_of(invocation).reconcile(touched) if touched else 0
    except FleetError:
        return 0


def _answer(job: _Job, call: Call, looks: int) -> Answer:
    from fleet.cli.opening import source_document
    from fleet.cli.render_exec import closing, document, render

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
