"""`fleet history`: what fleet did: the runs, one run's changes, or what happened to one host or resource."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from fleet.cli import completion
from fleet.cli.answer import Answer, to_json
from fleet.cli.opening import open_app, open_history
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command
from fleet.cli.printable import one_line
from fleet.cli.render_exec import record_document, records_text
from fleet.cli.times import iso, moment
from fleet.errors import UsageError

if TYPE_CHECKING:
    from fleet.app import App
    from fleet.history import ChangeRecord, ExecRecord, RunRecord
    from fleet.history.retention import Pruned

STATUS_COLORS = {"ok": "green", "failed": "red", "conflict": "red", "unknown": "magenta", "running": "cyan"}


@fleet_command(
    "history",
    examples=(
        ("fleet history", "the last runs"),
        ("fleet history 17", "every change of run 17"),
        ("fleet history --exec", "who ran what by hand (`fleet exec`), where and why"),
        ("fleet history prune --days 90", "forget what is older"),
        ("fleet history export > history.jsonl", "everything, one JSON document a line"),
        ("fleet history --host web-1 --resource file:/etc/motd", "what happened to one file on one host"),
    ),
)
@click.argument("run", required=False, metavar="[RUN | prune | export]")
@click.option("-e", "--env", "environment", default="", metavar="ENV", shell_complete=completion.environments)
@click.option("--host", default="", metavar="HOST", help="Changes of this host.", shell_complete=completion.hosts)
@click.option("--resource", default="", metavar="ID", help="Changes of this resource, e.g. file:/etc/motd.")
@click.option("--exec", "by_hand", is_flag=True, help="What people ran by hand, instead; -v: what it printed.")
@click.option("--days", type=click.FloatRange(min=0), default=90, show_default=True, help="What prune keeps.")
@click.option("-n", "--limit", default=20, show_default=True, help="At most so many lines.")
@click.pass_obj
def command(
    invocation: Invocation, /, *, run: str | None, limit: int, days: float, by_hand: bool, **which: str
) -> Answer | None:
    """Show what fleet did, from its record; the latest first.

    prune forgets what is older than --days, but for each host's latest pass, what was cut off, and the audit. export
    writes everything, one JSON document a line.
    """
    from fleet.cli.run_async import run_async

    app = open_app(invocation)
    if run == "prune":
        gone = run_async(_prune(app, days))
        said = f"{gone.runs:,} runs, {gone.passes:,} passes, {gone.changes:,} changes, {gone.contents:,} contents"
        said += f", {gone.execs:,} commands by hand"
        return Answer(f"forgotten: {said}", asdict(gone))
    if run == "export":
        run_async(_export(app))
        return None
    if run is not None and not run.isdecimal():
        raise UsageError(f"expected the number of a run, prune or export, not {run!r}")
    number = None if run is None else int(run)
    if by_hand:
        asked = {"run": number, "calls": limit, "environment": which["environment"], "host": which["host"]}
        records = run_async(_by_hand(app, asked))
        return Answer(records_text(records, invocation.verbose > 0), {"execs": [record_document(r) for r in records]})
    return _show(app, number, limit, which)


def _show(app: App, run: int | None, limit: int, which: dict[str, str]) -> Answer:
    from fleet.cli.run_async import run_async

    if run is None and not which["host"] and not which["resource"]:
        runs = run_async(_runs(app, limit, which["environment"]))
        return Answer(runs_text(runs, which["environment"]), {"runs": [_run_document(one) for one in runs]})
    found, changes = run_async(_changes(app, run, {"run": run, "limit": limit, **which}))
    if run is not None and found is None:
        raise UsageError(f"there is no run {run}; `fleet history` lists them")
    head = runs_text([found]) + "\n\n" if found is not None else ""
    document = {"runs": [_run_document(found)] if found else [], "changes": [_change_document(c) for c in changes]}
    if found is not None and found.command == "exec":
        records = run_async(_by_hand(app, {"run": run, "environment": which["environment"], "host": which["host"]}))
        return Answer(head + records_text(records, True), {**document, "execs": [record_document(r) for r in records]})
    return Answer(head + changes_text(changes), document)


async def _prune(app: App, days: float) -> Pruned:
    async with await open_history(app) as history:
        return await history.prune(time.time() - days * 86_400)


async def _export(app: App) -> None:
    """The runs, oldest first, each with its changes or what was run by hand; then the audit, whose chain is checked."""
    async with await open_history(app) as history:
        for one in reversed(await history.runs(-1)):
            changes = await history.changes(run=one.id, limit=-1)
            document = {
                "type": "run",
                **_run_document(one),
                "changes": [_change_document(c) for c in reversed(changes)],
            }
            if one.command == "exec":
                records = await history.execs.all(run=one.id)
                document["execs"] = [record_document(record) for record in reversed(records)]
            click.echo(to_json("history", Answer(document=document), None))
        for entry in await history.control.audited():
            click.echo(to_json("history", Answer(document={"type": "audit", **asdict(entry)}), None))


async def _by_hand(app: App, asked: dict[str, Any]) -> list[ExecRecord]:
    async with await open_history(app) as history:
        return await history.execs.all(**asked)


async def _runs(app: App, limit: int, environment: str) -> list[RunRecord]:
    async with await open_history(app) as history:
        return await history.runs(limit, environment)


async def _changes(app: App, run: int | None, asked: dict[str, Any]) -> tuple[RunRecord | None, list[ChangeRecord]]:
    async with await open_history(app) as history:
        return await history.run(run) if run is not None else None, await history.changes(**asked)


def runs_text(runs: Sequence[RunRecord], environment: str = "") -> str:
    """One line for each run; pure. environment: the one that was asked for."""
    lines = []
    for one in runs:
        counts = ", ".join(f"{count:,} {verdict}" for verdict, count in one.verdicts.items())
        state = counts or ("still running" if one.alive else "cut off" if one.interrupted else "no hosts")
        where = one.environment or "all environments"
        said = f"{one.id:>5}  {moment(one.started)}  {one.command} {where} at {one.revision[:12]} by {one.who}: {state}"
        lines.append(one_line(said))
    nothing = f"nothing yet of {one_line(environment)}; `fleet history` shows all" if environment else ""
    return "\n".join(lines) or nothing or "nothing yet; `fleet plan` makes the first entry"


def changes_text(changes: Sequence[ChangeRecord]) -> str:
    """One line for each change; pure."""
    lines = []
    for one in changes:
        when = moment(one.intended) if one.intended is not None else " " * 19
        what = f"{one.environment}/{one.host}  {one.action} {one.resource}"
        more = f" ({', '.join(one.attributes)})" if one.attributes else f" ({one.due})" if one.due else ""
        status = click.style(f"{one.status:<8}", fg=STATUS_COLORS.get(one.status))
        lines.append(f"{when}  {status}  {one_line(what + more)}  {one_line(one.origin)}")
    return "\n".join(lines) or "no change was recorded"


def _run_document(one: RunRecord) -> dict[str, Any]:
    return {
        "run": one.id,
        "command": one.command,
        "environment": one.environment,
        "revision": one.revision,
        "started": iso(one.started),
        "finished": iso(one.finished),
        "alive": one.alive,
        "who": one.who,
        "trace_id": one.trace_id,
        "summary": dict(one.verdicts),
    }


def _change_document(one: ChangeRecord) -> dict[str, Any]:
    return {
        "run": one.run,
        "environment": one.environment,
        "host": one.host,
        "resource": one.resource,
        "action": one.action,
        "attributes": list(one.attributes),
        "due": one.due,
        "before": one.before,
        "after": one.after,
        "origin": one.origin,
        "intended": iso(one.intended),
        "ended": iso(one.ended),
        "status": one.status,
        "code": one.code,
        "output": one.output,
        "revision": one.revision,
        "trace_id": one.trace_id,
    }
