"""Real servers that take what is sent: HTTP, one that never answers, mail, and the status APIs of Git servers, which
are strict about what their vendors' documents say: docs.github.com/en/rest/commits/statuses,
docs.gitlab.com/api/commits (set commit pipeline status), docs.gitea.com/api (repoCreateStatus)."""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any
from urllib.parse import unquote

ADDRESS = "127.94.0.1"


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answer = tuple[int, bytes]


@dataclass
class Sink:
    """An HTTP server. answer: None: it never does. arrived: set with each request."""

    answer: Callable[[Request], Answer] | None = lambda _: (200, b"{}")
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def place(self) -> str:
        return f"{ADDRESS}:{self.port}"

    async def until(self, count: int) -> list[Request]:
        async with asyncio.timeout(20):
            while len(self.requests) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return self.requests

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            method, path, _ = head[0].split(" ")
            one = Request(method, path, headers, body)
            self.requests.append(one)
            self.arrived.set()
            if self.answer is None:
                await reader.read()
            else:
                status, said = self.answer(one)
                more = b"Location: /elsewhere\r\n" if 300 <= status < 400 else b""
                writer.write(b"HTTP/1.1 %d Said\r\nContent-Type: application/json\r\n%s" % (status, more))
                writer.write(b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(said), said))
                await writer.drain()
        writer.close()


@asynccontextmanager
async def sink(
    answer: Callable[[Request], Answer] | None = lambda _: (200, b"{}"), tls: ssl.SSLContext | None = None
) -> AsyncIterator[Sink]:
    one = Sink(answer)
    server = await asyncio.start_server(one.serve, ADDRESS, 0, ssl=tls)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()


@dataclass
class Mailbox:
    """An SMTP server (RFC 5321), as much of one as takes a mail."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())
            await writer.drain()

        with suppress(OSError):
            await say("220 sink")
            while line := (await reader.readline()).decode(errors="replace").strip().upper():
                if line == "DATA":
                    await say("354 go on")
                    raw = (await reader.readuntil(b"\r\n.\r\n"))[:-3].replace(b"\r\n..", b"\r\n.")
                    self.mails.append(email.message_from_bytes(raw, policy=email.policy.default))
                await say("221 bye" if line == "QUIT" else "250 ok")
        writer.close()


@asynccontextmanager
async def mailbox() -> AsyncIterator[Mailbox]:
    one = Mailbox()
    server = await asyncio.start_server(one.serve, ADDRESS, 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()


@dataclass
class Statuses:
    """The status API of one repository, ops/fleet, which knows one commit. shown: context → (state, description, link)
    in order."""

    provider: str
    commit: str
    token: str
    shown: list[tuple[str, str, str, str]] = field(default_factory=list)
    _states: dict[str, str] = field(default_factory=dict)

    def __call__(self, request: Request) -> Answer:
        root, header, states = {
            "github": ("/api/v3/repos/ops/fleet", ("authorization", f"Bearer {self.token}"),
                       {"error", "failure", "pending", "success"}),
            "gitlab": ("/api/v4/projects/ops%2Ffleet", ("private-token", self.token),
                       {"pending", "running", "success", "failed", "canceled", "skipped"}),
            "gitea": ("/api/v1/repos/ops/fleet", ("authorization", f"token {self.token}"),
                      {"pending", "success", "error", "failure", "warning"}),
        }[self.provider]  # fmt: skip
        if request.headers.get(header[0]) != header[1]:
            return 401, b'{"message": "bad credentials"}'
        found = re.fullmatch(rf"{re.escape(root)}/statuses/([0-9a-f]{{40}})", request.path)
        if request.method != "POST" or found is None or found[1] != self.commit:
            return 404, b'{"message": "not found"}'
        if request.headers.get("content-type") != "application/json":
            return 415, b"{}"
        said = request.json
        known = {"state", "target_url", "description", "context"}
        if set(said) - known or said["state"] not in states or len(said.get("description", "")) > 140:
            return 422, b'{"message": "validation failed"}'
        before = self._states.get(said["context"])
        if self.provider == "gitlab" and before == said["state"]:
            event = {"running": "enqueue", "success": "success", "failed": "drop"}[said["state"]]
            return 400, f'{{"message": "Cannot transition status via :{event} from :{before} (Reason(s): …)"}}'.encode()
        self._states[said["context"]] = said["state"]
        self.shown.append((said["context"], said["state"], said["description"], unquote(said.get("target_url", ""))))
        return 201, b'{"id": 1}'
