"""Run a coroutine so that Ctrl-C ends it cleanly: the first cancels, the second leaves at once."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click

from fleet.cli.exit_codes import ExitCode

Result = TypeVar("Result")

SHOW_CURSOR = "\x1b[?25h"


def _stopping() -> None:
    click.echo("\nstopping: hosts being changed are told to stop; Ctrl-C again leaves at once", err=True)


def run_async(work: Coroutine[Any, Any, Result], stopping: Callable[[], None] = _stopping) -> Result:
    """The result of `work`; on uvloop. A cancelled `work` that does not answer for itself raises KeyboardInterrupt.

    stopping: says so when it is asked to end.
    """
    import uvloop

    gc.freeze()
    gc.enable()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(_interruptible(work, stopping))
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None


async def _interruptible(work: Coroutine[Any, Any, Result], stopping: Callable[[], None]) -> Result:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    asked = False

    def stop() -> None:
        nonlocal asked
        if asked:
            _leave()
        asked = True
        task.cancel()
        stopping()

    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, stop)
    try:
        return await task
    finally:
        for one in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(one)


def _leave() -> None:
    """At once, with the cursor back; what hosts were doing is unknown, and their journals say where they stood."""
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), SHOW_CURSOR.encode())
    os._exit(ExitCode.INTERRUPTED)
