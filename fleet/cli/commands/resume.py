"""`fleet resume`: a pause is taken back; a rollout that stopped goes on."""

from __future__ import annotations

import click

from fleet.cli.answer import Answer
from fleet.cli.controlling import client_of
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command
from fleet.cli.printable import one_line
from fleet.errors import UsageError


@fleet_command(
    "resume",
    examples=(
        ("fleet resume staging", "changes are made there again, and a rollout that stopped goes on"),
        ("fleet resume role:database", "on the hosts of a role"),
    ),
)
@click.argument("scope")
@click.pass_obj
def command(invocation: Invocation, scope: str) -> Answer:
    """Take back a pause; let a rollout that stopped go on.

    SCOPE: an environment, ENVIRONMENT/HOST or role:NAME. Where a rollout stopped over its budget, what failed until
    now counts no more, and the next hosts get their turn.
    """
    client = client_of(invocation)
    lifted = client.lift(scope)
    went_on = "/" not in scope and ":" not in scope and client.go_on(scope)
    if not (lifted or went_on):
        raise UsageError(f"{scope} is not paused, and no rollout of it has stopped; see `fleet status`")
    said = " and ".join(["changes are made again"] * lifted + ["the rollout goes on"] * went_on)
    return Answer(f"{one_line(scope)}: {said}", {"lifted": lifted, "rollout": went_on})
