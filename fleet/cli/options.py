"""What every command accepts, before or after its name; collected in one Invocation. Help that teaches by example."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from fleet.masking import Masker


@dataclass(slots=True)
class Invocation:
    """One call of fleet. command: which one; "fleet" until that is known. repository: None means found upwards from
    here. verbose: how many -v.

    color: None lets the stream decide. masker: takes the secrets that were decrypted out of what is said.
    """

    command: str = "fleet"
    repository: Path | None = None
    revision: str = "HEAD"
    working_tree: bool = False
    json: bool = False
    verbose: int = 0
    color: bool | None = field(default_factory=lambda: False if os.environ.get("NO_COLOR") else None)
    trace: bool = False
    masker: Masker = field(default_factory=Masker)


def common_options() -> list[click.Parameter]:
    """Fresh options of every command; each writes what it was given into the Invocation."""

    def option(*names: str, **more: Any) -> click.Option:
        return click.Option(names, expose_value=False, callback=_remember, **more)

    return [
        option("-C", "--repository", metavar="DIR", type=click.Path(path_type=Path),
               help="The Git repository that holds environments/ (default: found upwards from here)."),
        option("-r", "--revision", metavar="REV", help="Commit, tag or branch to read (default: HEAD)."),
        option("--working-tree", is_flag=True, default=None, help="Read uncommitted files instead, and say so."),
        option("--json", is_flag=True, default=None, help="One JSON document on standard output."),
        option("-v", "--verbose", count=True, help="More detail; -vvv adds tracebacks."),
        option("--no-color", "color", flag_value=False, default=None, type=bool,
               help="No colours (also: NO_COLOR set)."),
        option("--trace", is_flag=True, default=None, help="Say which hosts were slowest and where their time went."),
    ]  # fmt: skip


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    invocation = ctx.ensure_object(Invocation)
    if value is not None and param.name is not None and (param.name != "verbose" or value):
        setattr(invocation, param.name, value)


class FleetCommand(click.Command):
    """A command with the common options and examples that can be pasted."""

    def __init__(self, *args: Any, examples: Sequence[tuple[str, str]] = (), **more: Any) -> None:
        super().__init__(*args, **more)
        self.examples = tuple(examples)
        self.common = common_options()
        self.params = [*self.params, *self.common]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [p for p in self.get_params(ctx) if p not in self.common and not isinstance(p, click.Argument)]
        _write(formatter, "Options", own, ctx)
        _write(formatter, "Options of every command", self.common, ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_examples(formatter, self.examples)


class FleetGroup(FleetCommand, click.Group):
    """A command with commands of its own (`fleet hosts enroll`)."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        FleetCommand.format_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)


def write_examples(formatter: click.HelpFormatter, examples: Sequence[tuple[str, str]]) -> None:
    """Commands to paste, each with what it does."""
    if examples:
        with formatter.section("Examples"):
            for line, meaning in examples:
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")
                formatter.write(f"{'':{formatter.current_indent + 4}}{meaning}\n")


def _write(formatter: click.HelpFormatter, title: str, params: Sequence[click.Parameter], ctx: click.Context) -> None:
    rows = [row for param in params if (row := param.get_help_record(ctx)) is not None]
    if rows:
        with formatter.section(title):
            formatter.write_dl(rows)


def command(name: str, examples: Sequence[tuple[str, str]] = (), **more: Any) -> Callable[[Callable[..., Any]], Any]:
    """Make a function a command; it returns an Answer."""
    return click.command(name, cls=FleetCommand, examples=examples, **more)


def group(name: str, examples: Sequence[tuple[str, str]] = (), **more: Any) -> Callable[[Callable[..., Any]], Any]:
    """The same for a command that has commands of its own."""
    return click.group(name, cls=FleetGroup, examples=examples, invoke_without_command=True, **more)
