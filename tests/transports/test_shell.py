"""What a batch becomes: one compound command, few processes, taken from the pipe in blocks."""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path

import pytest

from fleet.model.step import Batch, Command, Put, Script, Task
from fleet.transports.local import LocalTransport
from fleet.transports.prelude import KILL, PRELUDE, WRITING
from fleet.transports.shell import opening, script, sent
from tests.transports.shells import SHELLS, TARGET, in_each_shell, look, see, writer

pytestmark = pytest.mark.anyio

WRITE = Batch(
    (Task("a", (Put("/etc/motd", b"hello\n", ""), Command(shell="true")), due=(("service:x", "restart"),)),), writer()
)


@in_each_shell
@pytest.mark.parametrize("text", [PRELUDE, WRITING, KILL, opening("0" * 32).decode(), script(WRITE, 5).decode()])
def test_every_shell_can_read_it(shell: str, text: str) -> None:
    done = subprocess.run([*SHELLS[shell], "-n"], input=text.encode(), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@in_each_shell
def test_a_script_that_was_cut_anywhere_does_nothing(shell: str) -> None:
    """Every prefix but the last few bytes: not one command of the batch is run."""
    text = script(look("touch /nowhere/at/all; echo ran"))
    head = b"fl_frame() { echo frame; }\n"
    for size in range(0, len(text) - len(b"} </dev/null\n"), 3):
        done = subprocess.run([*SHELLS[shell], "-s"], input=head + text[:size], capture_output=True, check=False)
        assert done.stdout == b"", text[:size]


def test_a_long_script_says_its_length_first_for_bash() -> None:
    long = b"x" * 5000
    assert sent(b"short\n") == b"short\n"
    assert sent(long).endswith(long) and b"head -c 5000" in sent(long)


async def _processes(shell: str, log: Path, text: str, looks: int) -> int:
    """Processes that so many looks of this text start on the host, in all."""
    words = ("strace", "-f", "-qq", "-e", "trace=clone,clone3,fork,vfork", "-o", str(log), *SHELLS[shell], "-s")
    session = await LocalTransport(words).connect(TARGET)
    for _ in range(looks):
        await see(session, text)
    await session.aclose()
    forks = r"(?:clone3?|v?fork)\(.*\) += \d+|<\.\.\. (?:clone3?|v?fork) resumed>.* += \d+"
    return len(re.findall(forks, await asyncio.to_thread(log.read_text)))


@in_each_shell
@pytest.mark.parametrize(("text", "own"), [("echo $$", 0), ("/bin/true", 1)])
async def test_a_look_adds_no_process_to_its_probes(shell: str, text: str, own: int, tmp_path: Path) -> None:
    """The first look of a session starts its watchdog: two more, once, or one when it ends at once."""
    few, many = [await _processes(shell, tmp_path / "log", text, looks) for looks in (1, 11)]
    assert abs(many - few - 10 * own) <= 1


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
async def test_a_long_script_is_read_in_blocks(shell: str, tmp_path: Path) -> None:
    """100 kB cost no hundred thousand system calls, not even in bash."""
    log = tmp_path / "strace"
    words = ("strace", "-f", "-qq", "-e", "trace=read", "-o", str(log), *SHELLS[shell], "-s")
    session = await LocalTransport(words).connect(TARGET)
    args = tuple("x" * 100 for _ in range(1000))
    outcomes = await session.perform(Batch((Task("look:it", (Script("echo $#", args),)),), deadline=60))
    assert outcomes["look:it"].output == b"1000\n"
    await session.aclose()
    assert (await asyncio.to_thread(log.read_text)).count("read(0") < 2000
