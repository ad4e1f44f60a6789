"""`fleet freeze`: every change stops, until `fleet unfreeze`."""

from __future__ import annotations

import click

from fleet.cli.answer import Answer
from fleet.cli.controlling import client_of
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command


@fleet_command("freeze", examples=(("fleet freeze --reason 'incident 42'", "nothing is changed anywhere"),))
@click.option("--reason", default="", metavar="TEXT", help="Why; it stands in status and in the audit.")
@click.pass_obj
def command(invocation: Invocation, reason: str) -> Answer:
    """Stop all changes, everywhere, within five seconds.

    Hosts are looked at as before, so that drift is seen. Steps under way get a moment to end; what does not end is cut
    off, and looked at again. It holds over a restart of the controller.
    """
    said = client_of(invocation).order("", reason)
    return Answer("frozen: nothing is changed anywhere until `fleet unfreeze`", said)
