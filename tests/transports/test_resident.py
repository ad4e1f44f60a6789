"""The process that stays on a host says what the shell would say, and a host is no worse off without it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.errors import Failure, TransportError
from fleet.model.host import Become, Target
from fleet.model.port import Session
from fleet.model.step import Batch, Outcome, Status, Task, Witness
from fleet.transports.channel import Channel, Listener
from fleet.transports.local import LocalTransport
from fleet.transports.resident import Resident
from fleet.transports.ssh import SSHTransport
from tests.transports.shells import SHELLS, in_each_shell, look, needs_rooms, until
from tests.transports.sshd import Sshd
from tests.transports.test_contract import running

TARGET = Target("here", "lab", type="local", connect_timeout=60)
NAME = "look:witness"


def batch(*paths: str, contents: tuple[str, ...] = ()) -> Batch:
    return Batch((Task(NAME, (Witness(paths, contents),)),), deadline=60)


async def three(session: Session, asked: Batch) -> list[Outcome]:
    """The shell answers first, then the resident, twice: once as it is told what to look at, and then again."""
    return [(await session.perform(asked))[NAME] for _ in range(3)]


def lines(outcome: Outcome) -> list[bytes]:
    """All but the clock."""
    assert outcome.status is Status.OK
    first, *rest = outcome.output.split(b"\n")
    assert first.endswith(b" /proc/self/")
    return rest


def residents(of: int) -> list[str]:
    """Process ids of residents that this process has started, or that sshd has (of: a process that is above them)."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and ancestor(entry.name, str(of)):
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if words.startswith(b"fleet witness"):
                found.append(entry.name)
    return found


def ancestor(pid: str, of: str) -> bool:
    while pid not in ("0", "1", of):
        try:
            pid = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(") ")[2].split()[1]
        except OSError:
            return False
    return pid == of


@asynccontextmanager
async def here() -> AsyncIterator[Session]:
    session = await LocalTransport().connect(TARGET)
    try:
        yield session
    finally:
        await session.aclose()


letters = st.characters(blacklist_characters="/\0\n", blacklist_categories=["Cs"])
names = st.text(letters, min_size=1, max_size=40).filter(lambda name: name not in (".", ".."))
sorts = st.sampled_from(["file", "link", "directory", "fifo", "absent"])


@given(st.dictionaries(names, st.tuples(sorts, st.integers(0, 0o7777), st.integers(-(2**31), 2**33)), max_size=6))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_says_what_the_shell_says_of_any_file(
    tmp_path_factory: pytest.TempPathFactory, made: dict[str, tuple[str, int, int]]
) -> None:
    root = tmp_path_factory.mktemp("any")
    for name, (sort, mode, mtime) in made.items():
        path = root / name
        match sort:
            case "file":
                path.write_bytes(b"x" * mode)
            case "link":
                path.symlink_to("nowhere")
            case "directory":
                path.mkdir()
            case "fifo":
                os.mkfifo(path)
        if sort in ("file", "directory", "fifo"):
            path.chmod(mode)
            os.utime(path, (0, mtime))
    asked = batch(
        "/etc/passwd", *(f"{root}/{name}" for name in made), contents=("/proc/sys/kernel/ostype", "/proc/none")
    )

    async def ask() -> list[Outcome]:
        async with here() as session:
            return await three(session, asked)

    shell, first, again = asyncio.run(ask())
    assert lines(first) == lines(shell) == lines(again)
    assert b"/proc/sys/kernel/ostype:Linux" in lines(first)
    assert len(lines(shell)) == 3 + sum(sort != "absent" for sort, _, _ in made.values())


@pytest.mark.anyio
async def test_it_answers_for_what_it_was_asked_last_and_sees_each_change(tmp_path: Path) -> None:
    path = tmp_path / "one"
    async with here() as session:
        absent = await three(session, batch(str(path)))
        assert lines(absent[2]) == [b""]
        path.write_text("now")
        assert path.name.encode() in lines((await session.perform(batch(str(path))))[NAME])[0]
        trips = session.round_trips
        other = await three(session, batch("/etc/passwd"))
        assert [one.output.count(b"/etc/passwd") for one in other] == [1, 1, 1]
        assert session.round_trips == trips + 3
        assert len(residents(os.getpid())) == 1
    assert await until(lambda: not residents(os.getpid())), "it ends with its session"


