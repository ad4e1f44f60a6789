"""`fleet plan`: look at hosts and say what would change. Writes nothing on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fleet.cli.answer import Answer
from fleet.cli.opening import open_fleet
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command
from fleet.cli.selection import again, prune_option, selects_hosts, short_option

if TYPE_CHECKING:
    from fleet.app import Selection


@fleet_command(
    "plan",
    examples=(
        ("fleet plan -e dev", "what would change in dev; exit code 2 when something would"),
        ("fleet plan --working-tree --host 'web-*'", "what your uncommitted edit would do to the web servers"),
        (
            "fleet plan -e production --prune",
            "and which objects behind APIs would go: nobody names them any more",
        ),
        ("fleet plan -e production --json > plan.json", "for a program; progress stays off"),
    ),
)
@short_option
@prune_option
@selects_hosts
@click.pass_obj
def command(invocation: Invocation, selection: Selection, short: bool, prune: int | None) -> Answer:
    """Look at hosts, and show what would change on them.

    Nothing is written on any host. Hosts with the same change are shown once. Hosts that cannot be reached are told
    apart: what is on them is unknown.
    """
    from fleet.cli.run_async import run_async
    from fleet.cli.running import Job, answer, run_hosts, with_orphans

    async def work(job: Job) -> Answer:
        job = await with_orphans(job, selection, prune)
        return answer(job, await run_hosts(job, job.hosts, apply=False), applied=False)

    app, fleet = open_fleet(invocation)
    job = Job(app, fleet, app.select(fleet, selection), invocation, again(selection, invocation, prune), short)
    return run_async(app.closing(work(job)))
