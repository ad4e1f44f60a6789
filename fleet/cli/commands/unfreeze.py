"""`fleet unfreeze`: changes may be made again."""

from __future__ import annotations

import click

from fleet.cli.answer import Answer
from fleet.cli.controlling import client_of
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command


@fleet_command("unfreeze", examples=(("fleet unfreeze", "go on where it stopped"),))
@click.pass_obj
def command(invocation: Invocation) -> Answer:
    """Take a freeze back. What differs by then is corrected."""
    lifted = client_of(invocation).lift("")
    return Answer("changes are made again" if lifted else "nothing was frozen", {"lifted": lifted})
