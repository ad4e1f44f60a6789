"""What a controller keeps from one life to the next, what it forgets, and an audit that cannot be altered unseen."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from fleet.errors import HistoryError
from fleet.history import History
from fleet.history.records import Ordered, Taken
from tests.history.samples import result


def with_history(path: Path, work: Callable[[History], Awaitable[None]]) -> None:
    async def run() -> None:
        async with await History.open(path / "history.db") as history:
            await work(history)

    asyncio.run(run())


def test_orders_and_revisions_are_there_in_the_next_life(tmp_path: Path) -> None:
    freeze, pause = Ordered("", "ann", "incident", 1.0), Ordered("dev/h1", "rob", "", 2.0)

    async def first(history: History) -> None:
        await history.control.take(Taken("dev", "a" * 40, "", 1.0))
        await history.control.take(Taken("dev", "b" * 40, "a" * 40, 2.0, '{"x": 1}'))
        await history.control.take(Taken("gone", "b" * 40, "", 2.0))
        await history.control.leave("gone")
        for one in (freeze, pause, Ordered("prod", "ann", "", 3.0)):
            await history.control.order(one)
        await history.control.lift("prod", "rob")

    async def second(history: History) -> None:
        assert await history.control.taken() == {"dev": Taken("dev", "b" * 40, "a" * 40, 2.0, '{"x": 1}')}
        assert await history.control.orders() == [freeze, pause]
        said = [(one.who, one.action, one.said["scope"]) for one in await history.control.audited()]
        assert said == [
            ("ann", "order", ""),
            ("rob", "order", "dev/h1"),
            ("ann", "order", "prod"),
            ("rob", "lift", "prod"),
        ]

    with_history(tmp_path, first)
    with_history(tmp_path, second)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE audit SET who = 'eve' WHERE id = 2",
        "UPDATE audit SET at = at + 1 WHERE id = 1",
        "DELETE FROM audit WHERE id = 2",
        "UPDATE audit SET said = '{}' WHERE id = 3",
    ],
)
def test_an_audit_that_was_altered_is_told(tmp_path: Path, tampering: str) -> None:
    async def write(history: History) -> None:
        for number in range(3):
            await history.control.audit("ann", "exec", {"n": number})
        assert len(await history.control.audited()) == 3

    async def read(history: History) -> None:
        with pytest.raises(HistoryError, match="is not as it was written"):
            await history.control.audited()

    with_history(tmp_path, write)
    with sqlite3.connect(tmp_path / "history.db") as database:
        database.execute(tampering)
    with_history(tmp_path, read)


def test_a_look_that_finds_nothing_new_is_only_remembered_as_a_time(tmp_path: Path) -> None:
    async def scenario(history: History) -> None:
        run = await history.start_run("serve", "dev", "abc", "")
        await history.record(run, result("h1"), "")
        before = (await history.last_passes())["dev", "h1"]
        await history.looked("dev", "h1")
        await history.looked("dev", "unknown")
        after = (await history.last_passes())["dev", "h1"]
        assert after.ended >= before.ended and after.id == before.id
        assert len(await history.passes()) == 1

    with_history(tmp_path, scenario)
