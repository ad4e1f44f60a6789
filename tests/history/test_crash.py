"""SIGKILL, a full disk, several processes, and formats old and new: the record stays readable and honest."""

import asyncio
import contextlib
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.errors import HistoryError
from fleet.history import History
from fleet.history.alive import Locks
from fleet.history.database import open_database, prepare
from fleet.history.schema import MIGRATIONS
from fleet.model.change import Verdict
from tests.history.samples import CHANGES, plan, result

ROOT = Path(__file__).resolve().parents[2]
KILLS = 30


def writer(path: Path, name: str, rounds: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.history.writer_process", str(path), name, str(rounds)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )


def integrity(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    finally:
        connection.close()


def test_sigkill_at_any_moment_loses_no_acknowledged_intent(tmp_path: Path) -> None:
    """Thirty real processes killed while writing into the same database, at a random count of acknowledgements and a
    random moment after it: whole every time, every acknowledged intent there, every one without result reported."""
    path = tmp_path / "history.db"
    chance = random.Random()
    acknowledged: list[str] = []
    for number in range(KILLS):
        process = writer(path, f"k{number}-", 100_000)
        assert process.stdout is not None
        # The first few may be killed while they create the database, or before.
        lines = [process.stdout.readline() for _ in range(chance.randint(1, 60) if number >= 5 else 0)]
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(chance.random() * (0.01 if lines else 0.4))
        process.kill()
        lines += process.stdout.readlines()
        process.stdout.close()
        process.wait()
        # The last line may be cut; what counts is what was said in full.
        acknowledged += [line.split()[1] for line in lines if line.startswith("intended") and line.endswith("\n")]
        assert not path.exists() or integrity(path) == "ok"

    async def check() -> None:
        async with await History.open(path) as history:
            changes = await history.changes(limit=1_000_000)
            written = {change.attempt for change in changes}
            assert set(acknowledged) <= written
            open_ones = {change.attempt for change in changes if change.ended is None}
            assert {change.attempt for change in await history.interrupted()} == open_ones
            assert {change.status for change in changes if change.ended is None} <= {"unknown"}
            runs = await history.runs(limit=100)
            assert KILLS - 5 <= len(runs) <= KILLS and all(run.interrupted for run in runs)
            # A plan is on disk as a whole or not at all.
            for attempt in open_ones:
                assert sum(change.attempt == attempt for change in changes) == len(CHANGES)

    asyncio.run(check())
    assert len(acknowledged) > KILLS


def test_what_another_living_process_is_doing_is_not_called_interrupted(tmp_path: Path) -> None:
    """The command beside the service: "running" while that lives, then "unknown", until a later look settles it."""
    path = tmp_path / "history.db"

    async def scenario() -> None:
        async with await History.open(path) as service, await History.open(path) as command:
            run = await service.start_run("apply", "dev", "abc", "")
            await service.intend(run, plan("web-1"), "a")
            assert await command.interrupted() == []
            assert {c.status for c in await command.changes()} == {"running"}
            (seen,) = await command.runs()
            assert seen.alive and not seen.interrupted
        async with await History.open(path) as later:
            assert {c.status for c in await later.interrupted()} == {"unknown"}
            again = await later.start_run("plan", "dev", "abc", "")
            unreachable = result("web-1", Verdict.UNREACHABLE)
            await later.record(again, unreachable, "")
            assert len(await later.interrupted()) == len(CHANGES)
        # A pass that began after the intent and saw the host knows how it is.
        move_back(path, 10)
        async with await History.open(path) as later:
            await later.record(again, result("web-1", Verdict.IN_SYNC), "")
            assert await later.interrupted() == []

    asyncio.run(scenario())


def move_back(path: Path, seconds: float) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE changes SET intended = intended - ?", (seconds,))
    connection.close()


def test_several_processes_write_at_once(tmp_path: Path) -> None:
    """They open, create and migrate it together, and nobody sees "database is locked"."""
    path = tmp_path / "history.db"
    processes = [writer(path, f"p{n}-", 10) for n in range(3)]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len({output.split()[1] for output in outputs}) == 3

    async def check() -> None:
        async with await History.open(path) as history:
            assert len(await history.passes(limit=10_000)) == 3 * 4 * 10
            assert await history.interrupted() == []

    asyncio.run(check())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_refuses_intents_and_recovers(small_disk: Path) -> None:
    """No intent is acknowledged that is not there; results wait; once there is room, all goes on by itself."""
    path = small_disk / "history.db"
    filler = small_disk / "filler"

    async def scenario() -> None:
        async with await History.open(path) as history:
            run = await history.start_run("apply", "dev", "abc", "")
            await history.intend(run, plan("web-0"), "a0")
            with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
                while True:
                    file.write(b"\0" * 4096)
            acknowledged = ["a0"]
            with pytest.raises(HistoryError, match="make room"):
                for n in range(1, 2000):
                    await history.intend(run, plan(f"web-{n}"), f"a{n}")
                    acknowledged.append(f"a{n}")
            await history.record(run, result("web-0"), "")
            with pytest.raises(HistoryError):
                await history.intend(run, plan("web-x"), "refused")
            filler.unlink()
            await history.intend(run, plan("web-y"), "after")
            written = {change.attempt for change in await history.changes(limit=10_000) if change.attempt}
            assert written == {*acknowledged, "after"}
            assert await history.last_pass("dev", "web-0") is not None
        assert integrity(path) == "ok"

    asyncio.run(scenario())


def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    """The file is named, and what to do."""
    (tmp_path / "text.db").write_text("this is not a database, but a long enough text\n" * 100)
    with pytest.raises(HistoryError, match=r"text\.db cannot be used: .*move it away"):
        asyncio.run(History.open(tmp_path / "text.db"))
    (tmp_path / "file").touch()
    with pytest.raises(HistoryError, match="cannot be used"):
        asyncio.run(History.open(tmp_path / "file/history.db"))


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    """Rather than half understood; nothing in it is changed."""
    path = tmp_path / "history.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(HistoryError, match="has format 99, and this fleet knows formats up to"):
        asyncio.run(History.open(path))


LADDER = (*MIGRATIONS, ("CREATE TABLE extra (x)", "INSERT INTO extra VALUES (1)"), ("INSERT INTO extra VALUES (2)",))


@pytest.mark.parametrize("start", range(len(LADDER) + 1))
def test_migrations_run_once_each_from_any_version(start: int, tmp_path: Path) -> None:
    """From version 0, 1 … to the last; opening again changes nothing."""
    path = tmp_path / "history.db"

    async def open_with(migrations: tuple[tuple[str, ...], ...]) -> None:
        locks, _ = prepare(path)
        connection = await open_database(path, locks, migrations)
        await connection.close()
        locks.close()

    for migrations in (LADDER[:start], LADDER, LADDER):
        asyncio.run(open_with(migrations))
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT x FROM extra").fetchall() == [(1,), (2,)]
    assert connection.execute("PRAGMA user_version").fetchone() == (len(LADDER),)
    connection.close()


def test_a_migration_that_fails_leaves_the_version_before_it(tmp_path: Path) -> None:
    """Half a migration would be a format nobody knows."""
    path = tmp_path / "history.db"
    broken = (("CREATE TABLE one (x)",), ("CREATE TABLE two (x)", "CREATE TABLE one (x)"))

    async def scenario() -> None:
        locks, _ = prepare(path)
        try:
            await open_database(path, locks, broken)
        finally:
            locks.close()

    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        asyncio.run(scenario())
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("one",)]
    connection.close()


def test_a_lock_ends_with_its_holder_only(tmp_path: Path) -> None:
    """Another descriptor that is closed takes no lock with it (as it would with POSIX locks)."""
    first, second = Locks(tmp_path / "l"), Locks(tmp_path / "l")
    first.hold(7)
    second.close()
    asking = Locks(tmp_path / "l")
    assert asking.alive({6, 7, 8}) == first.alive({6, 7, 8}) == {7}
    first.release(7)
    assert asking.alive({7}) == set()
    first.close()
    asking.close()
