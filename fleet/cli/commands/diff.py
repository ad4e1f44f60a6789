"""`fleet diff`: which hosts and resources a change of the repository touches, without contacting any."""

from __future__ import annotations

import click

from fleet.cli.answer import Answer
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command


@fleet_command(
    "diff",
    examples=(
        ("fleet diff main..my-branch", "what merging my-branch would ask of hosts"),
        ("fleet diff HEAD --working-tree", "what the uncommitted edit would"),
    ),
)
@click.argument("revisions", metavar="REV..REV")
@click.pass_obj
def command(invocation: Invocation, revisions: str) -> Answer:
    """Say what a change of the repository asks of which hosts. Contacts none."""
    raise NotImplementedError
