"""`fleet validate`: read and compile everything, and say every mistake at once."""

from __future__ import annotations

import click

from fleet.cli.answer import Answer
from fleet.cli.failure import problem_document
from fleet.cli.opening import open_fleet, said_of, source_document
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command
from fleet.cli.printable import printable
from fleet.cli.words import count


@fleet_command(
    "validate",
    examples=(
        ("fleet validate", "the last commit"),
        ("fleet validate --working-tree", "what you are editing just now"),
        ("fleet validate -r origin/main --json", "for a check in CI"),
    ),
)
@click.pass_obj
def command(invocation: Invocation) -> Answer:
    """Check every file of a revision; say every mistake at once.

    Reads, merges and compiles all environments for all hosts. Contacts none. Roles that reach no host are warned of.
    """
    _, fleet = open_fleet(invocation)
    environments = sorted(fleet.environments)
    resources = sum(len(host.resources) for host in fleet.hosts)
    good = click.style("valid", fg="green", bold=True)
    text = (
        f"{good}: {count(len(fleet.hosts), 'host')} in {count(len(environments), 'environment')}, "
        f"{count(resources, 'resource')}, at {said_of(fleet)}"
    )
    if fleet.warnings:
        warned = click.style(count(len(fleet.warnings), "warning"), fg="yellow", bold=True)
        text = "\n\n".join([*(printable(str(warning)) for warning in fleet.warnings), f"{text}; {warned}"])
    document = {
        **source_document(fleet),
        "valid": True,
        "environments": environments,
        "hosts": len(fleet.hosts),
        "resources": resources,
        "warnings": [problem_document(warning) for warning in fleet.warnings],
    }
    return Answer(text, document)
