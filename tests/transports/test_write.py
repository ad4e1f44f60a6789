"""What a write costs itself: identity, fence, lock, journal, due marks, needs; on a real shell of each sort."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.model.step import Batch, Command, Guard, Outcome, Put, Script, Status, Task, Write
from tests.transports.shells import apply, in_each_shell, needs_rooms, see, session_in, until, writer

pytestmark = [needs_rooms, pytest.mark.hosts, pytest.mark.anyio]

OK = Command(("true",))
FAIL = Command(("sh", "-c", "echo why; exit 3"))


def mark(resource_id: str) -> str:
    return hashlib.sha256(resource_id.encode()).hexdigest()


@in_each_shell
async def test_a_look_writes_nothing(shell: str) -> None:
    async with session_in(shell) as session:
        assert await see(session, "ls -A /var/lib/fleet") == b""


@in_each_shell
async def test_a_write_claims_the_host_moves_the_fence_and_keeps_a_journal(shell: str) -> None:
    async with session_in(shell) as session:
        assert (await apply(session, OK, write=Write("prod", 41, "att-1"))).status is Status.OK
        assert await see(session, "cd /var/lib/fleet; cat environment fence journal/att-1; ls -A due; ls -d lock*") == (
            b"prod\n41\nbegin prod 41\ntask it\ndone it\ncommit\n"
        )
        assert (await see(session, "stat -c %a /var/lib/fleet/journal")).strip() == b"700"


@in_each_shell
async def test_another_environment_is_refused_before_the_first_step(shell: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    async with session_in(shell) as session:
        await apply(session, OK, write=Write("prod", 1, "a"))
        outcome = await apply(session, Command(("touch", str(canary))), write=Write("dev", 2, "b"))
        assert outcome.status is Status.CONFLICT
        assert outcome.output == b"this host belongs to environment prod, not dev\n"
        assert await see(session, "cat /var/lib/fleet/fence") == b"1\n"
    assert not canary.exists()


@pytest.mark.parametrize("token", [0, 6, 7])
@in_each_shell
async def test_a_token_that_is_not_newer_is_refused(shell: str, token: int, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    async with session_in(shell) as session:
        await apply(session, OK, write=writer(7))
        outcome = await apply(session, Command(("touch", str(canary))), write=writer(token))
        assert outcome.status is Status.CONFLICT
        assert outcome.output == f"a newer apply has been here (token 7, this one has {token})\n".encode()
        assert (await apply(session, OK, write=writer(8))).status is Status.OK
    assert not canary.exists()


@in_each_shell
async def test_a_live_lock_is_respected_and_a_stale_one_is_not(shell: str) -> None:
    async with session_in(shell) as session:
        me = (
            'read -r l <"/proc/$$/stat"; set -- ${l##*) }; read -r b </proc/sys/kernel/random/boot_id; '
            'mkdir -p /var/lib/fleet; rm -f /var/lib/fleet/lock; ln -s "$$ ${20} $b" /var/lib/fleet/lock; echo $$'
        )
        pid = (await see(session, me)).strip()
        outcome = await apply(session, OK)
        assert outcome.status is Status.CONFLICT
        assert outcome.output == b"another apply is running on this host (process %s)\n" % pid
        stale = (
            "999999999 1 $b",  # no such process
            "$$ 1 $b",  # the number went to another process
            "$$ ${20} another-boot",
            "nonsense",
        )
        for owner in stale:
            await see(session, me + f'; rm -f /var/lib/fleet/lock; ln -s "{owner}" /var/lib/fleet/lock')
            assert (await apply(session, OK)).status is Status.OK, owner
        assert await see(session, "ls -A /var/lib/fleet") == b"due\nenvironment\nfence\njournal\n"


@in_each_shell
async def test_of_two_writers_at_once_one_waits_outside(shell: str, tmp_path: Path) -> None:
    """Two shells over one /var/lib/fleet."""
    shared = f"mount --bind '{tmp_path}' /var/lib/fleet"
    async with session_in(shell, shared) as one, session_in(shell, shared) as two:
        slow = asyncio.create_task(apply(one, Command(shell="touch /var/lib/fleet/in; sleep 1"), write=writer(10)))
        assert await until((tmp_path / "in").exists)
        outcome = await apply(two, OK, write=writer(11))
        assert outcome.status is Status.CONFLICT and b"another apply is running" in outcome.output
        assert (await slow).status is Status.OK
        assert (await apply(two, OK, write=writer(12))).status is Status.OK


@in_each_shell
async def test_what_cannot_keep_a_record_writes_nothing(shell: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for prepare in (
        "mount -o remount,ro /var/lib/fleet",
        "mkdir /var/lib/fleet/due /var/lib/fleet/journal; mount -o remount,ro /var/lib/fleet",
    ):
        async with session_in(shell, prepare) as session:
            outcome = await apply(session, Command(("touch", str(canary))))
            assert outcome.status is Status.FAILED  # nobody's conflict
            assert b"read-only" in outcome.output.lower()
    assert not canary.exists()


@in_each_shell
async def test_without_proc_nothing_is_changed_and_it_says_so(shell: str) -> None:
    async with session_in(shell, "mount -t tmpfs none /proc") as session:
        outcome = await apply(session, Command(("touch", "/var/lib/fleet/x")))
        seen = await see(session, "ls /var/lib/fleet\n")
    assert outcome.status is Status.FAILED and b"this host has no /proc" in outcome.output
    assert b"x" not in seen.split()


@in_each_shell
async def test_a_failed_step_ends_its_task_and_skips_what_needs_it_only(shell: str) -> None:
    steps = (Command(("echo", "one")), FAIL, Command(("echo", "never")))
    batch = Batch(
        (
            Task("a", steps),
            Task("b", (OK,), needs=("a",)),
            Task("c", (OK,), needs=("b",)),
            Task("d", (OK,)),
            Task("e", (OK,), needs=("d", "not in this batch")),
            Task("f", (Guard("exit 1"), Command(("echo", "never")))),
            Task("g", (OK,), needs=("f",)),
            Task("look:after", (Script("echo seen"),)),
        ),
        writer(),
    )
    heard: list[Outcome] = []
    async with session_in(shell) as session:
        outcomes = await session.perform(batch, heard.append)
    assert {o.id: str(o.status) for o in heard} == {
        "a": "failed", "b": "skipped", "c": "skipped", "d": "ok", "e": "ok", "f": "conflict", "g": "skipped",
        "look:after": "ok",
    }  # fmt: skip
    assert [o.id for o in heard] == list(outcomes)
    a = outcomes["a"]
    assert (a.code, a.step, a.output) == (3, 1, b"one\nwhy\n")
    assert (outcomes["f"].step, outcomes["f"].output) == (0, b"")
    assert outcomes["look:after"].output == b"seen\n"


@in_each_shell
async def test_what_falls_due_is_written_down_before_it_happens_and_struck_out_after(shell: str) -> None:
    async with session_in(shell) as session:
        change = Task(
            "file:/f", (Command(("sh", "-c", "cat /var/lib/fleet/due/*")), FAIL), due=(("service:x", "reload"),)
        )
        restart = Task("file:/g", (OK,), due=(("service:x", "restart"),))
        reload = Task("file:/h", (OK,), due=(("service:x", "reload"),))
        outcomes = await session.perform(Batch((change, restart, reload), writer()))
        assert outcomes["file:/f"].output == b"reload service:x\nwhy\n"
        assert await see(session, f"cat /var/lib/fleet/due/{mark('service:x')}") == b"restart service:x\n"

        trigger = Task("service:x", (FAIL,), clears="service:x", when_due="service:x")
        assert (await session.perform(Batch((trigger,), writer())))["service:x"].status is Status.FAILED
        assert await see(session, "ls /var/lib/fleet/due") == mark("service:x").encode() + b"\n"

        trigger = Task("service:x", (Command(("echo", "restarted")),), clears="service:x", when_due="service:x")
        assert (await session.perform(Batch((trigger,), writer())))["service:x"].output == b"restarted\n"
        assert await see(session, "ls /var/lib/fleet/due") == b""

        again = (await session.perform(Batch((trigger,), writer())))["service:x"]
        assert again.status is Status.OK and again.output == b""


@in_each_shell
async def test_a_command_gets_its_words_input_directory_and_variables(shell: str, tmp_path: Path) -> None:
    async with session_in(shell) as session:
        words = Command(("printf", "%s|", "a b", "$(id)", "'", ""), cwd=str(tmp_path))
        assert (await apply(session, words)).output == b"a b|$(id)|'||"
        fed = Command(
            ("sh", "-c", 'pwd; echo "$V"; cat'), stdin=b"in\0\xff", cwd=str(tmp_path), environment={"V": "a'$b"}
        )
        assert (await apply(session, fed)).output == str(tmp_path).encode() + b"\na'$b\nin\0\xff"
        text = Command(shell='echo "$0"; read -r x || echo no input; printf "%s\\n" "it\'s"; exit 7')
        outcome = await apply(session, text)
        assert (outcome.status, outcome.code) == (Status.FAILED, 7)
        assert outcome.output == b"sh\nno input\nit's\n"
        # A word is a program, never a built-in, a function of ours, or an option of exec.
        for argv in (("eval", "echo bad"), ("fl_say", "bad"), ("-x", "bad")):
            outcome = await apply(session, Command(argv))
            assert outcome.status is Status.FAILED and b"bad\n" not in outcome.output
        # Nor does it end or change the session.
        for broken in (
            Command(shell="exit 0"),
            Command(shell="cd /; PATH=; kill -TERM $$"),
            Command(shell="( echo open"),
        ):
            await apply(session, broken)
        assert (await apply(session, OK)).status is Status.OK


@in_each_shell
async def test_text_and_input_of_commands_never_show_in_argv(shell: str) -> None:
    secret = "hunter2-canary"
    peek = 'for p in /proc/[0-9]*/cmdline; do tr "\\0" " " <"$p"; echo; done 2>/dev/null | grep -c "hunter2-[c]anary"'
    async with session_in(shell) as session:
        for step in (
            Command(shell=f": {secret}; {peek}"),
            Command(("sh", "-c", f"{peek}; cat >/dev/null"), stdin=secret.encode()),
        ):
            assert (await apply(session, step)).output.split() == [b"0"]
        outcome = await apply(
            session,
            Put("/var/lib/fleet/secret", secret.encode(), "", validate=("sh", "-c", f"{peek}; :", "sh", "{path}")),
        )
        assert outcome.output.split() == [b"0"]


@in_each_shell
async def test_a_command_that_takes_too_long_is_ended_with_all_it_started(shell: str, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    slow = f"sleep 777 & echo $! >>{pids}; (sleep 778 & echo $! >>{pids}; wait) & echo $$ >>{pids}; sleep 779"
    async with session_in(shell) as session:
        batch = Batch((Task("slow", (Command(shell=slow, timeout=1),)), Task("next", (OK,))), writer(), deadline=60)
        outcomes = await session.perform(batch)
        assert outcomes["slow"].status is Status.FAILED and outcomes["slow"].code == 137
        assert b"ended: it took longer than 1 s" in outcomes["slow"].output
        assert outcomes["next"].status is Status.OK
        assert (await apply(session, Command(("echo", "quick"), timeout=50))).output == b"quick\n"
        assert len(pids.read_text().split()) == 3
        assert not [pid for pid in pids.read_text().split() if running(pid)]


def running(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


@in_each_shell
async def test_what_a_cut_attempt_left_is_tidied_by_the_next(shell: str, tmp_path: Path) -> None:
    left, other = tmp_path / ".fleet.abc123", tmp_path / "important"
    left.write_text("half")
    other.write_text("theirs")
    async with session_in(shell) as session:
        await apply(session, OK, write=writer(1, attempt="one"))
        lines = f"begin lab 1\\ntemp {left}\\ntemp {other}\\n"
        await apply(
            session, Command(shell=f"printf '{lines}' >/var/lib/fleet/journal/one"), write=writer(2, attempt="two")
        )
        await apply(session, OK, write=writer(3, attempt="three"))
    assert not left.exists() and other.exists()


@in_each_shell
async def test_a_deadline_ends_what_it_is_about_and_not_what_an_earlier_command_left(
    shell: str, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    async with session_in(shell) as session:
        left = Command(shell=f"sleep 600 >/dev/null 2>&1 & echo $! >{pid}")
        assert (await apply(session, left)).status is Status.OK
        assert await until(lambda: _started_in_another_tick(int(pid.read_text())))
        hang = Batch((Task("a", (Command(("sleep", "600")),)),), writer(), deadline=1)
        assert (await session.perform(hang))["a"].status is Status.UNKNOWN
    kept = int(pid.read_text())
    os.kill(kept, signal.SIGKILL)  # raises if it has ended


def _started_in_another_tick(pid: int) -> bool:
    """The kernel tells the start of a process in hundredths of a second."""
    started = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return float(Path("/proc/uptime").read_text().split()[0]) * 100 > started + 2


FORGER = """\
import ctypes, os, sys, time
victim, session = sys.argv[1], os.getsid(0)
ctypes.CDLL(None).prctl(15, sys.argv[2].format(victim).encode().decode("unicode_escape").encode(), 0, 0, 0)
open(sys.argv[3], "w").write(str(os.getpid()))
time.sleep(100)
"""


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process of somebody else, in a session of its own."""
    with subprocess.Popen(["sleep", "100"], start_new_session=True) as process:
        yield process
        process.kill()


