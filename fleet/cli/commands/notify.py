"""`fleet notify test`: one message to each destination, and what became of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from fleet.cli.answer import Answer
from fleet.cli.exit_codes import ExitCode
from fleet.cli.opening import settings_of
from fleet.cli.options import Invocation, group
from fleet.cli.options import command as fleet_command
from fleet.cli.printable import one_line
from fleet.errors import FleetError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet.controller.notices.destinations import Destination


@group("notify", examples=(("fleet notify test", "does a message reach everybody who is to be told?"),))
@click.pass_context
def command(ctx: click.Context) -> None:
    """Who is told of drift, failures and recovery by `fleet serve`.

    The setting `notify_file` names them.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@fleet_command(
    "test",
    examples=(
        ("fleet notify test", "one message to each destination of notify_file"),
        ("fleet notify test --url - < new-url", "one to a URL that stands in no file yet"),
    ),
)
@click.option("--url", metavar="URL", help="This Apprise URL instead of the file's; - reads it from standard input.")
@click.pass_obj
def test(invocation: Invocation, url: str | None) -> Answer:
    """Send one test message to each destination and say what happened. Nothing is retried."""
    from fleet.cli.run_async import run_async
    from fleet.controller.notices.destinations import of_url, read_destinations

    if url is not None:
        given = sys.stdin.readline().strip() if url == "-" else url
        found: Sequence[Destination] = (of_url(given),)
    else:
        settings = settings_of(invocation, anywhere=True)
        if settings.notify_file is None:
            raise UsageError("nobody is to be told: name a file of destinations with notify_file, or one with --url")
        found = read_destinations(settings.notify_file)
    errors = run_async(_sent(found))
    said = {one.name: error for one, error in zip(found, errors, strict=True)}
    lines = [
        click.style("failed ", fg="red") + f" {one_line(name)}: {one_line(error, 400)}"
        if error
        else click.style("sent   ", fg="green") + f" {one_line(name)}"
        for name, error in said.items()
    ]
    document = {"destinations": [{"name": name, "sent": not error, "error": error} for name, error in said.items()]}
    text = "\n".join(lines) if lines else "notify_file names nobody"
    return Answer(text, document, ExitCode.ERROR if any(errors) or not lines else ExitCode.IN_SYNC)


async def _sent(found: Sequence[Destination]) -> list[str]:
    """Side by side; "" or why not."""
    import asyncio

    from fleet.controller.notices.values import Message
    from fleet.notifying import deliver

    message = Message("fleet: a test", "fleet can reach you here. Nothing has happened.")

    async def one(destination: Destination) -> str:
        try:
            await deliver(destination, message)
        except FleetError as error:
            return str(error)
        return ""

    return await asyncio.gather(*map(one, found))


command.add_command(test)
