"""`fleet explain`: why a host should have a value: every layer that said something, with file, line, commit, author."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from fleet.cli import completion
from fleet.cli.answer import Answer
from fleet.cli.json_output import origin_document
from fleet.cli.opening import find_host, open_fleet, open_tree, said_of, source_document
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command
from fleet.cli.printable import one_line
from fleet.cli.render_change import value_text
from fleet.converge.shown import HARMLESS
from fleet.errors import Origin

if TYPE_CHECKING:
    from fleet.desired.blame import Blame
    from fleet.desired.explain import Explained, Said

SECRET = "(secret)"  # noqa: S105 - the word shown in the place of one


@fleet_command(
    "explain",
    examples=(
        ("fleet explain web-1 file:/etc/nginx/nginx.conf", "every attribute of that file on web-1"),
        ("fleet explain web-1 file:/etc/nginx/nginx.conf mode", "who says 0640, and whom it overruled"),
    ),
)
@click.argument("host", shell_complete=completion.hosts)
@click.argument("resource", shell_complete=completion.resources)
@click.argument("attribute", required=False)
@click.pass_obj
def command(invocation: Invocation, host: str, resource: str, attribute: str | None) -> Answer:
    """Say where each value comes from: file, line, commit, author.

    Every layer that said something is named, the winner first, each with its place in the files and with what
    `git blame` says of that line.
    """
    from fleet.desired.blame import blame
    from fleet.desired.explain import explain

    app, fleet = open_fleet(invocation)
    spec = find_host(fleet, host)
    found = explain(fleet, spec, resource, attribute)
    blamed = blame(app.settings.repository, open_tree(app, invocation), set(_origins(found)))
    known = spec.resource(resource)
    secret = known is not None and known.sensitive
    head = f"{click.style(one_line(f'{spec.label}  {resource}'), bold=True)}  at {said_of(fleet)}"
    text = "\n".join([head, *lines(found, blamed, secret)])
    document = {
        **source_document(fleet),
        "host": spec.name,
        "environment": spec.environment,
        "resource": resource,
        "values": [_document(one, blamed, secret) for one in found],
    }
    return Answer(text, document)


def lines(found: Iterable[Explained], blamed: Mapping[Origin, Blame], secret: bool, indent: str = "") -> Iterator[str]:
    """Each value with its layers, winner first, and the variables it is made of below; pure."""
    for one in found:
        hidden = secret and one.name not in HARMLESS
        value = SECRET if hidden else value_text(one.name.rpartition(".")[2], one.value)
        yield f"{indent}{click.style(one_line(one.name), bold=True)}  {value}"
        if not one.lines:
            yield f"{indent}  → nobody says it: the default of the kind"
        for said in one.lines:
            yield indent + _line(said, blamed.get(said.origin), hidden)
        if one.file:
            yield f"{indent}  from the file {one_line(one.file)}"
        yield from lines(one.uses, blamed, secret, indent + "    ")


def _line(said: Said, blame: Blame | None, hidden: bool) -> str:
    value = SECRET if hidden else value_text("", said.value)
    told = f"  {'→' if said.won else ' '} {one_line(str(said.origin))}  {one_line(value, 60)}"
    if blame is not None:
        who = f"{blame.commit[:9] or 'uncommitted'}  {blame.date[:10]}  {blame.author}: {blame.summary}"
        told += "  " + click.style(one_line(who, 100), dim=True)
    return told if said.won else told + click.style("  overruled", dim=True)


def _origins(found: Iterable[Explained]) -> Iterator[Origin]:
    for one in found:
        yield from (said.origin for said in one.lines)
        yield from _origins(one.uses)


def _document(one: Explained, blamed: Mapping[Origin, Blame], secret: bool) -> dict[str, Any]:
    hidden = secret and one.name not in HARMLESS
    return {
        "name": one.name,
        "value": None if hidden else one.value,
        "file": one.file,
        "layers": [_said(said, blamed.get(said.origin), hidden) for said in one.lines],
        "uses": [_document(inner, blamed, secret) for inner in one.uses],
    }


def _said(said: Said, blame: Blame | None, hidden: bool) -> dict[str, Any]:
    document = {
        "value": None if hidden else said.value,
        "origin": origin_document(said.origin),
        "layer": said.layer,
        "won": said.won,
    }
    if blame is None:
        return document
    return {**document, "commit": blame.commit, "author": blame.author, "date": blame.date, "summary": blame.summary}
