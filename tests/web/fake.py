"""A Controller that remembers what it was asked, and a server for it: real sockets, and clients for both."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from fleet.controller.view import ChangeView, ControllerView, EnvironmentView, Event, ExecView, HostView
from fleet.errors import GitError, HistoryError, UsageError
from fleet.history.records import Ordered
from fleet.web.access import Access, Token
from fleet.web.app import application
from fleet.web.limits import Limits
from fleet.web.server import serving
from fleet.web.stream import Streams

HOSTILE = "<script>alert(1)</script>\x1b[31m\n"
ADDRESS = "127.92.0.1"
NAME = "fleet.example.org"  # and as it may be written in a file
WRITTEN = "Fleet.example.org"


@dataclass
class Fake:
    """events: how many happened; more: set when one more does. wide: bytes that each event carries."""

    asked: list[str] = field(default_factory=list)
    ready: bool = True
    happened: int = 3
    wide: int = 0
    endless: bool = False
    listening: int = 0

    def view(self) -> ControllerView:
        environment = EnvironmentView("dev", "a" * 40, 1.0, 2, {"in sync": 1, "failed": 1})
        return ControllerView("1", 1.0, self.ready, "a" * 40, 2.0, "", 1, 0, None, (), (environment,))

    def hosts(self) -> Sequence[HostView]:
        return [
            HostView("dev", "h1", "in sync", next=30.0, roles=("web",)),
            HostView("dev", HOSTILE, "failed", next=-5.0, drift={"file:/x": "external"}, error=HOSTILE),
        ]

    def changes(self, environment: str, host: str) -> Sequence[ChangeView]:
        if host == "h1":
            return []
        return [ChangeView("file:/x", "update", "external", {"mode": ("600", "644")}, ("-by hand", "+" + HOSTILE))]

    async def execs(self) -> Mapping[tuple[str, str], Sequence[ExecView]]:
        return {("dev", HOSTILE): [ExecView(7, "ann@box", 1.0, HOSTILE, "rm /x", "failed", 1)]}

    async def events(self, after: int = 0) -> AsyncIterator[Event]:
        self.listening += 1
        try:
            number = after
            while number < self.happened or self.endless:
                if number >= self.happened and not self.wide:
                    await asyncio.get_running_loop().create_future()
                number += 1
                yield Event(number, 1.0, "pass", "dev", "h1", {"verdict": "changed", "wide": "x" * self.wide})
        finally:
            self.listening -= 1

    def metrics(self, openmetrics: bool = False) -> str:
        return "# EOF\n" if openmetrics else "fleet_hosts 2\n"

    def look(self) -> None:
        self.asked.append("look")

    def reconcile(self, hosts: Sequence[tuple[str, str]], who: str) -> int:
        self.asked.append(f"reconcile by {who}")
        return len(hosts)

    async def order(self, scope: str, who: str, reason: str) -> Ordered:
        if scope == "nowhere":
            raise UsageError(f"nothing is called {HOSTILE}")
        if scope == "broken":
            raise HistoryError("the disk is full")
        self.asked.append(f"order {scope!r} by {who}")
        return Ordered(scope, who, reason, 1.0)

    async def lift(self, scope: str, who: str) -> bool:
        self.asked.append(f"lift {scope!r} by {who}")
        return scope in ("", "dev")

    async def accept(self, commit: str, who: str) -> None:
        if commit != "a" * 40:
            raise GitError("it is at another")
        self.asked.append(f"accept by {who}")

    async def approve(self, environment: str, revision: str, who: str) -> bool:
        if revision != "a" * 40:
            raise UsageError("it waits with another")
        self.asked.append(f"approve {environment!r} by {who}")
        return environment == "dev"

    async def go_on(self, environment: str, who: str) -> bool:
        self.asked.append(f"go on {environment!r} by {who}")
        return environment == "dev"


def token(name: str, role: Any) -> Token:
    return Token(name, role, hashlib.sha256(f"secret of {name}".encode()).hexdigest())


def bearer(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer secret of {name}"}


TOKENS = (token("ann", "operator"), token("rob", "reader"))
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/v1/reconcile"): {"hosts": ["dev/h1"]},
    ("POST", "/v1/freeze"): {"reason": "why"},
    ("POST", "/v1/pause"): {"scope": "dev", "reason": "why"},
    ("POST", "/v1/resume"): {"scope": "dev"},
    ("POST", "/v1/accept"): {"commit": "a" * 40},
    ("POST", "/v1/rollouts/{environment}/approve"): {"revision": "a" * 40},
}


@dataclass
class Server:
    """unix, tcp: clients. tcp says the name that the server is called by."""

    fake: Fake
    streams: Streams
    path: Path
    port: int
    unix: httpx.AsyncClient
    tcp: httpx.AsyncClient


def signed(headers: Any, body: bytes) -> bool | None:
    """New when it says yes, heard before when it says again."""
    return {"yes": True, "again": False}.get(headers.get("x-signed"))


@asynccontextmanager
async def server(
    tmp_path: Path,
    access: Access,
    fake: Fake | None = None,
    limits: Limits | None = None,
    keep_alive: float = 15.0,
) -> AsyncIterator[Server]:
    """access: its tokens and names are those of here."""
    fake, path = fake or Fake(), tmp_path / "own/fleet.sock"
    streams = Streams(fake, keep_alive, readers=3)
    access = Access(access.uids, TOKENS, frozenset({WRITTEN}), access.groups, access.scheme)
    app = application(fake, access, signed, streams)
    async with serving(app, path, (ADDRESS, 0), limits=limits) as port:
        over = httpx.AsyncHTTPTransport(uds=str(path))
        url, host = f"http://{ADDRESS}:{port}", {"host": NAME}
        async with (
            httpx.AsyncClient(transport=over, base_url="http://fleet", trust_env=False) as unix,
            httpx.AsyncClient(base_url=url, trust_env=False, headers=host) as tcp,
        ):
            yield Server(fake, streams, path, port, unix, tcp)
