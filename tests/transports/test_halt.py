"""A batch that is halted ends between two tasks, in order: what was done is told as done, the rest as not begun."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.model.api import Api
from fleet.model.step import Batch, Command, Request, Script, Status, Task
from fleet.transports.http import HttpSession
from fleet.transports.ssh import SSHTransport
from tests.transports.http_server import Asked, answer, client_of, serving
from tests.transports.shells import apply, in_each_shell, needs_rooms, see, session_in, until, writer
from tests.transports.sshd import Sshd

HALT = "halt"


def touching(where: Path, name: str, *needs: str) -> Task:
    return Task(name, (Command(("touch", str(where / name))),), needs)


@needs_rooms
@pytest.mark.hosts
@pytest.mark.anyio
@in_each_shell
async def test_what_is_done_is_done_and_what_was_not_begun_says_so(shell: str, tmp_path: Path) -> None:
    """At each place of a batch, as another session would raise the flag; and nothing of it is left."""
    async with session_in(shell) as session:
        for halted in range(4):
            where = tmp_path / f"{shell}-{halted}"
            where.mkdir()
            raising = Task(HALT, (Command(shell=f": >/var/lib/fleet/journal/at-{halted}.halt"),))
            tasks = [touching(where, "a"), touching(where, "b", "a"), touching(where, "c", "b")]
            tasks.insert(halted, raising)
            looks = Task("look:it", (Script("echo seen"),))
            done = await session.perform(Batch((*tasks, looks), writer(attempt=f"at-{halted}"), deadline=60))
            expected = ["ok"] * (halted + 1) + ["halted"] * (3 - halted)
            assert [str(done[task.id].status) for task in tasks] == expected
            assert sorted(one.name for one in where.iterdir()) == [task.id for task in tasks[:halted]]
            assert done["look:it"].output == b"seen\n"
            said = (await see(session, f"cd /var/lib/fleet/journal; cat at-{halted}; echo *")).decode().splitlines()
            assert (said[-2], said[-1]) == ("commit", f"at-{halted}"), "it ended in order, and the flag is gone"
        assert (await apply(session, Command(("true",)))).status is Status.OK


@needs_rooms
@pytest.mark.hosts
@pytest.mark.anyio
async def test_over_ssh_a_second_channel_says_so_while_the_first_is_busy(sshd: Sshd, tmp_path: Path) -> None:
    transport = SSHTransport(lambda: 0.5)
    session = await transport.connect(sshd.user("ops", "sudo"))
    os.mkfifo(tmp_path / "gate")
    try:
        waiting = Task("b", (Command(shell=f"echo >{tmp_path}/begun; cat {tmp_path}/gate"),))
        tasks = (touching(tmp_path, "a"), waiting, touching(tmp_path, "c"))
        running = asyncio.create_task(session.perform(Batch(tasks, writer(attempt="one"), deadline=60)))
        assert await until((tmp_path / "begun").exists)
        await session.halt()
        assert not running.done(), "who is under way ends as it will"
        (tmp_path / "gate").write_text("go\n")
        done = await running
        assert [str(one.status) for one in done.values()] == ["ok", "ok", "halted"]
        assert not (tmp_path / "c").exists()
        await session.halt()  # nothing is written at this moment
        again = await session.perform(Batch((touching(tmp_path, "c"),), writer(attempt="two"), deadline=60))
        assert again["c"].status is Status.OK
    finally:
        await session.aclose()
        await transport.aclose()


@given(st.integers(0, 5), st.integers(1, 6))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_behind_an_api_what_was_not_begun_is_not_sent(after: int, count: int) -> None:
    """Each needs the one before. The server's n-th answer comes when it is halted already."""

    async def run() -> None:
        async def say(asked: Asked, writer: asyncio.StreamWriter) -> None:
            if asked.path == f"/t{after}":
                await session.halt()
            await answer()(asked, writer)

        async with serving(say) as server:
            client = client_of(Api(server.url, "dev", networks=("127.0.0.0/8",)))
            session = HttpSession({"": client})
            names = [f"t{number}" for number in range(count)]
            tasks = [
                Task(name, (Request("PUT", f"/{name}", b"{}"),), tuple(names[max(number - 1, 0) : number]))
                for number, name in enumerate(names)
            ]
            try:
                done = await session.perform(Batch(tuple(tasks), writer(), deadline=5))
            finally:
                await client.aclose()
            begun = min(after + 1, count)
            expected = ["ok"] * begun + ["halted"] * (count - begun)
            assert [str(done[name].status) for name in names] == expected
            assert len(server.asked) == begun

    asyncio.run(run())
