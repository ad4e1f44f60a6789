"""What a command says: text for people, the same as one JSON document for programs, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import click

from fleet.cli.exit_codes import ExitCode
from fleet.cli.printable import keep_colours
from fleet.model import sealed

# Grows only when a key changes its meaning or goes; new keys may come at any time.
JSON_VERSION = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """text: for people, already `printable`; styled with click.style. document: the command's own JSON keys."""

    text: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)
    exit_code: ExitCode = ExitCode.IN_SYNC


def to_json(command: str, answer: Answer, indent: int | None = 2) -> str:
    """One document, ASCII only, so that it is safe on a terminal as well. indent None: in one line."""
    said = {"version": JSON_VERSION, "command": command, "exit_code": int(answer.exit_code), **answer.document}
    return json.dumps(_shown(said), indent=indent).replace("\x7f", "\\u007f")


def show(text: str, error: bool = False, color: bool | None = None) -> None:
    """Print for people. Colours go when the stream is no terminal, or when color is False."""
    if text:
        click.echo(keep_colours(text), err=error, color=color)


def _shown(value: object) -> Any:
    """Plain JSON values; where a secret will stand, its name does."""
    if isinstance(value, str):
        return sealed.shown(value)
    if isinstance(value, bytes):
        return sealed.shown(value.decode("utf-8", "backslashreplace"))
    if isinstance(value, Mapping):
        return {str(key): _shown(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shown(inner) for inner in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(_shown, value))
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)
