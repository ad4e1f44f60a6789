"""Nobody gets what is not theirs: every route, every sort of asker, over real sockets."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleet.controller.view import ControllerView, EnvironmentView, Event, HostView
from fleet.errors import GitError, UsageError
from fleet.history.records import Ordered
from fleet.web.access import TABLE, Access, Token
from fleet.web.app import application
from fleet.web.limits import BODY
from fleet.web.server import serving

pytestmark = pytest.mark.anyio
HOSTILE = "<script>alert(1)</script>\x1b[31m\n"


@dataclass
class Fake:
    """A Controller that remembers what it was asked."""

    asked: list[str] = field(default_factory=list)

    def view(self) -> ControllerView:
        environment = EnvironmentView("dev", "a" * 40, 1.0, 2, {"in sync": 2})
        return ControllerView("1", 1.0, True, "a" * 40, 2.0, "", 0, 0, None, (), (environment,))

    def hosts(self) -> Sequence[HostView]:
        return [HostView("dev", "h1", "in sync", roles=("web",)), HostView("dev", HOSTILE, "failed", error=HOSTILE)]

    async def events(self, after: int = 0) -> AsyncIterator[Event]:
        for number in range(after + 1, 4):
            yield Event(number, 1.0, "pass", "dev", "h1", {"verdict": "changed"})

    def metrics(self) -> str:
        return "fleet_hosts 2\n"

    def look(self) -> None:
        self.asked.append("look")

    def reconcile(self, hosts: Sequence[tuple[str, str]], who: str) -> int:
        self.asked.append(f"reconcile by {who}")
        return len(hosts)

    async def order(self, scope: str, who: str, reason: str) -> Ordered:
        if scope == "nowhere":
            raise UsageError("nothing is called 'nowhere'")
        self.asked.append(f"order {scope!r} by {who}")
        return Ordered(scope, who, reason, 1.0)

    async def lift(self, scope: str, who: str) -> bool:
        return scope == "dev"

    async def accept(self, commit: str, who: str) -> None:
        if commit != "a" * 40:
            raise GitError("it is at another")
        self.asked.append(f"accept by {who}")

    def go_on(self, environment: str, who: str) -> bool:
        return environment == "dev"


def token(name: str, role: Any) -> Token:
    return Token(name, role, hashlib.sha256(f"secret of {name}".encode()).hexdigest())


TOKENS = (token("ann", "operator"), token("rob", "reader"))


@asynccontextmanager
async def server(
    tmp_path: Path, uids: frozenset[int]
) -> AsyncIterator[tuple[Fake, httpx.AsyncClient, httpx.AsyncClient]]:
    """(controller, over the unix socket, over TCP)."""
    fake, path = Fake(), tmp_path / "own/fleet.sock"
    port = _free_port()
    access = Access(uids, TOKENS, frozenset({f"127.92.0.1:{port}"}))
    app = application(fake, access, lambda headers, body: True if headers.get("x-signed") == "yes" else None)
    async with serving(app, path, ("127.92.0.1", port)):
        over = httpx.AsyncHTTPTransport(uds=str(path))
        async with (
            httpx.AsyncClient(transport=over, base_url="http://fleet", trust_env=False) as unix,
            httpx.AsyncClient(base_url=f"http://127.92.0.1:{port}", trust_env=False) as tcp,
        ):
            yield fake, unix, tcp


def _free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.92.0.1", 0))
        return int(one.getsockname()[1])


def calls() -> Iterator[tuple[str, str, str]]:
    for (method, path), needed in TABLE.items():
        yield method, re.sub(r"{(\w+)}", lambda m: {"environment": "dev", "name": "h1"}[m[1]], path), needed


BODIES: dict[str, Any] = {
    "/v1/reconcile": {"hosts": ["dev/h1"]},
    "/v1/orders": {"scope": "dev", "reason": "why"},
    "/v1/orders/lift": {"scope": "dev"},
    "/v1/accept": {"commit": "a" * 40},
}


async def test_every_route_gives_to_each_what_the_table_says(tmp_path: Path) -> None:
    async with server(tmp_path, frozenset({os.geteuid()})) as (_, unix, tcp):
        for method, path, needed in calls():
            if path == "/v1/events":
                continue  # below
            body = BODIES.get(path, {})
            answers = {
                "operator by uid": await unix.request(method, path, json=body),
                "operator": await tcp.request(
                    method, path, json=body, headers={"authorization": "Bearer secret of ann"}
                ),
                "reader": await tcp.request(method, path, json=body, headers={"authorization": "Bearer secret of rob"}),
                "wrong": await tcp.request(method, path, json=body, headers={"authorization": "Bearer secret of eve"}),
                "nobody": await tcp.request(method, path, json=body),
            }
            codes = {who: answer.status_code for who, answer in answers.items()}
            allowed = {
                "anybody": set(answers),
                "read": {"operator by uid", "operator", "reader"},
                "operate": {"operator by uid", "operator"},
                "hook": set(),
            }[needed]
            assert {who for who, code in codes.items() if code < 300} == allowed, (method, path, codes)
            assert all(code in (401, 403) for who, code in codes.items() if who not in allowed), (method, path, codes)


async def test_a_user_who_is_not_named_gets_nothing_over_the_socket(tmp_path: Path) -> None:
    async with server(tmp_path, frozenset({12345})) as (fake, unix, _):
        assert (await unix.get("/healthz")).status_code == 200
        for method, path, needed in calls():
            if needed not in ("anybody", "hook"):
                assert (await unix.request(method, path, json=BODIES.get(path, {}))).status_code == 403
        assert fake.asked == []


async def test_nothing_but_the_table_is_answered(tmp_path: Path) -> None:
    async with server(tmp_path, frozenset({os.geteuid()})) as (fake, unix, _):
        known = {(method, path) for method, path, _ in calls()}
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
            for path in sorted({path for _, path in known} | {"/", "/docs", "/v1"}):
                if (method, path) not in known:
                    assert (await unix.request(method, path)).status_code in (404, 405), (method, path)
        assert fake.asked == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example.org"}, 403),  # DNS rebinding
        ({"origin": "https://evil.example.org"}, 403),
        ({"origin": "null"}, 403),
        ({"content-type": "text/plain"}, 415),  # what a form of another page can send
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({}, 202),
    ],
)
async def test_a_page_of_somebody_else_cannot_speak_for_its_reader(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    async with server(tmp_path, frozenset()) as (fake, _, tcp):
        own = {"authorization": "Bearer secret of ann", "content-type": "application/json"}
        answer = await tcp.post("/v1/reconcile", content=b'{"hosts": ["dev/h1"]}', headers=own | headers)
        assert answer.status_code == status and bool(fake.asked) is (status == 202)
        assert (
            answer.headers["x-content-type-options"] == "nosniff"
            and "access-control-allow-origin" not in answer.headers
        )


async def test_a_hook_says_look_and_nothing_else(tmp_path: Path) -> None:
    async with server(tmp_path, frozenset()) as (fake, _, tcp):
        assert (await tcp.post("/hooks/git", content=b"{}")).status_code == 403
        assert fake.asked == []
        assert (await tcp.post("/hooks/git", content=b"{}", headers={"x-signed": "yes"})).status_code == 202
        assert fake.asked == ["look"]
        big = await tcp.post("/hooks/git", content=b"x" * (BODY + 1), headers={"x-signed": "yes"})
        assert big.status_code == 413 and fake.asked == ["look"]


async def test_who_asked_is_known_by_name(tmp_path: Path) -> None:
    async with server(tmp_path, frozenset({os.geteuid()})) as (fake, unix, tcp):
        await unix.post("/v1/orders", json={"scope": "", "reason": "x"})
        await tcp.post(
            "/v1/orders", json={"scope": "dev", "reason": ""}, headers={"authorization": "bearer secret of ann"}
        )
        assert fake.asked == ["order '' by root@localhost", "order 'dev' by ann"]


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/v1/reconcile", b"{}", "expected hosts"),
        ("/v1/reconcile", b'{"hosts": []}', "expected hosts"),  # nobody means all of them by leaving something out
        ("/v1/reconcile", b'{"hosts": ["h1"]}', "ENVIRONMENT/NAME"),
        ("/v1/orders", b'{"scope": 3, "reason": ""}', "expected scope"),
        ("/v1/accept", b'{"commit": "b"}', "it is at another"),
        ("/v1/orders", b'{"scope": "nowhere", "reason": ""}', "nothing is called"),
        ("/v1/orders", b"[" * 5000, "JSON object"),
        ("/v1/orders", b"\xff\xfe", "JSON object"),
    ],
)
async def test_what_cannot_be_meant_is_told(tmp_path: Path, path: str, body: bytes, words: str) -> None:
    async with server(tmp_path, frozenset({os.geteuid()})) as (fake, unix, _):
        answer = await unix.post(path, content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 400 and words in answer.json()["error"] and fake.asked == []


async def test_events_come_from_where_one_left_off(tmp_path: Path) -> None:
    async with (
        server(tmp_path, frozenset({os.geteuid()})) as (_, unix, _),
        unix.stream("GET", "/v1/events", headers={"last-event-id": "1"}) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        said = [line async for line in answer.aiter_lines()]
    assert [line for line in said if line.startswith("id: ")] == ["id: 2", "id: 3"]


async def test_names_of_hosts_are_data(tmp_path: Path) -> None:
    async with server(tmp_path, frozenset({os.geteuid()})) as (_, unix, _):
        answer = await unix.get("/v1/hosts", params={"verdict": "failed"})
        assert answer.headers["content-type"] == "application/json"
        assert [one["name"] for one in answer.json()["hosts"]] == [HOSTILE] and b"\x1b" not in answer.content


async def test_what_can_be_asked_is_told(tmp_path: Path) -> None:
    async with server(tmp_path, frozenset({os.geteuid()})) as (_, unix, _):
        document = (await unix.get("/v1/openapi.json")).json()
    assert {(m.upper(), p) for p, methods in document["paths"].items() for m in methods} == set(TABLE)
    status = document["paths"]["/v1/status"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert "environments" in status["properties"] and "EnvironmentView" in document["components"]["schemas"]


async def test_a_place_that_is_taken_is_not_taken_away(tmp_path: Path) -> None:
    file = tmp_path / "fleet.sock"
    file.write_text("precious")
    with pytest.raises(UsageError, match="is taken"):
        async with serving(application(Fake(), Access(frozenset())), file):
            raise AssertionError("it must not start")
    assert file.read_text() == "precious"
    async with server(tmp_path, frozenset()):
        with pytest.raises(UsageError, match="is taken"):
            async with serving(application(Fake(), Access(frozenset())), tmp_path / "own/fleet.sock"):
                raise AssertionError("it must not start")
