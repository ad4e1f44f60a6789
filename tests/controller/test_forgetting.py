"""Retention by a clock that jumps: years ahead, and back."""

from __future__ import annotations

import asyncio
import time
from itertools import chain, repeat
from pathlib import Path
from typing import Literal

import pytest

from fleet.controller.forgetting import Clocks, forgetting
from fleet.history import History
from tests.history.samples import result

pytestmark = pytest.mark.anyio
DAY = 86_400.0


async def left(path: Path, ahead: float, lived: float) -> int:
    """Passes that are left of three, when the process has lived for so many days by a clock that is days ahead."""
    monotonic = chain([0.0], repeat(lived * DAY))
    async with await History.open(path / "history.db") as history:
        run = await history.start_run("serve", "dev", "abc", "")
        for _ in range(3):
            await history.record(run, result("web-1"), "")
        await history.flush()
        wall = time.time() + (ahead + lived) * DAY
        clocks, sooner = Clocks(lambda: wall, lambda: next(monotonic)), Sooner()
        task = asyncio.create_task(forgetting(history, lambda: 90 * DAY, clocks, sooner))
        await sooner.awaited.wait()
        task.cancel()
        return len(await history.passes())


class Sooner(asyncio.Event):
    """Says when it is waited for: then all that is due was forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.awaited = asyncio.Event()

    async def wait(self) -> Literal[True]:
        self.awaited.set()
        return await super().wait()


@pytest.mark.parametrize("ahead", [-4000.0, -1.0, 0.0, 1.0, 4000.0])
async def test_a_clock_that_jumps_forgets_nothing(tmp_path: Path, ahead: float) -> None:
    assert await left(tmp_path, ahead, 0.0) == 3


@pytest.mark.parametrize("ahead", [0.0, 4000.0])
async def test_what_is_old_by_the_time_that_was_lived_is_forgotten(tmp_path: Path, ahead: float) -> None:
    """But for the latest pass of each host."""
    assert await left(tmp_path, ahead, 91.0) == 1
