"""Sockets to listen at. One on a path is its owner's (and a group's) from the moment it is there; what somebody else
may have put in its place is not followed and not taken away. Raises UsageError for whatever stands in the way."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fleet.errors import UsageError

_HINT = "name another place with FLEET_SOCKET"


@contextmanager
def unix_socket(path: Path, group: int | None = None) -> Iterator[socket.socket]:
    """Bound; its file goes with the block, unless another is there by then. group: its members may connect as well."""
    try:
        one = _bound(path, group)
        own = path.lstat()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}; {_HINT}") from error
    try:
        with one:
            yield one
    finally:
        with suppress(OSError):
            found = path.lstat()
            if (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino):
                path.unlink()


def _bound(path: Path, group: int | None) -> socket.socket:
    path.parent.mkdir(mode=0o700 if group is None else 0o711, parents=True, exist_ok=True)
    with _directory(path.parent):
        _cleared(path)
        one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            # The file gets the mode of the socket: unlike with umask(2), for no moment and no other thread another one.
            os.fchmod(one.fileno(), 0o600)
            one.bind(str(path))
            if group is not None:
                os.chown(path, -1, group, follow_symlinks=False)
                path.chmod(0o660)
            # Within the lock: before this, others would take it for one that nobody listens at any more.
            one.listen(128)
            one.setblocking(False)
        except BaseException:
            one.close()
            raise
        return one


@contextmanager
def _directory(path: Path) -> Iterator[None]:
    """Ours alone meanwhile, among those who start a controller there."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        said = os.fstat(descriptor)
        if said.st_uid not in (0, os.geteuid()):
            raise UsageError(f"{path} belongs to another user; {_HINT}")
        if said.st_mode & stat.S_IWOTH and not said.st_mode & stat.S_ISVTX:
            raise UsageError(f"everybody may write to {path}; {_HINT}")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another controller is about to listen in {path}; {_HINT}") from None
        yield
    finally:
        os.close(descriptor)


def _cleared(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid not in (0, os.geteuid()) or _listens(path):
        raise UsageError(f"{path} is taken: another controller, or no socket; {_HINT}")
    path.unlink()


def _listens(path: Path) -> bool:
    """Whether anybody does, or may: only a refusal says that nobody does."""
    with socket.socket(socket.AF_UNIX) as one:
        one.setblocking(False)
        try:
            one.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
    return True


@contextmanager
def tcp_socket(address: tuple[str, int]) -> Iterator[socket.socket]:
    try:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        one = socket.create_server(address, family=family, backlog=128)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot listen at {address[0]}:{address[1]}: {why}") from error
    with one:
        one.setblocking(False)
        yield one
