"""Which hosts a command is about: -e, --host, --role and --label in, a fleet.app.Selection out, and back into words."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from fleet.cli import completion
from fleet.cli.options import Invocation
from fleet.cli.printable import one_line

if TYPE_CHECKING:
    from fleet.app import Selection

Function = TypeVar("Function", bound=Callable[..., Any])


short_option = click.option("--short", is_flag=True, help="Only which resources change, without the diffs.")

prune_option = click.option(
    "--prune",
    type=click.IntRange(0),
    is_flag=False,
    flag_value=10,
    metavar="[MOST]",
    help="Also remove what fleet made behind APIs and the repository names no more; nothing at all when that would be "
    "more than MOST objects (10).",
)


def selects_hosts(function: Function) -> Function:
    """Adds -e, --host, --role and --label, and hands them over as `selection`, a fleet.app.Selection."""

    @click.option(
        "-e",
        "--env",
        "environments",
        multiple=True,
        metavar="ENV",
        help="Only this environment.",
        shell_complete=completion.environments,
    )
    @click.option(
        "--host",
        "hosts",
        multiple=True,
        metavar="PATTERN",
        help='Only hosts of this name, e.g. "web-*".',
        shell_complete=completion.hosts,
    )
    @click.option("--role", "roles", multiple=True, metavar="ROLE", help="Only hosts with this role.")
    @click.option(
        "--label",
        "labels",
        multiple=True,
        metavar="KEY=VALUE",
        callback=_labels,
        help="Only hosts with this label. Options add up: all must hold; one given twice: either.",
    )
    @functools.wraps(function)
    def wrapped(*args: Any, **more: Any) -> Any:
        from fleet.app import Selection

        selection = Selection(*(more.pop(name) for name in ("environments", "hosts", "roles", "labels")))
        return function(*args, selection=selection, **more)

    return cast(Function, wrapped)


def _labels(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    pairs = []
    for value in values:
        key, equals, wanted = value.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{value!r} is not KEY=VALUE, e.g. --label tier=web", ctx, param)
        pairs.append((key, wanted))
    return tuple(pairs)


def again(selection: Selection, invocation: Invocation, prune: int | None = None) -> str:
    """The options that say the same once more, to be pasted."""
    words: list[str] = []
    if invocation.working_tree:
        words.append("--working-tree")
    elif invocation.revision != "HEAD":
        words += ["-r", invocation.revision]
    for option, values in (("-e", selection.environments), ("--host", selection.hosts), ("--role", selection.roles)):
        words += [word for value in values for word in (option, value)]
    words += [word for key, value in selection.labels for word in ("--label", f"{key}={value}")]
    words += [] if prune is None else [f"--prune={prune}"]
    return "".join(f" {one_line(shlex.quote(word))}" for word in words)
