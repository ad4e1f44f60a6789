"""`fleet profiles`: kinds in YAML for what stands behind APIs: which there are, what they do, whether they hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fleet.cli import completion
from fleet.cli.answer import Answer
from fleet.cli.commands import profiles_import
from fleet.cli.commands.kinds import first_line, kind_document, reference
from fleet.cli.opening import near, open_app, open_tree
from fleet.cli.options import Invocation, group
from fleet.cli.options import command as fleet_command
from fleet.cli.printable import one_line, printable
from fleet.cli.words import count
from fleet.errors import ConfigError, Problem, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet.desired.profile_cases import Read
    from fleet.desired.profile_files import ProfileFile


@group(
    "profiles",
    examples=(
        ("fleet profiles list", "those that come with fleet, and yours"),
        ("fleet profiles show powerdns_record", "its attributes, an example and its cases"),
        ("fleet profiles check environments/base/profiles/*.yaml", "play their cases; nothing is contacted"),
        ("fleet profiles import openapi.json --path '/zones/{id}'", "draft one"),
    ),
)
@click.pass_context
def command(context: click.Context) -> None:
    """Profiles: kinds in YAML for objects behind HTTP APIs."""
    if context.invoked_subcommand is None:
        raise UsageError("say what to do: fleet profiles list, show, check or import")


@fleet_command("list", examples=(("fleet profiles list", "where each comes from, and what it is"),))
@click.pass_obj
def list_(invocation: Invocation) -> Answer:
    """List profiles: those that come with fleet, and those of the repository's layers."""
    found = _every(invocation)
    read = [(one, one.read()) for one in found]
    rows = [(one.name, one.layer or "fleet", _said(said)) for one, said in read]
    widths = [max(len(one_line(row[column])) for row in rows) for column in range(2)]
    lines = [f"{click.style(f'{one_line(a):<{widths[0]}}', bold=True)}  {one_line(b):<{widths[1]}}  {one_line(c)}"
             for a, b, c in rows]  # fmt: skip
    document = [{"name": one.name, "layer": one.layer or None, "file": one.path, "doc": _said(said),
                 "cases": len(said.cases)} for one, said in read]  # fmt: skip
    return Answer("\n".join([*lines, "", "`fleet profiles show NAME` shows one"]), {"profiles": document})


@fleet_command(
    "show",
    examples=(
        ("fleet profiles show consul_kv", "what it is for, its attributes and its cases"),
        ("fleet profiles show consul_kv --yaml", "the file itself, to begin one of your own with"),
    ),
)
@click.argument("name", shell_complete=completion.profiles)
@click.option("--yaml", "whole", is_flag=True, help="The file itself.")
@click.option("--layer", metavar="LAYER", help="Of that directory below environments/, where several have it.")
@click.pass_obj
def show(invocation: Invocation, name: str, whole: bool, layer: str | None) -> Answer:
    """Show one profile: its documentation, attributes, example and cases."""
    found = _every(invocation)
    chosen = [one for one in found if one.name == name and layer in (None, one.layer or "fleet")]
    if not chosen:
        where = f" in {layer}" if layer else ""
        raise UsageError(
            f"there is no profile {name!r}{where}{near(name, [one.name for one in found])} (`fleet profiles list`)"
        )
    if len({one.layer for one in chosen}) > 1:
        layers = ", ".join(one.layer or "fleet" for one in chosen)
        raise UsageError(f"there are several profiles {name}: in {layers}; say --layer LAYER")
    (one,) = chosen
    read = one.read()
    document = {"name": name, "layer": one.layer or None, "file": one.path, "profile": one.content.decode()}
    if whole:
        return Answer(printable(one.content.decode()).rstrip("\n"), document)
    if read.kind is None:
        raise ConfigError(read.problems)
    lines = [printable(click.unstyle(reference(read.kind))), "", f"From {one_line(one.path)}"]
    if read.cases:
        lines += ["", "Its cases:", *(f"  {one_line(case.name)}" for case in read.cases)]
    return Answer("\n".join(lines), {**document, **kind_document(read.kind), "cases": [c.name for c in read.cases]})


@fleet_command(
    "check",
    examples=(("fleet profiles check environments/base/profiles/zone.yaml", "its format, its attributes, its cases"),),
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def check(invocation: object, files: tuple[Path, ...]) -> Answer:
    """Check profiles, and play their cases; nothing is contacted.

    A case says what a server answers to a read, and what should be sent then.
    """
    from fleet.desired.profile_cases import read

    problems: list[Problem] = []
    rows, lines = [], []
    for file in files:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise UsageError(f"{file} cannot be read: {error.strerror}") from error
        found = read(str(file), content)
        problems += [*found.problems, *_failing(found)]
        rows.append({"file": str(file), "cases": [case.name for case in found.cases]})
        said = count(len(found.cases), "case") if found.cases else "no cases: nothing shows that it does what it should"
        lines.append(f"{one_line(str(file))}: {said}")
    if problems:
        raise ConfigError(problems)
    return Answer("\n".join([*lines, "all is right"]), {"profiles": rows})


command.add_command(list_)
command.add_command(show)
command.add_command(check)
command.add_command(profiles_import.command)


def _failing(found: Read) -> Sequence[Problem]:
    from fleet.converge.rehearse import differs, rehearse

    if found.kind is None:
        return ()
    told = [(case, differs(case, rehearse(case, found.kind))) for case in found.cases]
    return [Problem(case.origin, f"case `{case.name}` does not hold\n{printable(said)}") for case, said in told if said]


def _every(invocation: Invocation) -> Sequence[ProfileFile]:
    """Outside of a repository those that come with fleet."""
    from fleet.desired.profile_files import in_tree, shipped

    try:
        tree = open_tree(open_app(invocation), invocation)
    except UsageError:
        if invocation.repository is not None:
            raise
        return shipped()
    return (*shipped(), *in_tree(tree))


def _said(read: Read) -> str:
    return first_line(read.kind.doc) if read.kind is not None else "cannot be read: fleet profiles check says why"
