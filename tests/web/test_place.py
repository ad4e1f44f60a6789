"""Where a controller listens: its own socket, nobody else's file, and none of it left behind."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from fleet.errors import UsageError
from fleet.web.place import tcp_socket, unix_socket


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_it_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "own/fleet.sock"
    before = os.umask(0)
    try:
        with unix_socket(path):
            assert mode(path) == 0o600 and mode(path.parent) == 0o700
    finally:
        os.umask(before)
    assert not path.exists()


def test_a_group_may_connect_as_well(tmp_path: Path) -> None:
    path = tmp_path / "own/fleet.sock"
    with unix_socket(path, os.getegid()):
        assert mode(path) == 0o660 and path.lstat().st_gid == os.getegid() and mode(path.parent) == 0o711


def test_one_that_nobody_listens_at_any_more_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "fleet.sock"
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))
    with unix_socket(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_one_that_somebody_listens_at_is_not(tmp_path: Path) -> None:
    path = tmp_path / "fleet.sock"
    with unix_socket(path):
        with pytest.raises(UsageError, match="is taken"), unix_socket(path):
            raise AssertionError("it must not start")
        # Nor when nobody takes up connections, and there are as many as the kernel keeps.
        clients = [socket.socket(socket.AF_UNIX) for _ in range(200)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(str(path))
        with pytest.raises(UsageError, match="is taken"), unix_socket(path):
            raise AssertionError("it must not start")
        assert path.exists()
        for client in clients:
            client.close()


@pytest.mark.parametrize("what", ["file", "directory", "link to a file", "link to a socket", "link to nothing"])
def test_what_is_no_socket_stays_as_it_is(tmp_path: Path, what: str) -> None:
    path, other = tmp_path / "fleet.sock", tmp_path / "other"
    if what == "directory":
        path.mkdir()
    elif what == "file":
        path.write_text("precious")
    else:
        if what == "link to a file":
            other.write_text("precious")
        if what == "link to a socket":
            with socket.socket(socket.AF_UNIX) as old:
                old.bind(str(other))
        path.symlink_to(other)
    before = path.lstat()
    with pytest.raises(UsageError, match="is taken"), unix_socket(path):
        raise AssertionError("it must not start")
    assert path.lstat().st_ino == before.st_ino and other.exists() is (what in ("link to a file", "link to a socket"))


def test_a_directory_that_others_decide_over_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("open", "link"):
        with pytest.raises(UsageError), unix_socket(tmp_path / name / "fleet.sock"):
            raise AssertionError("it must not start")
    if os.geteuid() == 0:
        (tmp_path / "theirs").mkdir()
        os.chown(tmp_path / "theirs", 12345, -1)
        with pytest.raises(UsageError, match="another user"), unix_socket(tmp_path / "theirs/fleet.sock"):
            raise AssertionError("it must not start")


@pytest.mark.parametrize("path", ["x" * 200, "x" * 300])
def test_a_path_that_cannot_be_is_told(tmp_path: Path, path: str) -> None:
    with pytest.raises(UsageError), unix_socket(tmp_path / path):
        raise AssertionError("it must not start")


def test_what_another_put_there_meanwhile_is_not_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "fleet.sock"
    with unix_socket(path):
        path.rename(tmp_path / "moved")
        path.write_text("precious")
    assert path.read_text() == "precious"


@pytest.mark.parametrize("host", ["127.92.0.1", "::1"])
def test_an_address_that_is_taken_is_told(host: str) -> None:
    with tcp_socket((host, 0)) as one:
        port = one.getsockname()[1]
        with pytest.raises(UsageError, match=f"cannot listen at {host}:{port}"), tcp_socket((host, port)):
            raise AssertionError("it must not start")
    for address in (("192.0.2.1", 1), ("127.92.0.1", 70_000), ("no such name.", 1)):
        with pytest.raises(UsageError, match="cannot listen"), tcp_socket(address):
            raise AssertionError("it must not start")
