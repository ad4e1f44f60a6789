"""`fleet apply`: show the plan, ask, change what differs, look again."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from fleet.cli.answer import Answer, show
from fleet.cli.exit_codes import ExitCode
from fleet.cli.opening import open_fleet
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command
from fleet.cli.selection import again, prune_option, selects_hosts, short_option
from fleet.cli.words import count
from fleet.errors import UsageError
from fleet.model.change import Verdict

if TYPE_CHECKING:
    from fleet.app import Selection
    from fleet.cli.running import Job


@fleet_command(
    "apply",
    examples=(
        ("fleet apply -e dev", "show the plan for dev, ask, then change the hosts"),
        ("fleet apply -e dev --yes", "the same without asking, for CI; shows what was changed"),
        ("fleet apply --host web-1 --trace", "one host, and where its time went"),
    ),
)
@click.option("--yes", is_flag=True, help="Do not ask. Needed where there is no terminal.")
@short_option
@prune_option
@selects_hosts
@click.pass_obj
def command(invocation: Invocation, selection: Selection, short: bool, yes: bool, prune: int | None) -> Answer:
    """Change hosts so that they are as the repository says.

    On a terminal it shows the plan and asks first. With --yes it changes at once and shows each change with what
    became of it. Every change is checked again on the host at the moment it is made, and every host is looked at once
    more afterwards: only that second look says "changed". Without a terminal, --yes is required.
    """
    from fleet.cli.run_async import run_async
    from fleet.cli.running import Job, answer, run_hosts, with_orphans

    async def work(job: Job) -> Answer:
        job = await with_orphans(job, selection, prune)
        if yes:
            return answer(job, await run_hosts(job, job.hosts, apply=True), applied=True)
        return await _ask_and_apply(job)

    if not yes and (invocation.json or not sys.stdin.isatty() or not sys.stderr.isatty()):
        same = again(selection, invocation, prune)  # never a hint that would reach more hosts than were meant
        raise UsageError(f"there is no terminal to ask on; say `fleet apply{same} --yes` to change without a question")
    app, fleet = open_fleet(invocation)
    job = Job(app, fleet, app.select(fleet, selection), invocation, again(selection, invocation, prune), short)
    return run_async(app.closing(work(job)))


async def _ask_and_apply(job: Job) -> Answer:
    """The plan; and, after a yes, the change of the hosts that the plan said it of. The rest keeps its first result."""
    from fleet.cli.render_plan import render
    from fleet.cli.running import Ran, answer, ask, detail_of, heading, run_hosts

    planned = await run_hosts(job, job.hosts, apply=False)
    pending = {(r.environment, r.host): r for r in planned.results if r.verdict is Verdict.PENDING}
    if planned.interrupted or not pending:
        return answer(job, planned, applied=False)
    said = render(pending.values(), detail_of(job.invocation, job.short)) + "\n"
    show(job.invocation.masker.text(said), color=job.invocation.color)
    changes = sum(len(r.plan.changes) for r in pending.values() if r.plan is not None)
    question = f"{heading(job)}make {count(changes, 'change')} on {count(len(pending), 'host')}?"
    if not await ask(question, job.invocation.color):
        return Answer("nothing was changed", exit_code=ExitCode.PENDING)
    ran = await run_hosts(job, [h for h in job.hosts if (h.environment, h.name) in pending], apply=True)
    rest = tuple(r for r in planned.results if (r.environment, r.host) not in pending)
    return answer(
        replace(job, short=True),
        Ran(rest + ran.results, ran.unfinished, ran.interrupted, ran.times, ran.trace_id),
        applied=True,
    )
