"""uvicorn's HTTP/1.1, with an end to everything that uvicorn waits for without one: a head that does not come, an
answer that is not read. Tells the application who is at the other end of a unix socket."""

from __future__ import annotations

import asyncio
from typing import cast

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from fleet.web.limits import Limits
from fleet.web.peer import peer_of


class Protocol(H11Protocol):
    def __init__(self, config: uvicorn.Config, state: ServerState, limits: Limits) -> None:
        super().__init__(config=config, server_state=state, app_state={})
        self._limits = limits
        self._head: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # What uvloop hands out is a transport by what it does, not by its class.
        whole = cast(asyncio.Transport, transport)
        if len(self.connections) >= self._limits.connections:
            self.transport = whole
            whole.abort()
            return
        try:
            peer = peer_of(transport.get_extra_info("socket"))
        except OSError:  # gone already, and so is what the kernel knew
            self.transport = whole
            whole.abort()
            return
        super().connection_made(whole)
        self.app_state = {"peer": peer}
        self._head = self._late()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._head = _cancelled(self._head)
        elif self._head is None:
            # The first part of a next request: uvicorn has just stopped its own clock.
            self._head = self._late()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head, self._unread = _cancelled(self._head), _cancelled(self._unread)
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # which uvicorn forgets where the connection broke

    def pause_writing(self) -> None:
        super().pause_writing()
        # Closing would wait for what is still to be sent.
        self._unread = self._late()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread = _cancelled(self._unread)

    def _late(self) -> asyncio.TimerHandle:
        return self.loop.call_later(self._limits.slow, self.transport.abort)


def _cancelled(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    if timer is not None:
        timer.cancel()
    return None
