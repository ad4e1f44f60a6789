"""`fleet approve`: a rollout that waits for a person may begin."""

from __future__ import annotations

import click

from fleet.cli import completion
from fleet.cli.answer import Answer
from fleet.cli.controlling import client_of
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command
from fleet.cli.printable import one_line
from fleet.errors import UsageError


@fleet_command(
    "approve",
    examples=(
        ("fleet status", "says which revision waits, and for which hosts"),
        ("fleet diff a1b2c3d..4e5f6a7", "what it asks of them"),
        ("fleet approve production 4e5f6a7", "it may begin"),
    ),
)
@click.argument("environment", shell_complete=completion.environments)
@click.argument("commit", metavar="REVISION")
@click.pass_obj
def command(invocation: Invocation, environment: str, commit: str) -> Answer:
    """Let a rollout begin that waits for approval.

    Where environment.yaml says `rollout: {approval: true}`, each revision waits. REVISION is what `fleet status`
    shows, at least seven characters of it, so that nobody approves what came after they looked. A newer revision waits
    anew. Who approved what stands in the audit.
    """
    client = client_of(invocation)
    waiting = {
        one["name"]: one["rollout"]["revision"]
        for one in client.status()["environments"]
        if one["rollout"] is not None and one["rollout"]["state"] == "waiting"
    }
    if environment not in waiting:
        others = f"; {', '.join(sorted(waiting))} does" if waiting else ""
        raise UsageError(f"no rollout of {environment} waits for approval{others}; see `fleet status`")
    whole = waiting[environment]
    if len(commit) < 7 or not whole.startswith(commit):
        raise UsageError(f"{environment} waits with {whole[:12]}, not with {commit}; look at it first: fleet status")
    client.approve(environment, whole)
    return Answer(
        f"{one_line(environment)}: the rollout of {one_line(whole[:12])} begins",
        {"environment": environment, "revision": whole},
    )
