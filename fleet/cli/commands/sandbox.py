"""`fleet sandbox`: throw-away hosts on this machine: up, down, list, ssh."""

from __future__ import annotations

from fleet.cli.options import group


@group(
    "sandbox",
    examples=(
        ("fleet sandbox up --hosts 5", "five hosts on loopback addresses, each with its own sshd"),
        ("fleet sandbox ssh web-1", "a shell on one of them"),
        ("fleet sandbox down", "all of them gone, and nothing left"),
    ),
)
def command() -> None:
    """Throw-away hosts on this machine, to try things on."""
