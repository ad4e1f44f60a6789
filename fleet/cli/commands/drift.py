"""`fleet drift`: what differs from what Git says, how, and who moved."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
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
from fleet.cli.render_change import styled, value_text
from fleet.cli.render_exec import beside
from fleet.cli.selection import short_option
from fleet.cli.times import iso
from fleet.cli.words import count
from fleet.errors import TransportError

if TYPE_CHECKING:
    from fleet.app import App
    from fleet.history import ExecRecord

WORDS = {
    "external": "changed outside",
    "intended": "not yet as Git says",
    "interrupted": "a change that was cut short",
    "": "differs",
}
COLORS = {"external": "yellow", "intended": "cyan", "interrupted": "magenta", "": None}
DIFFERS = ("pending", "drifted", "failed", "conflict")
LINES = 20  # of a diff, without -v
Host = Mapping[str, Any]  # environment, name, drift (resource → cause), fought (resources), changes


@fleet_command(
    "drift",
    examples=(
        ("fleet drift", "everything that differs now, how, and whether the host moved or Git did"),
        ("fleet drift -e production --short", "only which resources, on which hosts"),
        ("fleet drift --json", "for a program"),
    ),
)
@click.option("-e", "--environment", "environments", multiple=True, metavar="ENV", help="Hosts of this environment.")
@click.option("--host", "patterns", multiple=True, metavar="PATTERN", help="Hosts of this name, or ENV/NAME.")
@short_option
@click.pass_obj
def command(invocation: Invocation, environments: tuple[str, ...], patterns: tuple[str, ...], short: bool) -> Answer:
    """Say what differs, how, and who moved.

    As each host was last looked at. Where the host moved, what people ran there by hand (`fleet exec`) since it was
    last in sync stands beside it. Asks the controller; where none runs, the record, which has no diffs. It contacts no
    host: `fleet plan` does. Exit code 0: nothing differs; 2: something does.
    """
    try:
        hosts, note = client_of(invocation).drift(), ""
    except TransportError:
        from fleet.cli.run_async import run_async

        hosts = run_async(_recorded(open_app(invocation)))
        note = "no controller runs; this is from the record\n"
    chosen = set(meant(hosts, environments, patterns))
    shown = [one for one in hosts if f"{one['environment']}/{one['name']}" in chosen]
    now = time.time()
    most = 0 if short else 1_000_000 if invocation.verbose else LINES
    differ = [one for one in shown if one["drift"]]
    document = {"hosts": [_document(one) for one in differ]}
    by_hand = "".join(f"\n{line}" for line in beside(_by_hand(differ), now))
    return Answer(note + render(shown, most) + by_hand, document, ExitCode.PENDING if differ else ExitCode.IN_SYNC)


async def _recorded(app: App) -> list[dict[str, Any]]:
    async with await open_history(app) as history:
        passes, execs = await history.last_passes(), await history.execs.unsettled()
    return [
        {
            "environment": key[0],
            "name": key[1],
            "drift": {name: "" for name, _, _ in one.found},
            "fought": [],
            "execs": [_recorded_exec(record) for record in execs.get(key, ())],
        }
        for key, one in passes.items()
        if one.verdict in DIFFERS and one.found
    ]


def _recorded_exec(one: ExecRecord) -> dict[str, Any]:
    """As the controller tells it."""
    said = {name: getattr(one, name) for name in ("run", "who", "reason", "command", "status", "code")}
    return {**said, "at": one.intended}


def _by_hand(hosts: Sequence[Host]) -> Iterator[tuple[tuple[str, str], Sequence[Mapping[str, Any]]]]:
    """Of hosts that moved by themselves, or where nobody knows who did."""
    for one in hosts:
        if {"external", ""} & set(one["drift"].values()):
            yield (one["environment"], one["name"]), one.get("execs", ())


def _document(host: Host) -> dict[str, Any]:
    said = {"environment": host["environment"], "host": host["name"], "drift": dict(host["drift"])}
    said["execs"] = [{**one, "at": iso(one["at"])} for one in host.get("execs", ())]
    return {**said, "changes": host["changes"]} if "changes" in host else said


def render(hosts: Sequence[Host], most: int) -> str:
    """Each difference once, with the hosts that have it so. most: lines of a diff, 0: none; pure."""
    groups: dict[tuple[str, str, tuple[str, ...]], list[tuple[str, str]]] = {}
    for host in hosts:
        changes = {one["resource"]: one for one in host.get("changes", ())}
        for resource, cause in host["drift"].items():
            how = tuple(_how(changes[resource], most)) if most and resource in changes else ()
            groups.setdefault((cause, resource, how), []).append((host["environment"], host["name"]))
    lines: list[str] = []
    for (cause, resource, how), names in sorted(groups.items(), key=lambda one: (one[0][0], -len(one[1]), one[0][1])):
        what = click.style(WORDS.get(cause, cause), fg=COLORS.get(cause))
        lines.append(f"{one_line(resource)}  {what}\n  {one_line(by_environment(names), 2000)}")
        lines += [f"      {line}" for line in how]
    for host in hosts:
        if host["fought"]:
            said = f"{host['environment']}/{host['name']}: {', '.join(host['fought'])}"
            again = "is changed back again and again; left alone for a while"
            lines.append(click.style(f"{one_line(said)} {again}", fg="red"))
    if not lines:
        return "nothing differs"
    resources, differ = sum(len(one["drift"]) for one in hosts), sum(bool(one["drift"]) for one in hosts)
    return "\n".join([*lines, f"{count(resources, 'resource')} on {count(differ, 'host')}"])


def _how(change: Mapping[str, Any], most: int) -> Iterator[str]:
    """Before is what stands on the host; after is what Git says."""
    if change["action"] in ("create", "remove"):
        yield "is gone" if change["action"] == "create" else "is there, and should not be"
    for name, (before, after) in change["attributes"].items():
        said = (
            "secret" if before is None and after is None else f"{value_text(name, before)} → {value_text(name, after)}"
        )
        yield f"{one_line(name)} {said}"
    if change["action"] == "update":
        yield from styled(change["diff"], most)
