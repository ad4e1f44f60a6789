"""A fetch that is killed, at every step that it takes: what is left works, and the next one needs no hand."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fleet.desired.mirror import Mirror
from fleet.desired.source import open_revision
from fleet.errors import GitError
from tests.desired.remotes import Origin, git

pytestmark = pytest.mark.anyio
# Dies as by kill -9 just before its n-th change of the folder or start of a process; 0: never.
MORTAL = """
import asyncio, os, signal, sys
from pathlib import Path
from fleet.desired.mirror import Mirror
_, url, folder, left = sys.argv
left, ours = int(left), ("os.rename", "os.symlink", "os.link", "os.mkdir", "os.remove", "os.rmdir", "subprocess.Popen")
def step(event, arguments):
    global left
    if event in ours:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
async def main():
    mirror = Mirror(url, "main", Path(folder))
    sys.addaudithook(step)
    await mirror.open()
    await mirror.fetch()
asyncio.run(main())
"""


def mortal(url: str, folder: Path, step: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", MORTAL, url, str(folder), str(step)]
    return subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.PIPE)


async def test_at_every_step(tmp_path: Path) -> None:
    origin = Origin.at(tmp_path / "remote")
    old, before = origin.commit(), tmp_path / "before"
    mirror = Mirror(str(origin.path), "main", before)
    await mirror.open()
    await mirror.fetch()
    new = origin.commit()
    for step in range(1, 100):
        folder = tmp_path / f"step{step}"
        shutil.copytree(before, folder, symlinks=True)
        with mortal(str(origin.path), folder, step) as process:
            _, errors = process.communicate()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, errors
        again = Mirror(str(origin.path), "main", folder)
        assert await again.open() in (old, new)
        assert open_revision(again.repository, again.commit).entries
        assert await again.fetch() == new
        assert open_revision(again.repository, new).entries
        git(again.repository, "fsck", "--full", "--strict")
        await Mirror(str(origin.path), "main", folder).open()
        assert {one.name for one in folder.iterdir()} == {"config", "current", str(again.repository.readlink())}
    assert step > 12, "the steps were not counted"


async def test_while_the_server_sends(tmp_path: Path) -> None:
    """Git itself lives on for a while, in a place that nobody looks at."""
    origin = Origin.at(tmp_path / "remote")
    good, folder = origin.commit(), tmp_path / "mirror"
    with socket.create_server(("127.91.0.6", 0)) as stalling:
        url = f"git://127.91.0.6:{stalling.getsockname()[1]}/x.git"
        with mortal(url, folder, 0) as process:
            first, _ = stalling.accept()
            with first:
                # Protocol 0 (gitprotocol-pack(5)): one branch, then flush; what is fetched then never comes.
                line = f"{good} refs/heads/main\0\n".encode()
                first.sendall(b"%04x" % (len(line) + 4) + line + b"0000")
                second, _ = stalling.accept()
                with second:
                    second.sendall(b"%04x" % (len(line) + 4) + line + b"0000")
                    second.recv(65536)
                    assert [one for one in folder.iterdir() if one.name.startswith("new-")]
                    process.kill()
                    process.wait()
    mirror = Mirror(f"file://{origin.path}", "main", folder)
    assert await mirror.open() == ""
    assert await mirror.fetch() == good
    assert not [one for one in folder.iterdir() if one.name.startswith("new-")]


async def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    origin = Origin.at(tmp_path / "remote")
    origin.commit()
    mirror = Mirror(str(origin.path), "main", tmp_path / "mirror")
    await mirror.open()
    good = await mirror.fetch()
    origin.commit()
    (tmp_path / "mirror").rename(tmp_path / "away")
    with pytest.raises(GitError):
        await mirror.fetch()
    assert mirror.commit == good
