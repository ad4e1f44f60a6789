"""A token reaches its server and nobody else: not the process list, not the disk, not a message, not another host."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.desired.mirror import Access, Mirror
from fleet.errors import GitError
from tests.desired.remotes import Instead, Origin, Web, smart_http

pytestmark = pytest.mark.anyio
TOKEN = "geheim-4711"


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    one = Origin.at(tmp_path / "remote")
    one.commit()
    return one


@pytest.fixture
def web(origin: Origin) -> Iterator[Web]:
    with smart_http(origin.path.parent, TOKEN) as one:
        yield one


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "to ken's"
    file.write_text(f"{TOKEN}\n")
    return file


def write(file: Path, text: str) -> None:
    file.write_text(text)


async def opened(url: str, folder: Path, token: Path | None) -> Mirror:
    mirror = Mirror(url, "main", folder, Access(token=token))
    await mirror.open()
    return mirror


def processes() -> dict[str, bytes]:
    """Arguments and environment of every process, as far as we may look."""
    found = {}
    for one in Path("/proc").iterdir():
        if one.name.isdecimal():
            try:
                found[one.name] = (one / "cmdline").read_bytes() + b"\0" + (one / "environ").read_bytes()
            except OSError:
                continue
    return found


async def test_it_opens_the_door_and_stands_nowhere(web: Web, origin: Origin, token: Path, tmp_path: Path) -> None:
    seen: list[dict[str, bytes]] = []

    def look(path: str) -> None:
        seen.append(processes())  # while Git waits for its answer

    web.instead = look
    mirror = await opened(f"{web.url}/origin.git", tmp_path / "open", token)
    first = await mirror.fetch()
    assert await mirror.fetch() == first != origin.commit()
    await mirror.fetch()

    everything = b"".join(b"".join(one.values()) for one in seen)
    assert b"git-remote-http" in everything and TOKEN.encode() not in everything
    files = [one for one in (tmp_path / "open").rglob("*") if one.is_file()]
    assert files and not [one for one in files if TOKEN.encode() in one.read_bytes()]
    assert TOKEN not in str(os.environ)


async def test_without_one_it_says_what_is_missing(web: Web, tmp_path: Path) -> None:
    mirror = await opened(f"{web.url}/origin.git", tmp_path / "m", None)
    with pytest.raises(GitError, match="give a file with one"):
        await mirror.fetch()


async def test_a_wrong_one_is_not_told(web: Web, token: Path, tmp_path: Path) -> None:
    mirror = await opened(f"{web.url}/origin.git", tmp_path / "m", token)
    good = await mirror.fetch()
    write(token, "falsch-0815")
    with pytest.raises(GitError, match="is it still valid") as refused:
        await mirror.fetch()
    assert "falsch" not in str(refused.value) and mirror.commit == good
    write(token, TOKEN)  # without a newline
    assert await mirror.fetch() == good


@pytest.mark.parametrize(("text", "words"), [(None, "cannot be read"), ("\n", "is empty")])
async def test_a_file_without_one(text: str | None, words: str, tmp_path: Path) -> None:
    if text is not None:
        write(tmp_path / "other", text)
    mirror = await opened("https://127.91.0.9/x.git", tmp_path / "m", tmp_path / "other")  # which needs none
    with pytest.raises(GitError, match=words):
        await mirror.fetch()


async def test_a_redirect_is_not_followed(web: Web, origin: Origin, token: Path, tmp_path: Path) -> None:
    with smart_http(origin.path.parent, "another", "127.91.0.3") as other:
        web.instead = lambda path: Instead(302, {"Location": other.url + path})
        mirror = await opened(f"{web.url}/origin.git", tmp_path / "m", token)
        with pytest.raises(GitError, match="name the address that it leads to"):
            await mirror.fetch()
        assert other.asked == []


async def test_a_server_that_repeats_it_is_not_quoted(web: Web, token: Path, tmp_path: Path) -> None:
    said = f"ERR you said {TOKEN}, \x1b[2J did you?\n".encode()
    packet = b"%04x" % (len(said) + 4) + said
    kind = "application/x-git-upload-pack-advertisement"
    web.instead = lambda path: Instead(200, {"Content-Type": kind}, b"001e# service=git-upload-pack\n0000" + packet)
    mirror = await opened(f"{web.url}/origin.git", tmp_path / "m", token)
    with pytest.raises(GitError, match="you said") as refused:
        await mirror.fetch()
    assert TOKEN not in str(refused.value) and "\x1b" not in str(refused.value)
