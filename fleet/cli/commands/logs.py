"""`fleet logs`: what the controller did, and does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from fleet.cli.controlling import client_of
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command
from fleet.cli.printable import one_line
from fleet.cli.times import iso

IDS = ("run", "pass", "trace_id")  # for programs


@fleet_command(
    "logs",
    examples=(
        ("fleet logs", "what happened lately"),
        ("fleet logs -f -e production", "and what happens, until Ctrl-C"),
    ),
)
@click.option("-f", "--follow", is_flag=True, help="Go on until Ctrl-C.")
@click.option("-e", "--environment", metavar="ENV", help="Of this environment only.")
@click.pass_obj
def command(invocation: Invocation, follow: bool, environment: str | None) -> None:
    """Say what the controller did, and does.

    Passes that found or changed something, revisions, rollouts, orders. With --json one document a line.
    """
    for one in client_of(invocation).events(0, follow):
        if environment in (None, one["environment"]):
            click.echo(json.dumps(one) if invocation.json else line(one))


def line(one: Mapping[str, Any]) -> str:
    """One event for people."""
    where = "/".join(filter(None, (one["environment"], one["host"])))
    told = {name: value for name, value in one["said"].items() if name not in IDS and value is not False}
    said = ", ".join(f"{name} {value}" for name, value in told.items() if value not in ("", None))
    return one_line(f"{iso(one['at'])}  {one['type']:9} {where:24} {said}", 400)
