"""`fleet schema`: the JSON Schema of the files in environments/, for editors."""

from __future__ import annotations

import json

import click

from fleet.cli.answer import Answer
from fleet.cli.options import command as fleet_command


@fleet_command(
    "schema",
    examples=(
        ("fleet schema > fleet.schema.json", "once; then editors complete and check your files"),
        ("# yaml-language-server: $schema=../fleet.schema.json", "the first line of a file that uses it"),
    ),
)
@click.pass_obj
def command(invocation: object) -> Answer:
    """Print the JSON Schema of the files, for editors."""
    from fleet.desired.profiles import every_kind
    from fleet.desired.schema import schema

    found = schema(every_kind())
    return Answer(json.dumps(found, indent=2), {"schema": found})
