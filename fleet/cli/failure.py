"""Errors as a person, or a program, wants to read them: an exception in, an Answer out."""

from __future__ import annotations

import os
import traceback
from typing import Any

import click

from fleet.cli.answer import Answer
from fleet.cli.exit_codes import ExitCode
from fleet.cli.json_output import origin_document
from fleet.cli.printable import printable
from fleet.cli.words import count
from fleet.errors import ConfigError, FleetError, Problem, TransportError, UsageError


def describe(error: BaseException, verbose: int = 0) -> Answer:
    """Whatever was raised, once. What nobody foresaw asks to be reported; -vvv or FLEET_DEBUG=1 adds the traceback."""
    if isinstance(error, BaseExceptionGroup) and verbose < 3:
        return describe(error.exceptions[0], verbose)  # tasks side by side mostly fail for one reason
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return _answer("interrupted", "interrupted; nothing more was done", ExitCode.INTERRUPTED)
    if isinstance(error, ConfigError):
        return _config(error)
    if isinstance(error, click.ClickException):
        return _answer("usage", _usage(error), ExitCode.ERROR)
    if isinstance(error, FleetError):
        kind = "usage" if isinstance(error, UsageError) else type(error).__name__.removesuffix("Error").lower()
        more = {"failure": str(error.failure), "hint": error.hint} if isinstance(error, TransportError) else {}
        return _answer(kind, str(error), ExitCode(error.exit_code), **more)
    return _unforeseen(error, verbose)


def problem_document(problem: Problem) -> dict[str, Any]:
    """The keys of one problem under --json."""
    return {
        **origin_document(problem.origin),
        "message": problem.message,
        "expected": problem.expected,
        "hint": problem.hint,
        "excerpt": problem.excerpt,
        "also": [origin_document(place) for place in problem.also],
    }


def _config(error: ConfigError) -> Answer:
    blocks = [printable(str(problem)) for problem in error.problems]
    files = len({problem.origin.file for problem in error.problems})
    closing = f"{count(len(error.problems), 'problem')} in {count(files, 'file')}; nothing was changed"
    text = "\n\n".join([*blocks, click.style(closing, fg="red", bold=True)])
    problems = [problem_document(problem) for problem in error.problems]
    said = {"type": "config", "message": closing, "problems": problems}
    return Answer(text, {"error": said}, ExitCode.ERROR)


def _usage(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    help_at = f"\nsee: {context.command_path} --help" if isinstance(context, click.Context) else ""
    return error.format_message() + help_at


def _answer(kind: str, message: str, code: ExitCode, **more: Any) -> Answer:
    text = click.style("error: ", fg="red", bold=True) + printable(message)
    return Answer(text, {"error": {"type": kind, "message": message, **more}}, code)


def _unforeseen(error: BaseException, verbose: int) -> Answer:
    said = f"{type(error).__name__}: {error}"
    message = f"fleet met something it was not made for; please report it with the command you ran.\n  {said}"
    if verbose >= 3 or os.environ.get("FLEET_DEBUG"):
        message += "\n" + "".join(traceback.format_exception(error))
    else:
        message += "\n  -vvv or FLEET_DEBUG=1 shows where"
    return _answer("internal", message, ExitCode.ERROR)
