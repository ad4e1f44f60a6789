"""`fleet explain`: why a host should have a value: every layer that said something, with file, line, commit, author."""

from __future__ import annotations

import click

from fleet.cli import completion
from fleet.cli.answer import Answer
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command


@fleet_command(
    "explain",
    examples=(
        ("fleet explain web-1 file:/etc/nginx/nginx.conf", "every attribute of that file on web-1"),
        ("fleet explain web-1 file:/etc/nginx/nginx.conf mode", "who says 0640, and whom it overruled"),
    ),
)
@click.argument("host", shell_complete=completion.hosts)
@click.argument("resource", shell_complete=completion.resources)
@click.argument("attribute", required=False)
@click.pass_obj
def command(invocation: Invocation, host: str, resource: str, attribute: str | None) -> Answer:
    """Say where each value comes from: file, line, commit, author.

    Every layer that said something is named, the winner first, each with its place in the files and with what
    `git blame` says of that line.
    """
    raise NotImplementedError
