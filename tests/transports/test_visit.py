"""A person's own command on a host: kept out of other environments and of a running apply, and out of nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fleet.model.step import Command, Status, Write
from tests.transports.shells import apply, in_each_shell, needs_rooms, see, session_in, until, writer

pytestmark = [needs_rooms, pytest.mark.hosts, pytest.mark.anyio]

VISIT = Write("lab", keeps=False)
OK = Command(("echo", "done"))


@in_each_shell
async def test_nothing_is_left_behind_on_a_host_that_nobody_has_claimed(shell: str) -> None:
    async with session_in(shell) as session:
        outcome = await apply(session, Command(shell="readlink /var/lib/fleet/lock | wc -w; exit 3"), write=VISIT)
        assert (outcome.status, outcome.code, outcome.output.strip()) == (Status.FAILED, 3, b"3")
        assert await see(session, "ls -A /var/lib/fleet") == b""


@in_each_shell
async def test_the_fence_and_the_journal_of_a_cut_apply_stay_as_they_are(shell: str) -> None:
    async with session_in(shell) as session:
        await apply(session, OK, write=Write("lab", 41, "cut"))
        assert (await apply(session, OK, write=VISIT)).output == b"done\n"
        assert await see(session, "cd /var/lib/fleet; cat fence; ls journal") == b"41\ncut\n"
        assert (await apply(session, OK, write=writer(42))).status is Status.OK


@in_each_shell
async def test_a_host_of_another_environment_refuses(shell: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    async with session_in(shell) as session:
        await apply(session, OK, write=Write("prod", 1, "a"))
        outcome = await apply(session, Command(("touch", str(canary))), write=VISIT)
        assert (outcome.status, outcome.step) == (Status.CONFLICT, -1)
        assert outcome.output == b"this host belongs to environment prod, not lab\n"
    assert not canary.exists()


@in_each_shell
async def test_who_may_not_see_whose_host_it_is_runs_nothing_there(shell: str) -> None:
    other = 'mkdir -p /var/lib/fleet; chmod 700 /var/lib/fleet; set -- setpriv --reuid 65534 --clear-groups "$@"'
    async with session_in(shell, other) as session:
        outcome = await apply(session, OK, write=VISIT)
        assert outcome.status is Status.FAILED and b"as this user" in outcome.output
        assert b"done" not in outcome.output
    async with session_in(shell, other.replace("700", "755")) as session:
        assert (await apply(session, OK, write=VISIT)).output == b"done\n"


@in_each_shell
async def test_an_apply_that_runs_keeps_it_out_and_the_other_way_round(shell: str, tmp_path: Path) -> None:
    shared = f"mount --bind '{tmp_path}' /var/lib/fleet"
    slow = Command(shell="touch /var/lib/fleet/in; while [ -e /var/lib/fleet/in ]; do sleep 0.05; done")
    async with session_in(shell, shared) as one, session_in(shell, shared) as two:
        for first, second in ((writer(10), VISIT), (VISIT, writer(11))):
            running = asyncio.create_task(apply(one, slow, write=first))
            assert await until((tmp_path / "in").exists)
            refused = await apply(two, OK, write=second)
            assert refused.status is Status.CONFLICT and b"another apply is running" in refused.output
            (tmp_path / "in").unlink()
            assert (await running).status is Status.OK


@pytest.mark.parametrize(
    "trouble",
    [
        "mount -o remount,ro /var/lib/fleet",
        "ln -s '999999999 1 x' /var/lib/fleet/lock; mount -o remount,ro /var/lib/fleet",
        "mount -o remount,nr_inodes=1 /var/lib/fleet",
    ],
)
@in_each_shell
async def test_a_full_or_read_only_disk_is_no_reason_not_to_mend_it(shell: str, trouble: str) -> None:
    async with session_in(shell, trouble) as session:
        assert (await apply(session, OK, write=writer(1))).status is Status.FAILED
        outcome = await apply(session, OK, write=VISIT)
        assert (outcome.status, outcome.output) == (Status.OK, b"done\n")


@in_each_shell
async def test_what_takes_too_long_is_ended_and_says_so(shell: str) -> None:
    async with session_in(shell) as session:
        outcome = await apply(session, Command(shell="echo begun; sleep 1000", timeout=1), write=VISIT)
        assert outcome.status is Status.FAILED and outcome.output.startswith(b"begun\n")
        assert b"ended: it took longer than 1 s" in outcome.output
