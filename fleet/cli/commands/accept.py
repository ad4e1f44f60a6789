"""`fleet accept`: a history that was rewritten is followed all the same."""

from __future__ import annotations

import click

from fleet.cli.answer import Answer
from fleet.cli.controlling import client_of
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command
from fleet.cli.printable import one_line


@fleet_command(
    "accept",
    examples=(("fleet accept 3f2a…", "go on from that commit; `fleet status` says which one was refused"),),
)
@click.argument("commit")
@click.pass_obj
def command(invocation: Invocation, commit: str) -> Answer:
    """Go on from COMMIT, though the history was rewritten.

    It does not descend from the last good one. The controller refuses a history that was rewritten, since it may be an
    old state that somebody plays back. COMMIT is the whole id of the remote's newest commit, so that nobody accepts
    what they have not seen.
    """
    client_of(invocation).accept(commit)
    return Answer(f"the controller goes on from {one_line(commit[:12])}", {"commit": commit})
