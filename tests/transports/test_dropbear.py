"""A small host: dropbear, whose shells share the session of their connection's server."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from fleet.model.host import Target
from fleet.model.step import Batch, Command, Status, Task
from fleet.transports.ssh import SSHTransport
from tests.transports.shells import apply, needs_rooms, see, until, writer
from tests.transports.sshd import free_port

pytestmark = [
    needs_rooms,
    pytest.mark.hosts,
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("dropbear") is None, reason="dropbear is not installed"),
]

ROOM = """
mkdir -p /var/lib/fleet && mount -t tmpfs none /var/lib/fleet && mount --bind "$0/passwd" /etc/passwd &&
exec dropbear -F -E -r "$0/host_key" -p 127.0.0.1:$1 -P "$0/pid"
"""


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    tmp_path.chmod(0o700)
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(tmp_path / "key")
    (tmp_path / ".ssh").mkdir(mode=0o700)
    key.write_public_key(tmp_path / ".ssh/authorized_keys")
    (tmp_path / ".ssh/authorized_keys").chmod(0o600)
    (tmp_path / "passwd").write_text(f"root:*:0:0::{tmp_path}:/bin/sh\n")
    made = subprocess.run(
        ["dropbearkey", "-t", "ed25519", "-f", str(tmp_path / "host_key")], check=True, capture_output=True, text=True
    )
    pinned = next(line for line in made.stdout.splitlines() if line.startswith("ssh-ed25519 "))
    port = free_port()
    words = ["unshare", "--mount", "sh", "-c", ROOM, str(tmp_path), str(port)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    end = time.monotonic() + 20
    while "Not backgrounding" not in (tmp_path / "log").read_text() and time.monotonic() < end:
        assert process.poll() is None, (tmp_path / "log").read_text()
    yield Target(
        "small",
        "lab",
        address="127.0.0.1",
        port=port,
        key_file=str(tmp_path / "key"),
        known_hosts=f"[127.0.0.1]:{port} {pinned}\n",
    )
    process.kill()
    process.wait()


async def test_looks_writes_and_deadlines_work_there_too(
    target: Target, transport: SSHTransport, tmp_path: Path
) -> None:
    session = await transport.connect(target)
    assert await see(session, "echo hello") == b"hello\n"
    assert (await apply(session, Command(("echo", "written")))).output == b"written\n"
    limited = await apply(session, Command(("sleep", "60"), timeout=1))
    assert limited.status is Status.FAILED and b"longer than 1 s" in limited.output
    pids = tmp_path / "pids"
    slow = Command(shell=f"echo $$ >{pids}; sleep 605 & echo $! >>{pids}; wait")
    outcomes = await session.perform(Batch((Task("a", (slow,)),), writer(), deadline=2))
    assert outcomes["a"].status is Status.UNKNOWN

    def ended() -> bool:
        return not [pid for pid in pids.read_text().split() if (Path("/proc") / pid).exists()]

    assert await until(ended), "something goes on"
    assert await see(session, "echo again") == b"again\n"
    await session.aclose()