@in_each_shell
@pytest.mark.parametrize("name", ["\\n{} (a", "a) S 1 1 1 0 1", "\\n", ") R\\n{} (b) S"])
async def test_a_name_that_a_process_gives_itself_ends_nobody_else_and_does_not_save_it(
    shell: str, tmp_path: Path, name: str, stranger: subprocess.Popen[bytes]
) -> None:
    """/proc/PID/stat shows names as they are, newlines too: what looks like another process's line is none."""
    words = (sys.executable, "-c", FORGER, str(stranger.pid), name, str(tmp_path / "pid"))
    async with session_in(shell) as session:
        outcome = await apply(session, Command(words, timeout=1))
    assert outcome.status is Status.FAILED and b"took longer" in outcome.output
    assert stranger.poll() is None, "somebody else was ended"
    assert not running((tmp_path / "pid").read_text()), "it lives on"


@pytest.mark.parametrize("limit", [0, 30])
@in_each_shell
async def test_what_a_command_says_on_either_stream_is_heard_with_its_code(shell: str, limit: int) -> None:
    """dash and BusyBox lose the redirection of a subshell that is all there is in a group with one of its own."""
    text = "echo out; echo err >&2; exit 7"
    async with session_in(shell) as session:
        for command in (Command(shell=text, timeout=limit), Command(("sh", "-c", text), timeout=limit)):
            outcome = await apply(session, command)
            assert (outcome.code, outcome.output) == (7, b"out\nerr\n")
