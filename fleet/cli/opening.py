"""From an Invocation to the running parts: the App, and the Fleet that the chosen revision describes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fleet.cli.answer import show
from fleet.cli.printable import one_line
from fleet.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fleet.app import App
    from fleet.cli.options import Invocation
    from fleet.desired.compile import Fleet
    from fleet.desired.source import Tree
    from fleet.history import History
    from fleet.model.host import HostSpec
    from fleet.settings import Settings


def find_repository(start: Path) -> Path:
    """The nearest directory from `start` upwards that holds `environments/`. Raises UsageError."""
    for directory in (start, *start.parents):
        if (directory / "environments").is_dir():
            return directory
    raise UsageError(
        f"no environments/ directory in {start} or above it; go to your repository, name it with -C DIR, "
        "or make one with `fleet init DIR`"
    )


def settings_of(invocation: Invocation, anywhere: bool = False) -> Settings:
    """The process's settings with what the command line says. Raises UsageError when there is no repository, unless
    that does not matter (anywhere)."""
    from fleet.settings import Settings

    flags: dict[str, object] = {"trace": True} if invocation.trace else {}
    if invocation.repository is not None:
        if not invocation.repository.is_dir():
            raise UsageError(f"{invocation.repository} is not a directory")
        flags["repository"] = invocation.repository
    settings = Settings(**flags)
    if invocation.color is None:
        invocation.color = {"always": True, "never": False}.get(settings.color)
    invocation.trace = settings.trace
    if invocation.repository is None and not anywhere:
        return Settings(**flags, repository=find_repository(settings.repository))
    return settings


def open_app(invocation: Invocation) -> App:
    """The composition root, with what the command line says."""
    from fleet.app import App

    return App(settings_of(invocation), masker=invocation.masker)


def open_fleet(invocation: Invocation) -> tuple[App, Fleet]:
    """The App and what the chosen revision says. Raises ConfigError with all problems."""
    app = open_app(invocation)
    fleet = app.compile(invocation.revision, invocation.working_tree)
    if not invocation.json and not invocation.working_tree and invocation.revision == "HEAD":
        _warn_of_uncommitted(app.settings.repository, invocation.color)
    return app, fleet


def _warn_of_uncommitted(repository: Path, color: bool | None) -> None:
    """Editing and then wondering why nothing changes is everybody's first mistake."""
    from fleet.desired.source import uncommitted

    if changed := uncommitted(repository):
        files = "1 file" if changed == 1 else f"{changed:,} files"
        said = f"{files} below environments/ changed since the last commit and not read; --working-tree reads them"
        show(click.style(f"note: {said}", fg="yellow"), error=True, color=color)


def open_tree(app: App, invocation: Invocation) -> Tree:
    """The files of the chosen revision."""
    from fleet.desired.source import open_revision, open_working_tree

    repository = app.settings.repository
    return open_working_tree(repository) if invocation.working_tree else open_revision(repository, invocation.revision)


def said_of(fleet: Fleet) -> str:
    """Which state of the repository this is, for people."""
    if fleet.working_tree:
        return click.style(one_line(fleet.label), fg="yellow")
    return one_line(fleet.label)


def source_document(fleet: Fleet) -> dict[str, object]:
    """The same for programs: the keys `revision` and `working_tree` of every document about a revision."""
    return {"revision": fleet.revision, "working_tree": fleet.working_tree}


def find_host(fleet: Fleet, name: str, environment: str = "") -> HostSpec:
    """The one host called NAME or ENVIRONMENT/NAME. Raises UsageError with near misses, or when it is not one."""
    found = [h for h in fleet.hosts if name in (h.name, h.label) and environment in ("", h.environment)]
    if len(found) == 1:
        return found[0]
    if found:
        both = ", ".join(sorted(host.label for host in found))
        raise UsageError(f"there are several hosts {name}: {both}; say which, e.g. {found[0].label}")
    known = {word for host in fleet.hosts for word in (host.name, host.label)}
    raise UsageError(f"there is no host {name!r}{near(name, known)} (`fleet hosts` lists them)")


def near(word: str, known: Iterable[str]) -> str:
    """ "; did you mean x or y?", or nothing."""
    from fleet.desired.check import nearest

    close = nearest(word, sorted(known))
    return f"; did you mean {' or '.join(close)}?" if close else ""


async def open_history(app: App) -> History:
    """The record, to read; use it with `async with`. Raises HistoryError."""
    from fleet.history import History

    return await History.open(app.settings.history_file)
