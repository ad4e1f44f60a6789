"""What every way to a host must keep (model/port.py: Session), over the local shell and over a real sshd with sudo."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.model.host import Target
from fleet.model.port import Session, Transport
from fleet.model.step import Batch, Command, Outcome, Script, Status, Task
from fleet.transports.local import LocalTransport
from fleet.transports.ssh import SSHTransport
from tests.transports.shells import apply, look, needs_rooms, room, see, until, writer
from tests.transports.sshd import Sshd

pytestmark = [needs_rooms, pytest.mark.hosts, pytest.mark.anyio]

Way = tuple[Transport, Target]


@pytest.fixture(params=["local", "ssh"])
async def way(request: pytest.FixtureRequest, sshd: Sshd) -> AsyncIterator[Way]:
    if request.param == "local":
        yield LocalTransport(room("dash")), replace(sshd.target, type="local")
    else:
        transport = SSHTransport(lambda: 0.5)
        yield transport, sshd.user("ops", "sudo")  # with a process between sshd and the shell: the harder way
        await transport.aclose()


@pytest.fixture
async def session(way: Way) -> AsyncIterator[Session]:
    transport, target = way
    one = await transport.connect(target)
    yield one
    await one.aclose()


def alive(pids: Path) -> list[str]:
    """Those of the process ids in a file that run."""
    return [pid for pid in pids.read_text().split() if running(pid)]


def running(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def work(pids: Path) -> str:
    """Shell text that writes down its processes, one of them in a process group of its own, and does not end."""
    return f"echo $$ >>{pids}; sleep 601 & echo $! >>{pids}; timeout 602 sleep 602 & echo $! >>{pids}; echo begun; wait"


async def test_every_task_has_an_outcome_in_order(session: Session) -> None:
    tasks = tuple(
        Task(f"look:{n}", (Script("echo $1; exit_code() { return $1; }; exit_code $1", (str(n),)),)) for n in range(5)
    )
    heard: list[Outcome] = []
    outcomes = await session.perform(Batch(tasks), heard.append)
    assert [(o.id, o.status, o.output, o.code) for o in heard] == [
        (f"look:{n}", Status.OK, b"%d\n" % n, n) for n in range(5)
    ]
    assert list(outcomes.values()) == heard and session.round_trips == 1


async def test_outcomes_stream_as_they_come(session: Session) -> None:
    times: dict[str, float] = {}
    batch = Batch((Task("quick", (Command(("true",)),)), Task("slow", (Command(("sleep", "1.5")),))), writer())
    await session.perform(batch, lambda outcome: times.update({outcome.id: time.monotonic()}))
    assert times["slow"] - times["quick"] > 1


async def test_M2_output_is_bytes(session: Session) -> None:
    """Every byte there is, NUL and invalid UTF-8 included; and the session goes on."""
    every = "".join(f"\\{n:03o}" for n in range(256))
    assert await see(session, f"printf '{every}'") == bytes(range(256))
    assert await see(session, "echo after") == b"after\n"


async def test_one_shell_serves_many_batches(session: Session) -> None:
    pids = {await see(session, "echo $$") for _ in range(5)}
    assert len(pids) == 1 and session.round_trips == 5


async def test_a_second_caller_waits(session: Session) -> None:
    one, two = await asyncio.gather(see(session, "sleep 0.3; echo one"), see(session, "echo two"))
    assert (one, two) == (b"one\n", b"two\n")


async def test_M5_at_the_deadline_nothing_goes_on(session: Session, tmp_path: Path) -> None:
    """Neither children nor what timeout(1) puts in a process group of its own; what was not finished is unknown."""
    pids = tmp_path / "pids"
    quick, slow, later = (Task(n, (Command(shell=t),)) for n, t in (("a", ":"), ("b", work(pids)), ("c", ":")))
    began = time.monotonic()
    outcomes = await session.perform(Batch((quick, slow, later), writer(), deadline=2))
    assert time.monotonic() - began < 30
    assert [str(o.status) for o in outcomes.values()] == ["ok", "unknown", "unknown"]
    assert outcomes["b"].output == b"begun\n"
    assert len(pids.read_text().split()) == 3
    assert await until(lambda: not alive(pids)), "something goes on"
    assert (await apply(session, Command(("echo", "again")))).output == b"again\n"


async def test_cancelling_ends_the_work_on_the_host(session: Session, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    task = asyncio.create_task(apply(session, Command(shell=work(pids))))
    assert await until(lambda: pids.exists() and len(pids.read_text().split()) == 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await until(lambda: not alive(pids)), "something goes on"
    assert await see(session, "echo again") == b"again\n"


async def test_a_look_that_hangs_is_ended_too(session: Session, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    batch = Batch((Task("look:slow", (Script("sleep 603 & echo $! >>$1; wait", (str(pids),)),)),), deadline=1)
    assert (await session.perform(batch))["look:slow"].status is Status.UNKNOWN
    assert await until(lambda: not alive(pids)), "something goes on"


async def test_M6_output_without_end_is_cut_off_in_bounded_memory(way: Way, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    transport, target = way
    session = await transport.connect(replace(target, output_limit=100_000))
    before = _resident()
    endless = f"echo $$ >>{pids}; exec yes"
    outcomes = await session.perform(Batch((Task("yes", (Command(shell=endless),)),), writer(), deadline=60))
    assert outcomes["yes"].status is Status.UNKNOWN and outcomes["yes"].truncated
    assert outcomes["yes"].output.startswith(b"y\ny\n") and len(outcomes["yes"].output) < 110_000
    assert _resident() - before < 30_000_000
    assert await until(lambda: not alive(pids)), "it still talks"
    assert await see(session, "echo again") == b"again\n"
    await session.aclose()


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_much_output_is_shortened_and_the_work_done(way: Way) -> None:
    transport, target = way
    session = await transport.connect(replace(target, output_limit=100_000))
    outcome = await apply(session, Command(("seq", "40000")))
    assert outcome.status is Status.OK and outcome.truncated
    assert outcome.output.startswith(b"1\n2\n") and outcome.output.endswith(b"\n40000\n")
    await session.aclose()


async def test_M1_a_shell_that_dies_leaves_its_tasks_unknown(session: Session) -> None:
    """Killed from outside in the middle of a task: never ok, and the next batch gets a new shell."""
    first = (await see(session, "echo $$")).strip().decode()
    dying = Task("a", (Command(("kill", "-KILL", first)), Command(("sleep", "1"))))
    batch = Batch((dying, Task("b", (Command(("true",)),))), writer(), deadline=30)
    outcomes = await session.perform(batch)
    assert {str(o.status) for o in outcomes.values()} == {"unknown"}
    assert (await see(session, "echo $$")).strip().decode() != first


async def test_a_shell_that_is_left_alone_ends_with_its_session(way: Way) -> None:
    transport, target = way
    session = await transport.connect(target)
    pids = (await see(session, 'echo $$ "$fl_w"')).decode().split()
    assert all(map(running, pids)) and len(pids) == 2
    await session.aclose()
    assert await until(lambda: not any(map(running, pids))), "shell or watchdog goes on"


async def test_quick_writes_leave_no_watchdog_behind(way: Way) -> None:
    transport, target = way
    session = await transport.connect(target)
    for _ in range(10):
        batch = Batch((Task("a", (Command(("true",)),)),), writer(), deadline=4321)
        assert (await session.perform(batch))["a"].status is Status.OK
    sleeping = "for p in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$p; echo; done 2>/dev/null | grep -c 'sleep [4]321'"
    assert (await see(session, sleeping)).strip() == b"0"
    await session.aclose()


async def test_an_empty_batch_is_a_round_trip(session: Session) -> None:
    assert await session.perform(Batch(())) == {}
    assert (await session.perform(look("echo x")))["look:it"].output == b"x\n"
