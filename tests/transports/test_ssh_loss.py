"""Connections that break, freeze or fall silent: what was not heard to be done is unknown, never ok."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.errors import Failure, TransportError
from fleet.model.port import Session
from fleet.model.step import Batch, Command, Put, Status, Task
from fleet.transports.ssh import SSHTransport
from tests.transports import sshd as real
from tests.transports.proxy import Proxy, proxy
from tests.transports.shells import apply, look, needs_rooms, see, until, writer
from tests.transports.sshd import Sshd

pytestmark = [needs_rooms, pytest.mark.hosts, pytest.mark.anyio]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Sshd]:
    """An sshd that a test may freeze."""
    one = real.start(tmp_path / "own")
    yield one
    one.signal(signal.SIGCONT)
    one.stop()


async def through(one: Proxy, sshd: Sshd, transport: SSHTransport, keepalive: float = 15) -> Session:
    known = f"[127.0.0.1]:{one.port} {sshd.key}"
    target = replace(sshd.target, port=one.port, known_hosts=known, keepalive=keepalive)
    return await transport.connect(target)


def touching(directory: Path, count: int) -> Batch:
    """Tasks that each leave a file behind, and a good deal of output to be cut in."""
    tasks = tuple(Task(f"{n}", (Command(("touch", f"{directory}/{n}")), Command(("seq", "200")))) for n in range(count))
    return Batch(tasks, writer(), deadline=20)


async def test_M1_cut_after_any_number_of_bytes_is_never_a_false_ok(
    sshd: Sshd, transport: SSHTransport, tmp_path: Path
) -> None:
    """Twenty places over all that the host says in a script; what is ok was done, and the rest is unknown."""
    async with proxy("127.0.0.1", sshd.target.port) as one:
        session = await through(one, sshd, transport)
        await see(session, "echo hello")
        before = one.passed
        whole = await session.perform(touching(tmp_path, 4))
        assert {o.status for o in whole.values()} == {Status.OK}
        length = one.passed - before
        await session.aclose()
        statuses: set[Status] = set()
        for place in range(0, length + 50, max(1, length // 20)):
            one.passed, one.cut_after = 0, 10**12
            directory = tmp_path / f"at{place}"
            directory.mkdir()
            session = await through(one, sshd, transport)
            await see(session, "echo hello")
            one.cut_after = one.passed + place
            outcomes = await session.perform(touching(directory, 4))
            one.cut_after = 10**12
            await session.aclose()
            assert set(outcomes) == {"0", "1", "2", "3"}
            for outcome in outcomes.values():
                statuses.add(outcome.status)
                if outcome.status is Status.OK:
                    assert (directory / outcome.id).exists()
                    assert outcome.output == b"".join(b"%d\n" % n for n in range(1, 201))
                else:
                    # The lock of the shell that was cut off may still be held by it: that is said, and nothing done.
                    assert outcome.status in (Status.UNKNOWN, Status.CONFLICT)
        assert {Status.OK, Status.UNKNOWN} <= statuses


async def test_M1_cut_while_connecting_is_an_error_and_nothing_else(sshd: Sshd, transport: SSHTransport) -> None:
    async with proxy("127.0.0.1", sshd.target.port) as one:
        session = await through(one, sshd, transport)
        handshake = one.passed
        await session.aclose()
        for place in range(0, handshake, max(1, handshake // 8)):
            one.passed, one.cut_after = 0, place
            with pytest.raises(TransportError) as caught:
                await through(one, sshd, transport)
            assert caught.value.failure in (Failure.BANNER, Failure.LOST, Failure.CHANNEL)


async def test_M1_a_lost_connection_is_unknown_and_the_next_batch_opens_another(
    sshd: Sshd, transport: SSHTransport
) -> None:
    async with proxy("127.0.0.1", sshd.target.port) as one:
        session = await through(one, sshd, transport)
        assert await see(session, "echo hello") == b"hello\n"
        slow = asyncio.create_task(apply(session, Command(shell="echo begun; sleep 1; echo never heard")))
        await asyncio.sleep(0.5)
        one.cut()
        outcome = await slow
        assert outcome.status is Status.UNKNOWN and outcome.code is None and b"never" not in outcome.output
        assert await see(session, "echo again") == b"again\n"
        assert one.accepted == 2
        # Lost while nothing was going on: nobody notices.
        one.cut()
        await asyncio.sleep(0.2)
        assert await see(session, "echo and again") == b"and again\n"
        await session.aclose()


async def test_a_cut_script_is_run_whole_or_not_at_all(sshd: Sshd, transport: SSHTransport, tmp_path: Path) -> None:
    """Cut off while five megabytes go out: no file, no temporary file, no first task."""
    async with proxy("127.0.0.1", sshd.target.port) as one:
        session = await through(one, sshd, transport)
        await see(session, "echo hello")
        tasks = (
            Task("first", (Command(("touch", str(tmp_path / "first"))),)),
            Task("big", (Put(str(tmp_path / "big"), b"0123456789abcdef" * 327_680, ""),)),
        )
        sending = asyncio.create_task(session.perform(Batch(tasks, writer())))
        await asyncio.sleep(0.01)
        one.cut()
        outcomes = await sending
        assert {o.status for o in outcomes.values()} == {Status.UNKNOWN}
        await session.aclose()
    await asyncio.sleep(1)
    left = {name for name in ("first", "big") if (tmp_path / name).exists()}
    assert left in (set(), {"first", "big"}), "half a script was run"


async def test_M3_a_frozen_host_ends_at_the_deadline(own: Sshd, transport: SSHTransport) -> None:
    """Not even opening a channel for the kill works then; and once it thaws, it is reached again."""
    session = await transport.connect(own.target)
    await see(session, "echo hello")
    own.signal(signal.SIGSTOP)
    began = time.monotonic()
    batch = Batch((Task("a", (Command(("true",)),)),), writer(), deadline=1)
    assert (await session.perform(batch))["a"].status is Status.UNKNOWN
    assert time.monotonic() - began < 15
    own.signal(signal.SIGCONT)
    assert await see(session, "echo again") == b"again\n"
    await session.aclose()


async def test_M4_a_silent_connection_is_noticed_by_keepalive(own: Sshd, transport: SSHTransport) -> None:
    """Long before the deadline: three unanswered questions."""
    session = await transport.connect(replace(own.target, keepalive=0.5))
    await see(session, "echo hello")
    own.signal(signal.SIGSTOP)
    began = time.monotonic()
    outcome = await apply(session, Command(("true",)))
    assert outcome.status is Status.UNKNOWN
    assert time.monotonic() - began < 15
    await session.aclose()


async def test_M4_half_open_connections_are_noticed(sshd: Sshd, transport: SSHTransport) -> None:
    async with proxy("127.0.0.1", sshd.target.port) as one:
        session = await through(one, sshd, transport, keepalive=0.5)
        await see(session, "echo hello")
        one.hold_after, one.deaf = one.passed, True
        began = time.monotonic()
        assert (await apply(session, Command(("true",)))).status is Status.UNKNOWN
        assert time.monotonic() - began < 15
        await session.aclose()


async def test_M3_a_host_that_freezes_before_the_shell_answers_costs_the_connect_timeout(
    own: Sshd, transport: SSHTransport
) -> None:
    session = await transport.connect(replace(own.target, connect_timeout=2))
    own.signal(signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(TransportError) as caught:
        await session.perform(look("echo hello"))
    assert caught.value.failure is Failure.TIMEOUT
    assert time.monotonic() - began < 15
    await session.aclose()


async def test_a_write_that_finds_no_shell_has_begun_nothing(
    own: Sshd, transport: SSHTransport, tmp_path: Path
) -> None:
    """The first words of a new shell are awaited before anything that writes is sent: the error is certain."""
    session = await transport.connect(replace(own.user("root"), connect_timeout=2))
    own.signal(signal.SIGSTOP)
    with pytest.raises(TransportError):
        await apply(session, Command(("touch", str(tmp_path / "done"))))
    own.signal(signal.SIGCONT)
    await session.aclose()
    await asyncio.sleep(0.5)
    assert not (tmp_path / "done").exists()


async def test_a_host_that_is_lost_stops_by_its_own_deadline(
    own: Sshd, transport: SSHTransport, tmp_path: Path
) -> None:
    """The connection is gone and nobody can end the work from here: the host's watchdog does."""
    pids = tmp_path / "pids"
    async with proxy("127.0.0.1", own.target.port) as one:
        session = await through(one, own, transport)
        await see(session, "echo hello")
        work = Command(shell=f"trap '' PIPE HUP TERM; echo $$ >{pids}; sleep 604 & echo $! >>{pids}; wait")
        working = asyncio.create_task(session.perform(Batch((Task("a", (work,)),), writer(), deadline=3)))
        assert await until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
        one.cut_after = 0
        one.cut()
        assert (await working)["a"].status is Status.UNKNOWN
        await session.aclose()

    def ended() -> bool:
        return not [pid for pid in pids.read_text().split() if (Path("/proc") / pid).exists()]

    assert await until(ended), "it goes on"


async def test_one_frozen_host_does_not_hold_up_the_others(sshd: Sshd, own: Sshd, transport: SSHTransport) -> None:
    frozen = await transport.connect(own.target)
    others = [await transport.connect(replace(sshd.target, host=f"web-{n}")) for n in range(5)]
    own.signal(signal.SIGSTOP)
    waiting = asyncio.create_task(frozen.perform(replace(look("echo x"), deadline=5)))
    began = time.monotonic()
    await asyncio.gather(*(see(session, "echo x") for session in others))
    assert time.monotonic() - began < 4 and not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    own.signal(signal.SIGCONT)
    for session in (frozen, *others):
        await session.aclose()
