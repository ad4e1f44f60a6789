"""`fleet exec`: a command by hand on hosts, with a record of who, why, where and what it said."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from fleet.cli.answer import Answer
from fleet.cli.options import FleetCommand, Invocation
from fleet.cli.printable import one_line
from fleet.cli.selection import again, selects_hosts
from fleet.cli.words import count
from fleet.errors import UsageError
from fleet.model.duration import seconds, spelt

if TYPE_CHECKING:
    from fleet.app import Selection
    from fleet.controller.executing import Asked
    from fleet.model.host import HostSpec

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
@click.option(
    "--no-output",
    is_flag=True,
    help="Neither show nor keep what it prints: needs no key of a secret, and masks nothing of COMMAND.",
)
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
    from fleet.cli.executing import Job, carry_out
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
    return run_async(app.closing(carry_out(Job(app, fleet, hosts, asked, invocation), even_frozen, more["yes"])))


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
