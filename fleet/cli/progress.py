"""A run as it goes, on standard error: a live region on a terminal, plain lines elsewhere, nothing under --json."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click

from fleet.cli.answer import show
from fleet.cli.printable import one_line
from fleet.cli.render_plan import COLORS
from fleet.cli.tally import BAD, Tally
from fleet.cli.words import count
from fleet.errors import TransportError
from fleet.model.change import PassResult

FRAMES_PER_SECOND = 8
PLAIN_EVERY = 10.0  # seconds between lines where there is no terminal


@asynccontextmanager
async def progress(tally: Tally, doing: str, json: bool, color: bool | None = None) -> AsyncIterator[None]:
    """Show the tally while the body runs. doing: "looking at", "changing"."""
    if json:
        yield
        return
    shown = _live(tally, doing, color) if sys.stderr.isatty() else _plain(tally, doing, color)
    async with shown:
        yield


@asynccontextmanager
async def _live(tally: Tally, doing: str, color: bool | None) -> AsyncIterator[None]:
    """Redrawn a few times a second by the event loop itself: no thread, and nothing when the loop is blocked."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    plain = True if color is False else None
    console = Console(stderr=True, no_color=plain, markup=False, highlight=False, emoji=False)

    def frame() -> Text:
        return Text("\n").join(
            Text(line, style=style, no_wrap=True, overflow="ellipsis")
            for line, style in frame_lines(tally, doing, console.width)
        )

    def bad(result: PassResult) -> None:
        if result.verdict in BAD:
            live.console.print(Text(finished(result), style=COLORS[result.verdict]), soft_wrap=True)

    async def redraw() -> None:
        while True:
            await asyncio.sleep(1 / FRAMES_PER_SECOND)
            live.update(frame(), refresh=True)

    tally.heard = bad
    with Live(frame(), console=console, auto_refresh=False, transient=True) as live:
        task = asyncio.create_task(redraw())
        try:
            yield
        finally:
            task.cancel()


@asynccontextmanager
async def _plain(tally: Tally, doing: str, color: bool | None) -> AsyncIterator[None]:
    """One line for each host that did not go well, and one every few seconds."""

    def bad(result: PassResult) -> None:
        if result.verdict in BAD:
            show(click.style(finished(result), fg=COLORS[result.verdict]), error=True, color=color)

    async def tell() -> None:
        while True:
            await asyncio.sleep(PLAIN_EVERY)
            show(status_line(tally, doing), error=True, color=color)

    tally.heard = bad
    task = asyncio.create_task(tell())
    try:
        yield
    finally:
        task.cancel()


def frame_lines(tally: Tally, doing: str, width: int) -> list[tuple[str, str]]:
    """The live region, at most seven lines, each with its style."""
    done, total = len(tally.results), max(tally.total, 1)
    room = max(min(width - 50, 40), 10)
    full = room * min(done, total) // total
    head = f"{doing} {count(tally.total, 'host')}"
    bar = f"{'━' * full}{'╌' * (room - full)} {done:,}/{tally.total:,}  {tally.rate():.0f} hosts/s  {_clock(tally)}"
    counts = ", ".join(f"{number:,} {verdict}" for verdict, number in tally.counts().items())
    lines = [(head, "bold"), (bar, "cyan"), (f"{counts or 'none finished yet'}; {len(tally.running):,} running", "")]
    for host, stage, seconds in tally.slowest(3):
        lines.append((f"  {one_line(host, 40)}  {stage} {seconds:.1f} s", "dim"))
    return [(one_line(line, width), style) for line, style in lines]


def status_line(tally: Tally, doing: str) -> str:
    """The same in one line."""
    counts = ", ".join(f"{number:,} {verdict}" for verdict, number in tally.counts().items())
    waiting = "".join(f"; slowest: {one_line(host)} ({stage} {s:.0f} s)" for host, stage, s in tally.slowest(1))
    done = f"{doing}: {len(tally.results):,} of {count(tally.total, 'host')} after {_clock(tally)}"
    return done + (f" ({counts})" if counts else "") + waiting


def finished(result: PassResult) -> str:
    """One line for a host that did not go well."""
    # The next step is told once, at the end, for all hosts that want it.
    error = result.error
    why = f"{error.failure}" if isinstance(error, TransportError) else str(error or "")
    if not why:
        bad = [f"{one} {o.status}" for one, o in result.outcomes.items() if o.status != "ok"]
        bad += [f"{one} could not be observed" for one in (result.plan.unreadable if result.plan else ())]
        bad += [f"{one} {left}" for one, left in result.remaining.items()]
        why = bad[0] + (f" and {len(bad) - 1} more" if len(bad) > 1 else "") if bad else ""
    return one_line(f"{result.environment}/{result.host} {result.verdict}" + (f": {why}" if why else ""), 300)


def _clock(tally: Tally) -> str:
    seconds = int(tally.seconds())
    return f"{seconds // 60}:{seconds % 60:02}"
