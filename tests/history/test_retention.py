"""What is old is forgotten, nothing that is still asked for, and nobody waits for it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.history import History
from fleet.model.change import Change
from fleet.model.host import Resource
from fleet.model.step import Outcome, Status
from tests.history.samples import plan, result
from tests.history.test_control import with_history

SCRIPT = Resource("command:long", "command", "long", None, {"done": True}, digest="d4")


def test_what_is_old_goes_and_what_is_still_asked_for_stays(tmp_path: Path) -> None:
    async def scenario(history: History) -> None:
        old = await history.start_run("apply", "dev", "abc", "")
        for host in ("h1", "h2"):
            await history.intend(old, plan(host), "a")
            await history.record(old, result(host), "")
        await history.intend(old, plan("cut"), "a")  # nobody knows how that ended
        await history.finish_run(old, ["changed"])
        new = await history.start_run("apply", "dev", "def", "")
        await history.record(new, result("h1"), "")
        await history.finish_run(new, ["changed"])
        await history.control.audit("ann", "exec", {})
        between = time.time() + 1
        gone = await history.prune(0)
        assert (gone.runs, gone.passes, gone.changes, gone.contents) == (0, 0, 0, 0)
        gone = await history.prune(between)
        assert gone.passes == 1, "the older one of h1; the last of h1 and of h2 stay"
        assert set(await history.last_passes()) == {("dev", "h1"), ("dev", "h2")}
        assert {one.host for one in await history.interrupted()} == {"cut"}
        for change in await history.changes(limit=100):
            assert change.before is None or change.before.get("content") != {"$content": ""}
        assert len(await history.control.audited()) == 1
        assert (await history.prune(between)).passes == 0

    with_history(tmp_path, scenario)


@pytest.mark.parametrize("seen", [b"bytes", "a long text " * 200])
def test_the_content_of_a_change_that_stays_is_kept(tmp_path: Path, seen: bytes | str) -> None:
    """However it is referred to, and whichever change referred to it before. Another's goes."""

    async def scenario(history: History) -> None:
        change = Change(SCRIPT, {"done": False, "seen": seen}, SCRIPT.desired, ("done",))
        other = Change(SCRIPT, {"done": False, "seen": b"other"}, SCRIPT.desired, ("done",))
        for host in ("old", "new"):
            run = await history.start_run("apply", "dev", "abc", "")
            await history.intend(run, plan(host, (change,)), "a")
            if host == "old":
                await history.intend(run, plan(host, (other,)), "b")
                outcomes = {SCRIPT.id: Outcome(SCRIPT.id, Status.OK)}
                await history.record(run, replace(result(host), plan=plan(host, (change,)), outcomes=outcomes), "")
                await history.finish_run(run, ["failed"])
        gone = await history.prune(time.time() + 1)
        assert (gone.changes, gone.contents) == (2, 1)
        (kept,) = await history.changes(host="new")
        assert kept.before == {"done": False, "seen": seen}

    with_history(tmp_path, scenario)


def test_who_writes_does_not_wait_until_all_is_forgotten(tmp_path: Path) -> None:
    async def scenario(history: History) -> None:
        run = await history.start_run("apply", "dev", "abc", "")
        for number in range(30):
            await history.record(run, result(f"h{number // 10}"), "")
        await history.finish_run(run, ["changed"])
        done: list[str] = []

        async def intend() -> None:
            await history.intend(run, plan("h1"), "a")
            done.append("intended")

        async def forget() -> None:
            await history.prune(time.time() + 1, at_once=2)
            done.append("forgotten")

        before = history.commits
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(forget())
            await asyncio.sleep(0)
            tasks.create_task(intend())
        assert done == ["intended", "forgotten"]
        assert history.commits - before > 15, "27 of 30 passes go, two at a time"

    with_history(tmp_path, scenario)
