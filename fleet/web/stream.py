"""What happens, as server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html.

Who reads too slowly is not waited for: nothing is kept for a reader here but what its connection holds, and one that
stands still is broken off (protocol.py). Who was comes back with the number of the last event that it has.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from fleet.controller.view import Controller, Event
from fleet.web.guard import refusal
from fleet.web.plain import dumps, plain

KEEP_ALIVE = 15.0
READERS = 32
_HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]
_TYPE = re.compile(r"[^\w-]", re.ASCII)


class Streams:
    """Those who read events now. keep_alive: seconds without an event before a comment keeps the line open."""

    def __init__(self, controller: Controller, keep_alive: float = KEEP_ALIVE, readers: int = READERS) -> None:
        self._controller, self._keep_alive, self._most = controller, keep_alive, readers
        self._open: set[asyncio.Future[None]] = set()
        self._closed = False

    @property
    def readers(self) -> int:
        return len(self._open)

    def answer(self, after: int) -> Response:
        if self._closed or len(self._open) >= self._most:
            return refusal(503, "ending" if self._closed else "too many read events already", {"retry-after": "10"})
        return _Stream(self, after)

    def close(self) -> None:
        """Each ends with what it is sending."""
        self._closed = True
        for end in self._open:
            if not end.done():
                end.set_result(None)

    async def send(self, after: int, receive: Receive, send: Send) -> None:
        end = asyncio.get_running_loop().create_future()
        gone = asyncio.create_task(_gone(receive, end))
        self._open.add(end)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await send({"type": "http.response.body", "body": b": hello\n\n", "more_body": True})
            await self._send_events(after, end, send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._open.discard(end)
            gone.cancel()

    async def _send_events(self, after: int, end: asyncio.Future[None], send: Send) -> None:
        events = self._controller.events(after)
        coming = asyncio.ensure_future(_next(events))
        try:
            while not end.done():
                both: list[asyncio.Future[Any]] = [coming, end]
                await asyncio.wait(both, timeout=self._keep_alive, return_when=asyncio.FIRST_COMPLETED)
                if end.done():
                    return
                text = ": still here\n\n"
                if coming.done():
                    event = coming.result()
                    if event is None:
                        return
                    text = told(event)
                    coming = asyncio.ensure_future(_next(events))
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
        finally:
            coming.cancel()
            with suppress(asyncio.CancelledError):
                await coming
            if isinstance(events, AsyncGenerator):
                await events.aclose()


class _Stream(Response):
    media_type = "text/event-stream"

    def __init__(self, streams: Streams, after: int) -> None:
        super().__init__()
        self._streams, self._after = streams, after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        await self._streams.send(self._after, receive, send)


def told(event: Event) -> str:
    """In lines of its own: what is said is JSON without line ends, and a type is a word whatever it was."""
    return f"id: {event.number}\nevent: {_TYPE.sub('_', event.type)}\ndata: {dumps(plain(event))}\n\n"


async def _next(events: AsyncIterator[Event]) -> Event | None:
    try:
        return await anext(events)
    except StopAsyncIteration:
        return None


async def _gone(receive: Receive, end: asyncio.Future[None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    if not end.done():
        end.set_result(None)
