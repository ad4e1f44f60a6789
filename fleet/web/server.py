"""Answering: on a unix socket, and on a TCP address where that is wanted, until the block ends.

Each place has connections of its own, so that who fills one of them keeps nobody from the other. Signals are the
caller's: uvicorn's protocol is used, and not its server, which wants them.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.server import ServerState

from fleet.web.limits import Limits
from fleet.web.place import tcp_socket, unix_socket
from fleet.web.protocol import Protocol
from fleet.web.stream import Streams

GRACE = 1.0  # seconds for what is being answered when the block ends
_OPTIONS: dict[str, Any] = {
    "http": Protocol,
    "ws": "none",
    "lifespan": "off",
    "interface": "asgi3",
    "log_config": None,
    "access_log": False,
    "proxy_headers": False,
}


@asynccontextmanager
async def serving(
    app: Starlette,
    path: Path,
    address: tuple[str, int] | None = None,
    group: int | None = None,
    limits: Limits | None = None,
) -> AsyncIterator[int]:
    """The TCP port (0: none), of use where the address has port 0. group: whose members may connect to the unix socket.
    Raises UsageError: somebody else has the place."""
    limits = limits or Limits()
    async with AsyncExitStack() as stack:
        sockets = [stack.enter_context(unix_socket(path, group))]
        if address is not None:
            sockets.append(stack.enter_context(tcp_socket(address)))
        places = [_Place(app, limits) for _ in sockets]
        try:
            for place, one in zip(places, sockets, strict=True):
                await place.open(one)
            yield 0 if address is None else sockets[1].getsockname()[1]
        finally:
            streams = getattr(app.state, "streams", None)
            if isinstance(streams, Streams):
                streams.close()
            await asyncio.gather(*(place.close() for place in places))


class _Place:
    def __init__(self, app: Starlette, limits: Limits) -> None:
        self._limits, self._state = limits, ServerState()
        self._config = uvicorn.Config(
            app,
            timeout_keep_alive=limits.idle,
            h11_max_incomplete_event_size=limits.head,
            **_OPTIONS,
        )
        self._config.load()
        self._server: asyncio.Server | None = None

    async def open(self, one: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        if one.family == socket.AF_UNIX:
            self._server = await loop.create_unix_server(self._protocol, sock=one, backlog=128)
        else:
            self._server = await loop.create_server(self._protocol, sock=one, backlog=128)

    def _protocol(self) -> Protocol:
        return Protocol(self._config, self._state, self._limits)

    async def close(self) -> None:
        """No new connections; those that are idle end at once, others when they are answered, all after GRACE."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            await asyncio.wait(list(self._state.tasks), timeout=GRACE)
        for connection in list(self._state.connections):
            connection.transport.abort()
        # Their requests end by themselves: whoever waits for a peer learns that it is gone.
        if self._state.tasks:
            await asyncio.wait(list(self._state.tasks), timeout=GRACE / 2)
        for task in list(self._state.tasks):
            task.cancel()
