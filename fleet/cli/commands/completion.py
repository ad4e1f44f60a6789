"""`fleet completion`: the shell code that completes commands, environments and hosts."""

from __future__ import annotations

import click

from fleet.cli.answer import Answer
from fleet.cli.options import command as fleet_command


@fleet_command(
    "completion",
    examples=(
        ('eval "$(fleet completion bash)"', "completion in this shell; put the line into ~/.bashrc to keep it"),
        ("fleet completion fish > ~/.config/fish/completions/fleet.fish", "the same for fish"),
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> Answer:
    """Print the shell code that completes commands and hosts."""
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None
    source = made(context.find_root().command, {}, "fleet", "_FLEET_COMPLETE").source()
    return Answer(source, {"shell": shell, "source": source})
