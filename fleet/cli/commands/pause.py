"""`fleet pause`: no changes to an environment, a role or a host, until `fleet resume`."""

from __future__ import annotations

import click

from fleet.cli.answer import Answer
from fleet.cli.controlling import client_of
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command
from fleet.cli.printable import one_line


@fleet_command(
    "pause",
    examples=(
        ("fleet pause staging --reason 'load test'", "nothing is changed in staging"),
        ("fleet pause production/web-3", "on one host"),
        ("fleet pause role:database", "on the hosts of a role"),
    ),
)
@click.argument("scope")
@click.option("--reason", default="", metavar="TEXT", help="Why; it stands in status and in the audit.")
@click.pass_obj
def command(invocation: Invocation, scope: str, reason: str) -> Answer:
    """Stop changes to an environment, a host or a role.

    SCOPE: an environment, ENVIRONMENT/HOST or role:NAME. Drift is still seen.
    """
    said = client_of(invocation).order(scope, reason)
    return Answer(f"{one_line(scope)} is paused until `fleet resume {one_line(scope)}`", said)
