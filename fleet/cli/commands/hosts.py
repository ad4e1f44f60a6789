"""`fleet hosts`: the list of hosts, by environment, label and role; `fleet hosts enroll` pins their keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from fleet.cli.answer import Answer
from fleet.cli.commands import hosts_enroll
from fleet.cli.json_output import host_document
from fleet.cli.opening import open_fleet, said_of, source_document
from fleet.cli.options import Invocation, group
from fleet.cli.printable import one_line
from fleet.cli.selection import selects_hosts
from fleet.cli.words import count
from fleet.model.host import HostSpec, Target

if TYPE_CHECKING:
    from fleet.app import Selection


@group(
    "hosts",
    examples=(
        ("fleet hosts", "all of them"),
        ("fleet hosts -e production --role web", "those of one environment with one role"),
        ("fleet hosts enroll -e dev", "scan and pin the host keys of dev"),
    ),
)
@selects_hosts
@click.pass_context
def command(context: click.Context, selection: Selection) -> Answer | None:
    """List hosts with their roles and labels; `enroll` pins their keys."""
    if context.invoked_subcommand is not None:
        return None
    app, fleet = open_fleet(context.ensure_object(Invocation))
    hosts = app.select(fleet, selection)
    text = table(hosts) + f"\n{count(len(hosts), 'host')} at {said_of(fleet)}"
    return Answer(text, {**source_document(fleet), "hosts": [host_document(host) for host in hosts]})


command.add_command(hosts_enroll.command)


def table(hosts: Sequence[HostSpec]) -> str:
    """Columns as wide as what stands in them; pure."""
    rows = [
        (
            one_line(host.label),
            one_line(_reached_at(host.target)),
            one_line(",".join(host.roles)),
            one_line(" ".join(f"{key}={value}" for key, value in sorted(host.labels.items()))),
        )
        for host in hosts
    ]
    heads = ("HOST", "REACHED AT", "ROLES", "LABELS")
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(3)]
    lines = ["  ".join([*(f"{cell:<{w}}" for cell, w in zip(row[:3], widths, strict=True)), row[3]]) for row in rows]
    head = "  ".join([*(f"{cell:<{w}}" for cell, w in zip(heads[:3], widths, strict=True)), heads[3]])
    return "\n".join([click.style(head, bold=True), *(line.rstrip() for line in lines)])


def _reached_at(target: Target) -> str:
    if target.type == "ssh":
        return f"{target.user}@{target.address}:{target.port}"
    return target.api.url if target.api is not None else target.type
