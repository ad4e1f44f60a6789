"""Answering: on a unix socket, and on a TCP address where that is wanted, until the block ends."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from fleet.errors import UsageError

_UCRED = struct.Struct("3i")  # pid, uid, gid
OPTIONS: dict[str, Any] = {
    "ws": "none",
    "lifespan": "off",
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "limit_concurrency": 200,
    "timeout_keep_alive": 30,
    "timeout_graceful_shutdown": 1,
    "h11_max_incomplete_event_size": 64 * 1024,
}


class _Protocol(H11Protocol):
    """Tells the application who is at the other end of a unix socket."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        one = transport.get_extra_info("socket")
        if one is not None and one.family == socket.AF_UNIX:
            said = one.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
            self.app_state = {**self.app_state, "uid": _UCRED.unpack(said)[1]}


@asynccontextmanager
async def serving(app: Starlette, path: Path, address: tuple[str, int] | None = None) -> AsyncIterator[None]:
    """Raises UsageError: somebody else has the place."""
    sockets = [_unix(path)]
    try:
        if address is not None:
            sockets.append(_tcp(address))
        config = uvicorn.Config(app, http=_Protocol, **OPTIONS)
        server = uvicorn.Server(config)
        # Signals are the caller's.
        task = asyncio.create_task(server._serve(sockets))
        try:
            yield
        finally:
            server.should_exit = server.force_exit = True
            await task
    finally:
        for one in sockets:
            one.close()
        _gone(path)


def _unix(path: Path) -> socket.socket:
    """0600; a socket that nobody listens at any more is taken away, anything else is not."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        found = path.lstat()
    except FileNotFoundError:
        found = None
    if found is not None:
        if not stat.S_ISSOCK(found.st_mode) or _listens(path):
            raise UsageError(f"{path} is taken: another controller, or no socket; name another with FLEET_SOCKET")
        path.unlink()
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    before = os.umask(0o177)
    try:
        one.bind(str(path))
    except OSError as error:
        one.close()
        raise UsageError(f"{path}: {error.strerror or error}; name another place with FLEET_SOCKET") from error
    finally:
        os.umask(before)
    one.listen(128)
    one.setblocking(False)
    return one


def _gone(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as one:
        try:
            one.connect(str(path))
        except OSError:
            return False
    return True


def _tcp(address: tuple[str, int]) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        one = socket.create_server(address, family=family, backlog=128)
    except OSError as error:
        raise UsageError(f"{address[0]}:{address[1]}: {error.strerror or error}") from error
    one.setblocking(False)
    return one
