"""`fleet impact`: which hosts and resources a file, or one line of it, reaches."""

from __future__ import annotations

import click

from fleet.cli.answer import Answer
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command


@fleet_command(
    "impact",
    examples=(
        ("fleet impact environments/base/roles/web.yaml", "every host that this file reaches"),
        ("fleet impact environments/base/roles/web.yaml:8", "every host that line 8 reaches"),
    ),
)
@click.argument("place", metavar="FILE[:LINE]")
@click.pass_obj
def command(invocation: Invocation, place: str) -> Answer:
    """Say which hosts and resources a file, or one line of it, reaches. Contacts no host."""
    raise NotImplementedError
