"""`fleet config`: each setting of this process, and where it comes from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from fleet.cli.answer import Answer
from fleet.cli.opening import near, settings_of
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command
from fleet.cli.printable import one_line
from fleet.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleet.settings import Settings

FLAGS = {"repository": "repository", "trace": "trace"}  # setting → attribute of an Invocation


@fleet_command(
    "config",
    examples=(
        ("fleet config", "every setting, its value, and what said so"),
        ("fleet config poll", "one value, for a script"),
        ("FLEET_POLL=5 fleet config poll", "a variable is stronger than a file"),
    ),
)
@click.argument("name", required=False)
@click.pass_obj
def command(invocation: Invocation, name: str | None) -> Answer:
    """Say what each setting is, and where that comes from.

    The first that says something wins: a flag, a variable FLEET_NAME, the user's file, the system's file, the default.
    """
    settings = settings_of(invocation, anywhere=True)
    found = {one: (getattr(settings, one), source(one, invocation)) for one in type(settings).model_fields}
    document = {one: {"value": _plain(value), "from": where} for one, (value, where) in found.items()}
    if name is None:
        return Answer(render(settings, found), {"settings": document})
    if name not in found:
        raise UsageError(f"there is no setting {name!r}{near(name, found)}")
    return Answer(one_line(_text(found[name][0])), {"settings": {name: document[name]}})


def source(name: str, invocation: Invocation) -> str:
    """In words; nothing of a value is told here."""
    from fleet.settings import Settings, config_files, read_file, variable

    flag = getattr(invocation, FLAGS.get(name, ""), None) if name in FLAGS else None
    if flag:
        return f"--{name}"
    if os.environ.get(variable(name)):
        return variable(name)
    for path in config_files():
        if name in (said := read_file(path, Settings.model_fields)):
            return str(said[name][1])
    return "default"


def render(settings: Settings, found: Mapping[str, tuple[Any, str]]) -> str:
    """One line each, what was said by somebody first."""
    width = max(map(len, found))
    lines = []
    for name, (value, where) in sorted(found.items(), key=lambda one: (one[1][1] == "default", one[0])):
        said = click.style(one_line(where), fg=None if where == "default" else "green")
        lines.append(f"{name:{width}}  {one_line(_text(value)) or '-'}  ({said})")
    return "\n".join(lines)


def _text(value: Any) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float) else str(value)
