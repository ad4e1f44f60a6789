"""`fleet impact`: which hosts and resources a file, or one line of it, reaches."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from fleet.cli.answer import Answer
from fleet.cli.opening import near, open_fleet, open_tree, said_of, source_document
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command
from fleet.cli.printable import one_line
from fleet.cli.ranges import by_environment
from fleet.cli.words import count
from fleet.errors import UsageError

if TYPE_CHECKING:
    from fleet.desired.impact import Reached


@fleet_command(
    "impact",
    examples=(
        ("fleet impact environments/base/roles/web.yaml", "every host that this file reaches"),
        ("fleet impact environments/base/roles/web.yaml:8", "every host that line 8 reaches"),
    ),
)
@click.argument("place", metavar="FILE[:LINE]")
@click.pass_obj
def command(invocation: Invocation, place: str) -> Answer:
    """Say which hosts and resources a file, or one line of it, reaches. Contacts no host."""
    from fleet.desired.impact import impact

    app, fleet = open_fleet(invocation)
    match = re.fullmatch(r"(.*?)(?::(\d+))?(?::\d+)?", place, re.DOTALL)
    assert match is not None  # any text is a file, or a file and a line
    file = match[1].removeprefix("./").removeprefix("environments/")
    line = int(match[2]) if match[2] else None
    tree = open_tree(app, invocation)
    if file not in tree.entries:
        raise UsageError(f"there is no file environments/{file} at {fleet.label}{near(file, set(tree.entries))}")
    if line is not None and line not in range(1, (last := len(tree.read(file).splitlines())) + 1):
        where = f"environments/{file} at {fleet.label}"
        raise UsageError(f"there is no line {line} in {where}: it has {count(last, 'line')}")
    found = impact(fleet, file, line)
    total = f"{one_line(place)} reaches {count(len(found), 'host')} at {said_of(fleet)}"
    document = {
        **source_document(fleet),
        "place": {"file": file, "line": line},
        "hosts": [{"host": r.host, "environment": r.environment, "resources": list(r.resources)} for r in found],
    }
    return Answer("\n".join([*lines(found), click.style(total, bold=True)]), document)


def lines(found: Sequence[Reached]) -> list[str]:
    """Hosts that are reached in the same resources, together; the largest group last. Pure."""
    groups: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for one in found:
        groups.setdefault(one.resources, []).append((one.environment, one.host))
    told = []
    for resources, hosts in sorted(groups.items(), key=lambda item: len(item[1])):
        told.append(one_line(by_environment(hosts), 2000))
        told += [f"  {one_line(resource)}" for resource in resources]
        if not resources:
            told.append("  no resource; only how the host is reached")
    return told
