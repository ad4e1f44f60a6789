"""`fleet profiles import`: a draft of a profile, from what an API says of itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fleet.cli.answer import Answer
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command
from fleet.cli.printable import one_line, printable
from fleet.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet.desired.openapi_paths import Rest

DOES = {"list": "GET all", "read": "GET", "create": "POST", "put": "PUT", "patch": "PATCH", "delete": "DELETE"}


@fleet_command(
    "import",
    examples=(
        ("fleet profiles import openapi.json", "which paths look like an object that can be managed"),
        ("fleet profiles import openapi.json --path '/zones/{id}'", "print a profile of it"),
        (
            "fleet profiles import api.yaml --path /zones -o environments/base/profiles/zone.yaml",
            "write it; read what it asks you to decide",
        ),
    ),
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--path", metavar="PATH", help="The object's path in the document, or that of their list.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Write it there.")
@click.pass_obj
def command(invocation: Invocation, file: Path, path: str | None, output: Path | None) -> Answer:
    """Draft a profile from an OpenAPI 3 document (JSON or YAML).

    What a document cannot say stands in the draft as comments: decide it, and let `fleet profiles check` play the
    cases.
    """
    from fleet.desired.openapi import read
    from fleet.desired.openapi_draft import draft
    from fleet.desired.openapi_paths import candidates, choose
    from fleet.desired.openapi_yaml import text

    try:
        document = read(file.name, file.read_bytes())
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    if path is None:
        found = candidates(document)
        if not found:
            raise UsageError(
                f"no path of {file} looks like an object that can be read and written; say --path if one is"
            )
        if output is not None:
            raise UsageError("say which object: --path PATH (`fleet profiles import FILE` lists them)")
        return Answer(_listed(found), {"candidates": [_row(one) for one in found]})
    rest = choose(document, path)
    kind = output.stem if output is not None else re.sub(r"\W+", "_", rest.noun).lower()
    made = text(draft(document, rest, kind), f"{file.name}, {rest.item}")
    if output is None:
        return Answer(printable(made).rstrip("\n"), {"name": kind, "path": rest.item, "profile": made})
    try:
        with output.open("x", encoding="utf-8") as stream:
            stream.write(made)
    except FileExistsError as error:
        raise UsageError(f"{output} is already there; nothing was written") from error
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}") from error
    said = (
        f"{one_line(str(output))} is written: decide what it asks, then: fleet profiles check {one_line(str(output))}"
    )
    return Answer(said, {"name": kind, "path": rest.item, "written": [str(output)]})


def _listed(found: Sequence[Rest]) -> str:
    width = max(len(one_line(one.item)) for one in found)
    rows = [f"  {one_line(one.item):<{width}}  {', '.join(_does(one))}" for one in found]
    return "\n".join([*rows, "", "`--path PATH` drafts a profile of one"])


def _does(rest: Rest) -> list[str]:
    return [word for name, word in DOES.items() if name in rest.operations]


def _row(rest: Rest) -> dict[str, object]:
    return {"path": rest.item, "list": rest.list or None, "operations": _does(rest)}
