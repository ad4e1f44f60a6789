"""`fleet drift`: what differs from what Git says, and who moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from fleet.cli.answer import Answer
from fleet.cli.controlling import client_of, meant
from fleet.cli.exit_codes import ExitCode
from fleet.cli.opening import open_app, open_history
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command
from fleet.cli.printable import one_line
from fleet.cli.ranges import by_environment
from fleet.cli.words import count
from fleet.errors import TransportError

if TYPE_CHECKING:
    from fleet.app import App

WORDS = {
    "external": "changed outside",
    "intended": "not yet as Git says",
    "interrupted": "a change that was cut short",
    "": "differs",
}
COLORS = {"external": "yellow", "intended": "cyan", "interrupted": "magenta", "": None}
DIFFERS = ("pending", "drifted", "failed", "conflict")
Found = Mapping[tuple[str, str], Mapping[str, str]]  # environment, host → resource → cause


@fleet_command(
    "drift",
    examples=(
        ("fleet drift", "everything that differs now, and whether the host moved or Git did"),
        ("fleet drift -e production --json", "for a program"),
    ),
)
@click.option("-e", "--environment", "environments", multiple=True, metavar="ENV", help="Hosts of this environment.")
@click.option("--host", "patterns", multiple=True, metavar="PATTERN", help="Hosts of this name, or ENV/NAME.")
@click.pass_obj
def command(invocation: Invocation, environments: tuple[str, ...], patterns: tuple[str, ...]) -> Answer:
    """Say what differed when each host was last looked at, and who moved.

    Asks the controller; where none runs, the record. It contacts no host: `fleet plan` does, and shows each diff. Exit
    code 0: nothing differs.
    """
    try:
        hosts, note = client_of(invocation).hosts(), ""
        found: Found = {(one["environment"], one["name"]): one["drift"] for one in hosts if one["drift"]}
        fought = {(one["environment"], one["name"]): one["fought"] for one in hosts if one["fought"]}
    except TransportError:
        from fleet.cli.run_async import run_async

        found = run_async(_recorded(open_app(invocation)))
        note = "no controller runs; this is from the record\n"
        fought = {}
    labels = {f"{environment}/{name}": (environment, name) for environment, name in {**found, **fought}}
    known = [{"environment": environment, "name": name} for environment, name in labels.values()]
    keys = [labels[label] for label in meant(known, environments, patterns)]
    shown = {key: found[key] for key in keys if key in found}
    text = note + render(shown, {key: fought[key] for key in keys if key in fought})
    document = {"hosts": [{"environment": e, "host": h, "drift": dict(drift)} for (e, h), drift in shown.items()]}
    return Answer(text, document, ExitCode.PENDING if shown else ExitCode.IN_SYNC)


async def _recorded(app: App) -> Found:
    async with await open_history(app) as history:
        passes = await history.last_passes()
    return {
        key: {name: "" for name, _, _ in one.found}
        for key, one in passes.items()
        if one.verdict in DIFFERS and one.found
    }


def render(found: Found, fought: Mapping[tuple[str, str], Sequence[str]]) -> str:
    """Each resource once, with the hosts that have it so; pure."""
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for key, drift in found.items():
        for resource, cause in drift.items():
            groups.setdefault((resource, cause), []).append(key)
    lines = []
    for (resource, cause), hosts in sorted(groups.items(), key=lambda one: (one[0][1], -len(one[1]), one[0][0])):
        what = click.style(WORDS.get(cause, cause), fg=COLORS.get(cause))
        lines.append(f"{one_line(resource)}  {what}\n  {one_line(by_environment(hosts), 2000)}")
    for key, names in fought.items():
        said = f"{'/'.join(key)}: {', '.join(names)}"
        lines.append(click.style(f"{one_line(said)} is changed back again and again; left alone for a while", fg="red"))
    if not lines:
        return "nothing differs"
    total: dict[str, Any] = {"hosts": len(found), "resources": sum(map(len, found.values()))}
    return "\n".join([*lines, f"{count(total['resources'], 'resource')} on {count(total['hosts'], 'host')}"])
