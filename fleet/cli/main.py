"""The `fleet` command: words in, exit code out. Commands load when they are called.

The one place where errors become text (or JSON) and exit codes; nothing else in fleet prints or exits.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import click

from fleet.cli.answer import Answer, show, to_json
from fleet.cli.exit_codes import MEANINGS, PRECEDENCE, ExitCode
from fleet.cli.failure import describe
from fleet.cli.opening import near
from fleet.cli.options import FleetCommand, Invocation, write_examples

# In the order in which one meets them. Each is fleet/cli/commands/NAME.py.
SECTIONS = {
    "Try it": ("demo", "init", "sandbox"),
    "What should be (contacts no host)": (
        "validate",
        "show",
        "explain",
        "impact",
        "diff",
        "hosts",
        "secrets",
        "kinds",
        "profiles",
        "schema",
    ),
    "What is, and making it so": ("plan", "apply", "status", "history", "exec"),
    "Day and night": (
        "serve",
        "drift",
        "top",
        "reconcile",
        "pause",
        "resume",
        "freeze",
        "unfreeze",
        "accept",
        "approve",
        "logs",
        "notify",
        "service",
    ),
    "This command": ("config", "completion"),
}

EXAMPLES = (
    ("fleet validate", "check every file, and say every mistake at once"),
    ("fleet plan -e dev", "what would change on the hosts of dev"),
    ("fleet apply -e dev", "change them, after a look at the plan"),
)


class Root(FleetCommand, click.Group):
    """Knows its commands by name only."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for names in SECTIONS.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            close = near(cmd_name, self.list_commands(ctx))
            ctx.fail(f"there is no command {cmd_name!r}{close}")
        found = importlib.import_module(f"fleet.cli.commands.{cmd_name}").command
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        found = super().resolve_command(ctx, args)
        ctx.ensure_object(Invocation).command = found[0] or "fleet"
        return found

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in SECTIONS.items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(title):
                formatter.write_dl([(name, one.get_short_help_str(70)) for name, one in commands if one is not None])
        FleetCommand.format_options(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_examples(formatter, EXAMPLES)
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code.value), meaning) for code, meaning in MEANINGS.items()])
        order = ", ".join(str(code.value) for code in PRECEDENCE)
        formatter.write(f"  When several hold, the first of these: {order}.\n")


@click.command(cls=Root, context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"]})
@click.version_option(package_name="fleet-controller", prog_name="fleet")
def root() -> None:
    """Keep every host as the repository says, and say why.

    fleet reads one commit of a Git repository, works out what each host should be, looks at the hosts over SSH and at
    APIs over HTTP, and changes what differs. Nothing is installed on them.
    """


def run(arguments: Sequence[str]) -> ExitCode:
    """Carry out one command line and print what it says."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments  # the rest is another command's
    invocation = Invocation(json="--json" in own)  # also when the rest of the line cannot be parsed
    if "--no-color" in own:
        invocation.color = False
    try:
        result: Any = root.main(list(arguments), prog_name="fleet", standalone_mode=False, obj=invocation)
        answer = result if isinstance(result, Answer) else Answer(exit_code=ExitCode(result or 0))
        silent = not isinstance(result, Answer)
        stream_is_error = False
    except click.exceptions.NoArgsIsHelpError as asked:
        return _say(Answer(asked.message, exit_code=ExitCode.ERROR), invocation, error=True)
    except (Exception, KeyboardInterrupt, click.Abort) as error:
        answer, silent, stream_is_error = describe(error, invocation.verbose), False, True
    if silent:  # --help and --version have printed themselves
        return answer.exit_code
    return _say(answer, invocation, stream_is_error)


def _say(answer: Answer, invocation: Invocation, error: bool) -> ExitCode:
    if invocation.json:
        click.echo(to_json(invocation.command, replace(answer, document=invocation.masker.value(answer.document))))
    else:
        show(invocation.masker.text(answer.text), error=error, color=invocation.color)
    return answer.exit_code


def main() -> None:
    """Entry point. What is imported and compiled stays: looking through it for garbage costs a quarter of the start;
    `run_async` begins to."""
    gc.disable()
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # `fleet show web-1 | head` is no mistake
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.IN_SYNC
    sys.exit(code)


if __name__ == "__main__":
    main()
