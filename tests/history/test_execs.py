"""What people ran by hand: on disk before it begins, beside the drift it left until that is gone, and never altered."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from fleet.history import History
from fleet.history.who import who, who_in_full
from fleet.model.change import Verdict
from fleet.model.executed import LONGEST, Ended, Executed, Execution
from tests.history.samples import result

H1, H2 = ("dev", "h1"), ("dev", "h2")
ASKED = Execution("ann@box", "incident 42", "systemctl restart 'a b'", (H1, H2))


def with_history(
    path: Path, work: Callable[[History], Awaitable[None]], mask: Callable[[Any], Any] | None = None
) -> None:
    async def run() -> None:
        async with await History.open(path / "history.db", mask=mask) as history:
            await work(history)

    asyncio.run(run())


async def begun(history: History, asked: Execution = ASKED) -> int:
    run = await history.start_run("exec", "dev", "abc", "")
    await history.execs.intend(run, asked)
    return run


def test_the_intent_is_there_before_any_result_and_in_the_audit(tmp_path: Path) -> None:
    async def scenario(history: History) -> None:
        run = await begun(history)
        async with await History.open(tmp_path / "history.db") as other:
            found = await other.execs.all(run=run)
            assert [(one.host, one.status, one.ended) for one in found] == [
                ("h2", "running", None),
                ("h1", "running", None),
            ]
            assert {(one.who, one.reason, one.command) for one in found} == {
                ("ann@box", "incident 42", "systemctl restart 'a b'")
            }
            (entry,) = await other.control.audited()
        assert (entry.who, entry.action) == ("ann@box", "exec")
        assert entry.said == {
            "run": run, "reason": "incident 42", "command": "systemctl restart 'a b'", "hosts": ["dev/h1", "dev/h2"],
        }  # fmt: skip

    with_history(tmp_path, scenario)


def test_a_result_is_kept_as_it_came_and_only_once(tmp_path: Path) -> None:
    async def scenario(history: History) -> None:
        run = await begun(history)
        await history.execs.ended(run, Executed(*H1, Ended.FAILED, 3, b"no\0\xff", True, "", 1.5))
        await history.execs.ended(run, Executed(*H1, Ended.OK, 0, b"another"))
        await history.execs.ended(run, Executed(*H2, Ended.UNKNOWN, None, error="lost: \udcff"))
        await history.finish_run(run, [Ended.FAILED, Ended.UNKNOWN])
        h2, h1 = await history.execs.all(run=run)
        assert (h1.status, h1.code, h1.output, h1.truncated, h1.seconds) == ("failed", 3, b"no\0\xff", True, 1.5)
        assert (h2.status, h2.code, h2.error) == ("unknown", None, "lost: \\udcff")
        assert [one.host for one in await history.execs.all(environment="dev", host="h1")] == ["h1"]
        assert await history.execs.all(environment="prod") == []
        later = await begun(history)
        assert {one.run for one in await history.execs.all()} == {run, later}
        assert [one.run for one in await history.execs.all(calls=1)] == [later, later]
        record = await history.run(run)
        assert record is not None and record.verdicts == {"failed": 1, "unknown": 1}

    with_history(tmp_path, scenario)


def test_who_was_killed_meanwhile_leaves_it_unknown(tmp_path: Path) -> None:
    async def first(history: History) -> None:
        await begun(history)

    async def second(history: History) -> None:
        assert {one.status for one in await history.execs.all()} == {"unknown"}
        assert set(await history.execs.unsettled()) == {H1, H2}

    with_history(tmp_path, first)
    with_history(tmp_path, second)


def test_a_secret_is_in_none_of_it(tmp_path: Path) -> None:
    def mask(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: mask(inner) for key, inner in value.items()}
        return value.replace(b"hunter2", b"*") if isinstance(value, bytes) else value.replace("hunter2", "*")

    async def scenario(history: History) -> None:
        run = await begun(history, Execution("ann@box", "as hunter2 leaked", "echo hunter2", (H1,)))
        await history.execs.ended(run, Executed(*H1, Ended.OK, 0, b"hunter2\n", error="hunter2"))
        (one,) = await history.execs.all()
        assert (one.output, one.command, one.reason, one.error) == (b"*\n", "echo *", "as * leaked", "*")

    with_history(tmp_path, scenario, mask)
    assert b"hunter2" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_it_stands_beside_drift_until_a_look_that_began_later_finds_the_host_in_sync(tmp_path: Path) -> None:
    async def scenario(history: History) -> None:
        async def beside() -> list[str]:
            return [one.reason for one in (await history.execs.unsettled()).get(H1, [])]

        async def ran(reason: str, status: Ended) -> None:
            run = await begun(history, Execution("ann@box", reason, "x", (H1,)))
            await history.execs.ended(run, Executed(*H1, status, 0))
            await history.finish_run(run, [status])

        early = time.time()
        await ran("one", Ended.OK)
        assert await beside() == ["one"], "never in sync as far as anybody knows"
        await history.looked(*H1, early)
        assert await beside() == ["one"], "the look began before it ended"
        await history.looked(*H1)
        await history.record(await history.start_run("plan", "dev", "abc", ""), result("h1", Verdict.FAILED), "")
        assert await beside() == ["one"], "not found in sync"
        await history.looked(*H1, time.time())
        assert await beside() == []
        await history.looked(*H1)
        for status in (Ended.SKIPPED, Ended.CONFLICT, Ended.UNREACHABLE):
            await ran(str(status), status)
        assert await beside() == [], "nothing was run"
        for status in (Ended.OK, Ended.FAILED, Ended.UNKNOWN):
            await ran(str(status), status)
        assert await beside() == ["unknown", "failed", "ok"]
        run = await history.start_run("apply", "dev", "abc", "")
        await history.record(run, result("h1", Verdict.CHANGED), "")
        assert (await beside())[:3] == ["unknown", "failed", "ok"], "that pass began a second before they ended"
        await history.looked(*H1, time.time() + 1)
        assert await beside() == []

    with_history(tmp_path, scenario)


def test_what_is_old_is_forgotten_and_the_audit_is_not(tmp_path: Path) -> None:
    async def scenario(history: History) -> None:
        run = await begun(history)
        await history.execs.ended(run, Executed(*H1, Ended.OK, 0))
        await history.finish_run(run, [Ended.OK])
        middle = time.time() + 0.001
        assert (await history.prune(middle - 3600)).execs == 0
        gone = await history.prune(middle)
        assert (gone.execs, gone.runs) == (1, 0), "how it ended on h2 nobody knows"
        gone = await history.prune(middle + LONGEST)
        assert (gone.execs, gone.runs) == (1, 1)
        assert len(await history.control.audited()) == 1

    with_history(tmp_path, scenario)


def test_who_it_was_is_the_kernel_s_word_and_sudo_s_only_to_root(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SUDO_USER", "LOGNAME", "USER"):
        monkeypatch.setenv(name, "bob")
    here = socket.gethostname()
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert (who(), who_in_full()) == (f"bob@{here}", f"bob as root@{here}")
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)
    assert who() == who_in_full() == f"{2**31 - 7}@{here}"
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.delenv("SUDO_USER")
    assert who() == who_in_full() == f"root@{here}"
