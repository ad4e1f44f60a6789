"""From an Invocation to the running parts: the App, and the Fleet that the chosen revision describes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fleet.errors import UsageError

if TYPE_CHECKING:
    from fleet.app import App
    from fleet.cli.options import Invocation
    from fleet.desired.compile import Fleet


def find_repository(start: Path) -> Path:
    """The nearest directory from `start` upwards that holds `environments/`. Raises UsageError."""
    for directory in (start, *start.parents):
        if (directory / "environments").is_dir():
            return directory
    raise UsageError(
        f"no environments/ directory in {start} or above it; go to your repository, name it with -C DIR, "
        "or make one with `fleet init DIR`"
    )


def repository_of(invocation: Invocation) -> Path:
    """Where the repository is. Raises UsageError when there is none."""
    if invocation.repository is None:
        return find_repository(Path.cwd())
    if not invocation.repository.is_dir():
        raise UsageError(f"{invocation.repository} is not a directory")
    return invocation.repository.resolve()


def open_app(invocation: Invocation) -> App:
    """The composition root, with what the command line says."""
    from fleet.app import App
    from fleet.settings import Settings

    return App(Settings(repository=repository_of(invocation)))


def open_fleet(invocation: Invocation) -> tuple[App, Fleet]:
    """The App and what the chosen revision says. Raises ConfigError with all problems."""
    app = open_app(invocation)
    return app, app.compile(invocation.revision, invocation.working_tree)


def said_of(fleet: Fleet) -> str:
    """Which state of the repository this is, for people."""
    if fleet.working_tree:
        return click.style("working tree (uncommitted)", fg="yellow")
    return fleet.revision[:12]


def source_document(fleet: Fleet) -> dict[str, object]:
    """The same for programs: the keys `revision` and `working_tree` of every document about a revision."""
    return {"revision": fleet.revision, "working_tree": fleet.working_tree}
