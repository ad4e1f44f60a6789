"""`fleet serve`: the controller, until it is told to end."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from fleet.cli.answer import Answer
from fleet.cli.exit_codes import ExitCode
from fleet.cli.opening import open_app, settings_of
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleet.app import App
    from fleet.settings import Settings


@fleet_command(
    "serve",
    examples=(
        ("fleet serve", "keep every host as this repository's branch says"),
        ("fleet status", "in another terminal: what it is doing"),
        ("FLEET_REMOTE=https://git.example.org/ops.git fleet serve", "follow a remote repository"),
    ),
)
@click.pass_obj
def command(invocation: Invocation) -> Answer:
    """Follow the repository, and keep every environment as it says.

    Until told to end. Each new commit is compiled; hosts that it changes are changed, and every host is looked at
    again and again, so that what others change there is found and corrected. What does not compile changes nothing.
    Ctrl-C, or the service manager, ends it in order: steps that are under way are finished, for a while.
    """
    from fleet.app import App
    from fleet.cli.log_lines import is_json, log_lines
    from fleet.cli.run_async import run_async

    settings = settings_of(invocation, anywhere=True)
    app = App(settings, masker=invocation.masker) if settings.remote else open_app(invocation)
    with log_lines(app.settings, os.environ, sys.stderr, invocation.masker):
        reading = partial(settings_of, invocation, anywhere=bool(settings.remote))
        said = run_async(_serve(app, reading), stopping=lambda: None)  # the log says it
    return Answer("", said.document, said.exit_code) if is_json(app.settings, os.environ, sys.stderr) else said


async def _serve(app: App, reading: Callable[[], Settings]) -> Answer:
    import asyncio
    import signal
    import time

    from fleet.cli.reloading import Reloading
    from fleet.controller.lease import lease
    from fleet.controller.notices.notifier import beside
    from fleet.controller.notify import from_environment, watchdog
    from fleet.controller.service import Habits
    from fleet.web.app import application
    from fleet.web.door import Doorman, door_of
    from fleet.web.server import serving

    settings = app.settings
    with lease(settings.state_dir):
        try:
            service = await app.service(
                from_environment(os.environ), Habits(settings.poll, watchdog(os.environ), retention=settings.retention)
            )
            door, notifier = door_of(settings, time.time), app.notifier(service.events_)
            doorman = Doorman(door)
            reload, terminal = Reloading(service, doorman, settings, reading), sys.stderr.isatty()
            reload.warn()
            task = asyncio.current_task()

            def hup() -> None:
                """From whoever wants settings read again; or the terminal was closed, and then it ends with it."""
                if terminal and not sys.stderr.isatty() and task is not None:
                    task.cancel()
                else:
                    reload()

            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hup)
            async with (
                serving(application(service, doorman, doorman.hook), settings.socket, door.address),
                beside(notifier, service),
            ):
                await service.run()
        except asyncio.CancelledError:
            return Answer("ended in order", exit_code=ExitCode.IN_SYNC)
        finally:
            await app.aclose()
    return Answer("ended", exit_code=ExitCode.ERROR)
