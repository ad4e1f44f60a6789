"""A server that says what a test wants, byte by byte, and remembers what it was asked; and a clock without waiting."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from fleet.model.api import Api
from fleet.transports.gate import Clock, Gate
from fleet.transports.http_address import Resolve, resolve
from fleet.transports.http_auth import login
from fleet.transports.http_client import ApiClient
from fleet.transports.http_tls import context
from fleet.transports.http_wire import Wire


@dataclass(frozen=True)
class Asked:
    """One request as it came. at: the test clock's time."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float = 0.0


Say = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """script: what to say to the first request, to the second, …; the last goes on for ever."""

    script: list[Say] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    port: int = 0
    now: Callable[[], float] = lambda: 0.0
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (one := await _read(reader, self.now)) is not None:
                self.asked.append(one)
                self.heard.set()
                await self.script[min(len(self.asked), len(self.script)) - 1](one, writer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader, now: Callable[[], float]) -> Asked | None:
    first = await reader.readline()
    if not first:
        return None
    method, path, _ = first.decode().split()
    headers: dict[str, str] = {}
    while (line := (await reader.readline()).decode().strip()) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, path, headers, body, now())


def answer(status: int = 200, body: bytes = b"{}", **headers: str) -> Say:
    """A whole answer."""
    usual = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    given = usual | {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())

    async def say(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body)

    return say


def by_path(**said: Say) -> Say:
    """What is said depends on the first word of the path."""

    async def say(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await said[asked.path.strip("/").partition("/")[0]](asked, writer)

    return say


def raw(data: bytes, close: bool = True) -> Say:
    """These bytes, and the end."""

    async def say(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        if close:
            raise ConnectionError

    return say


async def reset(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Done, perhaps; nobody hears of it."""
    writer.transport.abort()
    raise ConnectionError


async def silence(asked: Asked, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def endless(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        writer.write(b"[" * 65536)
        await writer.drain()


@asynccontextmanager
async def serving(*script: Say, now: Callable[[], float] = lambda: 0.0) -> AsyncIterator[Server]:
    made = Server(list(script), now=now)
    tasks: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(asyncio.CancelledError):
            await made.serve(reader, writer)

    server = await asyncio.start_server(one, "0.0.0.0", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Fast:
    """Time that passes as soon as everybody waits for it: the next timer is due whenever the loop has nothing to do."""

    def __init__(self, wall: float = 1_790_000_000.0) -> None:
        self.time = 0.0
        self._wall = wall
        self._timers: list[tuple[float, int, _Timer]] = []
        self._count = 0
        self._armed = False

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.time, self._later, lambda: self._wall + self.time)

    def _later(self, seconds: float, do: Callable[[], None]) -> Any:
        timer = _Timer(do)
        self._count += 1
        heapq.heappush(self._timers, (self.time + seconds, self._count, timer))
        self._arm()
        return timer

    def _arm(self) -> None:
        """One tick at a time, so that whoever was woken by the last one has come to do something."""
        if not self._armed:
            self._armed = True
            asyncio.get_running_loop().call_later(0.001, self._tick)

    def _tick(self) -> None:
        self._armed = False
        while self._timers:
            due, _, timer = heapq.heappop(self._timers)
            if timer.over:
                continue
            self.time = max(self.time, due)
            timer.over = True
            timer.do()
            self._arm()
            return


@dataclass
class _Timer:
    do: Callable[[], None]
    over: bool = False

    def cancel(self) -> None:
        self.over = True


def client_of(api: Api, gate: Gate | None = None, resolver: Resolve = resolve) -> ApiClient:
    """As the transport makes it, with virtual time."""
    gate = gate or Gate(Fast().clock, lambda: 0.5)
    wire = Wire(api, context(api.tls), resolver)
    return ApiClient(api, gate, wire, login(api.auth, api.url, wire, gate.clock.now))
