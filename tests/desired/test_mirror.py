"""A mirror moves forward only, whole or not at all, whatever happens to the remote or to the fetch."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleet.desired.mirror import Mirror
from fleet.desired.source import open_revision
from fleet.errors import GitError, RewrittenError, UsageError
from tests.desired.remotes import Origin, daemon, free_port, git, smart_http

pytestmark = pytest.mark.anyio
FILE = "base/environment.yaml"


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin.at(tmp_path / "remote")


@contextmanager
def served(how: str, origin: Origin) -> Iterator[str]:
    if how == "git":
        with daemon(origin.path.parent) as url:
            yield f"{url}/origin.git"
    elif how == "http":
        with smart_http(origin.path.parent) as web:
            yield f"{web.url}/origin.git"
    else:
        yield f"file://{origin.path}" if how == "file" else str(origin.path)


@pytest.mark.parametrize("how", ["path", "file", "git", "http"])
async def test_it_follows_the_branch(how: str, origin: Origin, tmp_path: Path) -> None:
    first = origin.commit()
    with served(how, origin) as url:
        mirror = Mirror(url, "main", tmp_path / "state/mirror")
        assert await mirror.open() == ""
        assert await mirror.fetch() == first
        second = origin.commit()
        assert await mirror.fetch() == mirror.commit == second
        assert open_revision(mirror.repository, second).read(FILE) == b"vars: {n: 2}\n"
        assert open_revision(mirror.repository, first).read(FILE) == b"vars: {n: 1}\n"
        again = Mirror(url, "main", tmp_path / "state/mirror")
        assert await again.open() == second
    assert stat.S_IMODE((tmp_path / "state/mirror").stat().st_mode) == 0o700


async def test_nothing_new_costs_one_question(origin: Origin, tmp_path: Path) -> None:
    origin.commit()
    with smart_http(origin.path.parent) as web:
        mirror = Mirror(f"{web.url}/origin.git", "", tmp_path / "mirror")
        await mirror.open()
        await mirror.fetch()
        web.asked.clear()
        await mirror.fetch()
        assert not [path for path in web.asked if "fetch" in path], web.asked
        assert all("git-upload-pack" in path for path in web.asked) and len(web.asked) <= 2


async def test_a_rewritten_history_is_refused_until_it_is_accepted(origin: Origin, tmp_path: Path) -> None:
    origin.commit()
    good = origin.commit()
    mirror = Mirror(str(origin.path), "main", tmp_path / "mirror")
    await mirror.open()
    await mirror.fetch()
    other = origin.commit("vars: {n: 7}\n", amend=True)
    changed = []
    for _ in range(2):
        with pytest.raises(RewrittenError, match=f"rewritten: {other[:12]} does not descend from {good[:12]}"):
            await mirror.fetch()
        changed.append((tmp_path / "mirror").stat().st_mtime_ns)
    assert len({*changed}) == 1, "what was refused once came again"
    assert mirror.commit == good and open_revision(mirror.repository, good).read(FILE) == b"vars: {n: 2}\n"
    with pytest.raises(GitError, match="is at"):
        await mirror.accept(good)
    await mirror.accept(other)
    assert mirror.commit == other and open_revision(mirror.repository, other).read(FILE) == b"vars: {n: 7}\n"
    left = Mirror(str(origin.path), "main", tmp_path / "mirror")
    assert await left.open() == other
    assert {one.name for one in (tmp_path / "mirror").iterdir()} == {
        "config",
        "current",
        str(mirror.repository.readlink()),
    }


async def test_an_older_commit_again_is_a_rewritten_history_too(origin: Origin, tmp_path: Path) -> None:
    old, new = origin.commit(), origin.commit()
    mirror = Mirror(str(origin.path), "main", tmp_path / "mirror")
    await mirror.open()
    await mirror.fetch()
    git(origin.work, "push", "-q", "--force", str(origin.path), f"{old}:main")
    with pytest.raises(GitError, match="rewritten"):
        await mirror.fetch()
    assert mirror.commit == new


async def test_a_remote_that_is_down_takes_nothing_away(origin: Origin, tmp_path: Path) -> None:
    good = origin.commit()
    mirror = Mirror(str(origin.path), "main", tmp_path / "mirror")
    await mirror.open()
    await mirror.fetch()
    origin.path.rename(origin.path.with_name("away"))
    with pytest.raises(GitError, match="does not"):
        await mirror.fetch()
    assert mirror.commit == good
    origin.path.with_name("away").rename(origin.path)
    assert await mirror.fetch() == good
    down = Mirror(f"git://127.91.0.3:{free_port('127.91.0.3')}/x.git", "main", tmp_path / "other")
    await down.open()
    with pytest.raises(GitError, match="refused"):
        await down.fetch()


async def test_no_hook_and_no_helper_of_the_remote_runs(origin: Origin, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for name in ("post-checkout", "reference-transaction", "post-merge", "post-rewrite", "update"):
        hook = origin.path / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {canary}\n")
        hook.chmod(0o755)
    origin.commit()
    mirror = Mirror(f"file://{origin.path}", "main", tmp_path / "mirror")
    await mirror.open()
    canary.unlink(missing_ok=True)  # the push was ours
    await mirror.fetch()
    assert not canary.exists()


@pytest.mark.parametrize("remote", ["ext::sh -c touch% {canary}", "--upload-pack=touch {canary}", "fd::17"])
async def test_a_remote_that_would_run_something_is_none(remote: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    with pytest.raises((GitError, UsageError)):
        mirror = Mirror(remote.format(canary=canary), "main", tmp_path / "mirror")
        await mirror.open()
        await mirror.fetch()
    assert not canary.exists()


async def test_a_branch_that_is_not_there(origin: Origin, tmp_path: Path) -> None:
    origin.commit()
    mirror = Mirror(str(origin.path), "production", tmp_path / "mirror")
    await mirror.open()
    with pytest.raises(GitError, match="there is no branch production"):
        await mirror.fetch()


async def test_a_remote_without_all_of_its_history(origin: Origin, tmp_path: Path) -> None:
    origin.commit()
    origin.commit()
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{origin.path}", str(tmp_path / "shallow"))
    mirror = Mirror(str(tmp_path / "shallow"), "", tmp_path / "mirror")
    await mirror.open()
    with pytest.raises(GitError, match="git fetch --unshallow"):
        await mirror.fetch()