@pytest.mark.anyio
async def test_one_that_was_killed_is_replaced_by_the_shell_and_then_by_another() -> None:
    async with here() as session:
        asked = batch("/etc/passwd")
        await three(session, asked)
        (pid,) = residents(os.getpid())
        os.kill(int(pid), 9)
        assert await until(lambda: not running(pid))
        assert [one.status for one in await three(session, asked)] == [Status.OK] * 3
        assert residents(os.getpid()) != [pid]


@pytest.mark.anyio
async def test_one_that_hangs_is_unknown_and_ended(tmp_path: Path) -> None:
    """Stopped, as a dead network file system would stop it."""
    async with here() as session:
        asked = Batch(batch("/etc/passwd").tasks, deadline=0.2)
        await three(session, asked)
        (pid,) = residents(os.getpid())
        os.kill(int(pid), 19)
        assert (await session.perform(asked))[NAME].status is Status.UNKNOWN
        assert await until(lambda: not running(pid))
        assert (await session.perform(batch("/etc/passwd")))[NAME].status is Status.OK


@pytest.mark.anyio
async def test_without_perl_the_shell_goes_on_and_it_is_looked_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.transports.resident._BECOME_IT", f"echo >>{tmp_path}/tried; exit 1\n")
    async with here() as session:
        asked = batch("/etc/passwd")
        assert [one.status for one in (*await three(session, asked), *await three(session, asked))] == [Status.OK] * 6
        assert session.round_trips == 6
    assert (tmp_path / "tried").read_text() == "\n"


@pytest.mark.anyio
@pytest.mark.parametrize(("failure", "tries"), [(Failure.CHANNEL, 1), (Failure.TIMEOUT, 1), (Failure.LOST, 3)])
async def test_a_server_that_refuses_a_second_channel_is_asked_once(failure: Failure, tries: int) -> None:
    """Whoever lost the connection may have it again the next time."""
    tried = []

    async def opener(listener: Listener) -> Channel:
        tried.append(listener)
        raise TransportError(failure, "no")

    resident = Resident(opener, 1000, 1.0)
    assert [await resident.ask(batch("/etc/passwd"), None) for _ in range(3)] == [None] * 3
    assert len(tried) == tries


@pytest.mark.anyio
async def test_it_outlives_the_shell_whose_time_is_up() -> None:
    async with here() as session:
        asked = batch("/etc/passwd")
        await three(session, asked)
        (pid,) = residents(os.getpid())
        shell = int((await session.perform(look("echo $$")))["look:it"].output)
        await three(session, asked)
        os.kill(shell, 9)
        assert [one.status for one in await three(session, asked)] == [Status.OK] * 3
        assert residents(os.getpid()) == [pid]


@in_each_shell
@pytest.mark.anyio
async def test_every_shell_becomes_it(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = (*SHELLS[shell], "-s")
    monkeypatch.setattr("fleet.transports.local.SHELL", words)
    session = await LocalTransport(words).connect(TARGET)
    try:
        said = await three(session, batch("/etc/passwd", contents=("/proc/sys/kernel/ostype",)))
        assert lines(said[0]) == lines(said[1]) == lines(said[2])
        assert len(residents(os.getpid())) == 1
    finally:
        await session.aclose()


@needs_rooms
@pytest.mark.hosts
@pytest.mark.anyio
@pytest.mark.parametrize("become", ["none", "sudo"])
async def test_over_ssh_it_stands_beside_the_shell_and_goes_with_the_connection(sshd: Sshd, become: Become) -> None:
    transport = SSHTransport(lambda: 0.5)
    session = await transport.connect(sshd.user("ops", become))
    try:
        shell, first, again = await three(session, batch("/etc/passwd", contents=("/proc/sys/kernel/ostype",)))
        assert lines(shell) == lines(first) == lines(again)
        assert len(residents(sshd.process.pid)) == 1
    finally:
        await session.aclose()
        await transport.aclose()
    assert await until(lambda: not residents(sshd.process.pid))
