"""What is damaged, crafted or too large is refused, over there; what is damaged here heals with the next fetch."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from fleet.desired import generations, git_async
from fleet.desired.mirror import Mirror
from fleet.desired.source import open_revision
from fleet.errors import GitError, RewrittenError
from tests.desired.remotes import Origin, git

pytestmark = pytest.mark.anyio
FILE = "base/environment.yaml"


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin.at(tmp_path / "remote")


async def opened(origin: Origin, folder: Path) -> Mirror:
    mirror = Mirror(f"file://{origin.path}", "main", folder)
    await mirror.open()
    return mirror


def flip(file: Path, at: int) -> bytes:
    whole = file.read_bytes()
    file.chmod(0o600)
    file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    return whole


@pytest.mark.parametrize("packed", [False, True])
async def test_a_byte_that_flipped_is_refused_and_then_no_hand_is_needed(
    packed: bool, origin: Origin, tmp_path: Path
) -> None:
    good = origin.commit()
    mirror = await opened(origin, tmp_path / "mirror")
    await mirror.fetch()
    new = origin.commit("vars: {text: " + os.urandom(3000).hex() + "}\n")
    if packed:
        git(origin.path, "repack", "-adq")
        (file,) = (origin.path / "objects/pack").glob("*.pack")
    else:
        blob = git(origin.path, "rev-parse", f"{new}:environments/base/environment.yaml")
        file = origin.path / "objects" / blob[:2] / blob[2:]
    whole = flip(file, file.stat().st_size // 2)
    for _ in range(2):
        with pytest.raises(GitError):
            await mirror.fetch()
    assert mirror.commit == good and open_revision(mirror.repository, good).read(FILE)
    file.write_bytes(whole)
    assert await mirror.fetch() == new and open_revision(mirror.repository, new).read(FILE)


async def test_a_crafted_tree_is_refused(origin: Origin, tmp_path: Path) -> None:
    good = origin.commit()
    mirror = await opened(origin, tmp_path / "mirror")
    await mirror.fetch()
    blob = git(origin.path, "rev-parse", "main:environments/base/environment.yaml")
    tree = git(origin.path, "mktree", stdin=f"100644 blob {blob}\t.git\n")
    commit = git(origin.path, "commit-tree", "-p", "main", "-m", "evil", tree)
    git(origin.path, "update-ref", "refs/heads/main", commit)
    with pytest.raises(GitError, match="damaged or crafted"):
        await mirror.fetch()
    assert mirror.commit == good


async def test_more_than_may_be_written_is_refused(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = origin.commit()
    mirror = await opened(origin, tmp_path / "mirror")
    await mirror.fetch()
    new = origin.commit(os.urandom(200_000).hex())
    with monkeypatch.context() as patched:
        patched.setattr(git_async, "SIZE", 64 * 1024)
        with pytest.raises(GitError, match="larger than fleet takes"):
            await mirror.fetch()
    assert mirror.commit == good
    assert await mirror.fetch() == new


@pytest.mark.parametrize("what", ["flipped", "gone", "dangling"])
async def test_what_is_damaged_here_is_fetched_again(what: str, origin: Origin, tmp_path: Path) -> None:
    old, good = origin.commit(), origin.commit("vars: {text: " + os.urandom(3000).hex() + "}\n")
    await (await opened(origin, tmp_path / "mirror")).fetch()
    here = tmp_path / "mirror/current"
    (pack,) = (here / "objects/pack").glob("*.pack")
    if what == "flipped":
        flip(pack, pack.stat().st_size // 2)
    elif what == "gone":
        pack.unlink()
    else:
        here.resolve().rename(tmp_path / "elsewhere")

    mirror = Mirror(f"file://{origin.path}", "main", tmp_path / "mirror")
    assert await mirror.open() == (good if what == "flipped" else "")
    git(origin.path, "update-ref", "refs/heads/main", old)
    with pytest.raises(RewrittenError):  # a disk that forgets is no way around that
        await mirror.fetch()
    git(origin.path, "update-ref", "refs/heads/main", good)
    assert await mirror.fetch() == good
    assert open_revision(mirror.repository, good).read(FILE).startswith(b"vars: {text:")
    git(mirror.repository, "fsck", "--full")


async def test_many_fetches_stay_few_packs_and_an_accepted_over_commit_stays(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generations, "PACKS", 2)
    mirror = await opened(origin, tmp_path / "mirror")
    origin.commit()
    first = await mirror.fetch()
    other = origin.commit("vars: {n: 9}\n", amend=True)
    with pytest.raises(RewrittenError) as refused:
        await mirror.fetch()
    assert (refused.value.before, refused.value.newest) == (first, other) and other in str(refused.value)
    mirror = await opened(origin, tmp_path / "mirror")  # another life
    await mirror.accept(other)
    for _ in range(4):
        last = origin.commit()
        assert await mirror.fetch() == last
        assert len([*(mirror.repository / "objects/pack").glob("*.pack")]) <= 3
        assert len([*(tmp_path / "mirror").glob("*.git")]) == 2, "the one before stays for those who read in it"
    for commit in (first, other, last):  # hosts may still be on their way from the first
        assert open_revision(mirror.repository, commit).read(FILE)


@pytest.mark.parametrize("scheme", ["git", "http"])  # one process; three
async def test_a_server_that_says_nothing_costs_its_time_only(scheme: str, tmp_path: Path) -> None:
    with socket.create_server(("127.91.0.4", 0)) as silent:
        url = f"{scheme}://127.91.0.4:{silent.getsockname()[1]}/x.git"
        mirror = Mirror(url, "main", tmp_path / "m", seconds=0.5)
        await mirror.open()
        with pytest.raises(GitError, match=r"no answer within 0.5 s"):
            await mirror.fetch()
        assert not asking(url)


@pytest.mark.parametrize("scheme", ["git", "http"])
async def test_whoever_is_cancelled_leaves_nothing_behind(scheme: str, origin: Origin, tmp_path: Path) -> None:
    good = origin.commit()
    with socket.create_server(("127.91.0.5", 0)) as silent:
        url = f"{scheme}://127.91.0.5:{silent.getsockname()[1]}/x.git"
        mirror = Mirror(url, "main", tmp_path / "m")
        await mirror.open()
        task = asyncio.create_task(mirror.fetch())
        connection, _ = await asyncio.to_thread(silent.accept)
        with connection:
            assert asking(url)
            task.cancel()
            await asyncio.wait([task])
        assert task.cancelled() and not asking(url)
    again = await opened(origin, tmp_path / "m")
    assert await again.fetch() == good


async def test_a_server_that_does_not_stop_talking(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = origin.commit()
    lines = "".join(f"{commit} refs/x{n:04}/refs/heads/main\n" for n in range(500))
    (origin.path / "packed-refs").write_text(lines)
    mirror = await opened(origin, tmp_path / "m")
    assert await mirror.fetch() == commit
    with monkeypatch.context() as patched:
        patched.setattr(git_async, "OUTPUT", 16 * 1024)
        with pytest.raises(GitError, match="says more than 16 kB"):
            await mirror.fetch()


def asking(url: str) -> list[str]:
    """Processes that name it."""
    found = []
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if url.encode() in one.read_bytes():
                found.append(one.parent.name)
        except OSError:
            continue
    return found
