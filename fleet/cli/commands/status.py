"""`fleet status`: how hosts were when they were last looked at, from the record. Contacts none."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from fleet.cli.answer import Answer
from fleet.cli.controlling import client_of, controller_lines, environment_lines
from fleet.cli.exit_codes import ExitCode, exit_code
from fleet.cli.opening import open_fleet, open_history, source_document
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command
from fleet.cli.printable import one_line
from fleet.cli.ranges import by_environment
from fleet.cli.render_plan import COLORS
from fleet.cli.selection import selects_hosts
from fleet.cli.times import ago, iso
from fleet.errors import TransportError, UsageError
from fleet.model.change import Verdict
from fleet.model.host import HostSpec

if TYPE_CHECKING:
    from fleet.app import App, Selection
    from fleet.history import ChangeRecord, PassRecord

Known = Mapping[tuple[str, str], "PassRecord"]
NEVER = "never looked at"


@fleet_command(
    "status",
    examples=(
        ("fleet status", "every host, as it was last seen"),
        ("fleet status -e production -v", "with a line for each host"),
    ),
)
@selects_hosts
@click.pass_obj
def command(invocation: Invocation, selection: Selection) -> Answer:
    """Say how hosts were when they were last looked at.

    Asks the controller where one runs, and reads the record; `fleet plan` looks now. The exit code is that of the
    verdicts; a host that was never looked at counts as unknown (4).
    """
    from fleet.cli.run_async import run_async

    live = _live(invocation)
    try:
        app, fleet = open_fleet(invocation)
    except UsageError:
        if live is None:
            raise
        return _without_repository(live)  # on the machine of the service there need not be one
    hosts = app.select(fleet, selection)
    known, cut = run_async(_read(app))
    passes = [known.get((host.environment, host.name)) for host in hosts]
    code = exit_code(Verdict(one.verdict) if one is not None else Verdict.UNKNOWN for one in passes)
    now = time.time()
    text = render(hosts, known, cut, now, invocation.verbose > 0)
    if live is not None:
        text = "\n".join([*controller_lines(live, now), *environment_lines(live, now), "", text])
    document = {
        **source_document(fleet),
        "controller": live,
        "hosts": [_host_document(host, one) for host, one in zip(hosts, passes, strict=True)],
        "interrupted": [
            {"host": c.host, "environment": c.environment, "resource": c.resource, "intended": iso(c.intended)}
            for c in cut
        ],
    }
    return Answer(text, document, ExitCode(code))


def _without_repository(live: dict[str, Any]) -> Answer:
    now = time.time()
    verdicts = [name for one in live["environments"] for name, count in one["verdicts"].items() if count]
    code = exit_code(Verdict(name) if name else Verdict.UNKNOWN for name in verdicts)
    return Answer("\n".join([*controller_lines(live, now), *environment_lines(live, now)]), {"controller": live}, code)


def _live(invocation: Invocation) -> dict[str, Any] | None:
    """What the controller says of itself; None: there is none."""
    try:
        return client_of(invocation).status()
    except TransportError:
        return None


async def _read(app: App) -> tuple[dict[tuple[str, str], PassRecord], list[ChangeRecord]]:
    async with await open_history(app) as history:
        return await history.last_passes(), await history.interrupted()


def render(hosts: Sequence[HostSpec], known: Known, cut: Sequence[ChangeRecord], now: float, each: bool) -> str:
    """Hosts by verdict; pure. each: a line for every host, with its age and revision."""
    groups: dict[str, list[HostSpec]] = {}
    for host in hosts:
        one = known.get((host.environment, host.name))
        groups.setdefault(one.verdict if one is not None else NEVER, []).append(host)
    blocks = []
    for verdict in [*map(str, Verdict), NEVER]:
        same = groups.get(verdict, [])
        if not same:
            continue
        color = COLORS[Verdict(verdict)] if verdict != NEVER else "magenta"
        lines = [click.style(f"{len(same):,} {verdict}", fg=color, bold=True)]
        if each:
            lines += [f"  {_line(host, known.get((host.environment, host.name)), now)}" for host in same]
        else:
            ages = [one.ended for h in same if (one := known.get((h.environment, h.name))) is not None]
            lines.append(f"  {one_line(by_environment((h.environment, h.name) for h in same), 2000)}")
            lines += [f"  looked at {ago(min(ages), now)} at the earliest"] if ages else []
        blocks.append("\n".join(lines))
    selected = {(host.environment, host.name) for host in hosts}
    for change in cut:
        if (change.environment, change.host) in selected:
            told = f"{change.environment}/{change.host}: {change.resource} was being changed when fleet ended"
            blocks.append(click.style(f"? {one_line(told)}; nobody knows how it ended, plan again", fg="magenta"))
    return "\n".join(blocks)


def _line(host: HostSpec, one: PassRecord | None, now: float) -> str:
    if one is None:
        return one_line(host.label)
    left = f"  {len(one.remaining)} not right" if one.remaining else ""
    why = f"  {one_line(one.error, 120)}" if one.error else left
    return f"{one_line(host.label)}  {ago(one.ended, now)}, at {one_line(one.revision[:12])}{why}"


def _host_document(host: HostSpec, one: PassRecord | None) -> dict[str, Any]:
    said: dict[str, Any] = {"host": host.name, "environment": host.environment}
    if one is None:
        return {**said, "verdict": None}
    more = {"verdict": one.verdict, "run": one.run, "looked_at": iso(one.ended), "revision": one.revision}
    return {**said, **more, "remaining": dict(one.remaining), "error": one.error, "trace_id": one.trace_id}
