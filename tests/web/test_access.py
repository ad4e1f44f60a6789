"""Nobody gets what is not theirs: every route, every sort of asker, over real sockets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.routing import Route

from fleet.web.access import TABLE, Access, Role
from fleet.web.app import application
from fleet.web.guard import needed_for
from fleet.web.peer import NOBODY, Peer
from tests.web.fake import BODIES, NAME, TOKENS, Fake, bearer, server

pytestmark = pytest.mark.anyio
OWN = Access(frozenset({os.geteuid()}))
STRANGER = Access(frozenset({12345}))


def calls() -> Iterator[tuple[str, str, str, object]]:
    """method, path, what is needed, body. Events end by themselves: the fake has but three."""
    for (method, path), needed in TABLE.items():
        place = re.sub(r"{(\w+)}", lambda m: {"environment": "dev", "name": "h1"}[m[1]], path)
        yield method, place, needed, BODIES.get((method, path), {})


def test_every_route_of_the_application_is_in_the_table_and_the_other_way_round() -> None:
    app = application(Fake(), OWN)
    routes = [route for route in app.routes if isinstance(route, Route)]
    assert len(routes) == len(app.routes)
    found = {(method, route.path) for route in routes for method in route.methods or () if method != "HEAD"}
    assert found == set(TABLE)


async def test_every_route_gives_to_each_what_the_table_says(tmp_path: Path) -> None:
    async with server(tmp_path, OWN) as one:
        for method, path, needed, body in calls():
            answers = {
                "operator by uid": await one.unix.request(method, path, json=body),
                "operator": await one.tcp.request(method, path, json=body, headers=bearer("ann")),
                "reader": await one.tcp.request(method, path, json=body, headers=bearer("rob")),
                "wrong": await one.tcp.request(method, path, json=body, headers=bearer("eve")),
                "not bearer": await one.tcp.request(method, path, json=body, headers={"authorization": "Basic YTpi"}),
                "nobody": await one.tcp.request(method, path, json=body),
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
            assert all(answer.headers["x-content-type-options"] == "nosniff" for answer in answers.values())


async def test_a_user_who_is_not_named_gets_nothing_over_the_socket_not_even_with_a_token(tmp_path: Path) -> None:
    async with server(tmp_path, STRANGER) as one:
        assert (await one.unix.get("/healthz")).status_code == 200
        for method, path, needed, body in calls():
            if needed != "anybody":
                assert (await one.unix.request(method, path, json=body, headers=bearer("ann"))).status_code == 403
        assert one.fake.asked == []


@pytest.mark.parametrize(("role", "reads", "operates"), [("reader", 200, 403), ("operator", 200, 202)])
async def test_members_of_a_group_may_what_the_group_may(tmp_path: Path, role: Role, reads: int, operates: int) -> None:
    async with server(tmp_path, Access(frozenset({12345}), groups={os.getegid(): role})) as one:
        assert (await one.unix.get("/v1/status")).status_code == reads
        answer = await one.unix.post("/v1/reconcile", json={"hosts": ["dev/h1"]})
        assert answer.status_code == operates and bool(one.fake.asked) is (operates == 202)


def test_who_is_in_two_groups_may_what_either_may_and_an_unknown_user_nothing() -> None:
    access = Access(frozenset({0, NOBODY}), groups={7: "reader", 8: "operator"})
    assert access.asker(Peer(12345, frozenset({7})), "").role == "reader"
    assert access.asker(Peer(12345, frozenset({7, 8, 9})), "").role == "operator"
    assert access.asker(Peer(12345, frozenset({9})), "").role == ""
    assert access.asker(Peer(12345, frozenset()), "").name == "12345@localhost"
    # What the kernel says of every user of another namespace is nobody in particular.
    assert access.asker(Peer(NOBODY, frozenset({8})), "").role == ""


async def test_nothing_but_the_table_is_answered(tmp_path: Path) -> None:
    async with server(tmp_path, OWN) as one:
        known = {(method, path) for method, path, _, _ in calls()}
        places = sorted({path for _, path in known} | {"/", "/docs", "/v1", "/v1/", "/v1/status/", "//v1/status"})
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
            for path in places:
                if (method, path) not in known:
                    own = {"content-type": "application/json"}
                    assert (await one.unix.request(method, path, headers=own)).status_code in (404, 405), (method, path)
                    # Whether it is there is nobody's business either.
                    assert (await one.tcp.request(method, path, headers=own)).status_code == 401, (method, path)
        assert one.fake.asked == []


def test_a_path_that_the_router_takes_for_a_route_is_one_for_the_guard() -> None:
    for path in ("/v1/freeze", "/v1/freeze\n", "/v1/rollouts/dev/resume", "/v1/rollouts/a\nb/resume"):
        assert needed_for("POST", path) in ("operate", "read")
    assert needed_for("HEAD", "/healthz") == "anybody" and needed_for("HEAD", "/v1/status") == "read"
    assert needed_for("POST", "/healthz") == "read" and needed_for("GET", "/hooks/git") == "read"


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example.org"}, 403),  # DNS rebinding
        ({"host": "127.92.0.1"}, 403),
        ({"host": NAME.upper()}, 202),
        ({"origin": "https://evil.example.org"}, 403),
        ({"origin": f"https://{NAME}"}, 403),  # what is not called so is not us
        ({"origin": f"http://{NAME}:8080"}, 403),
        ({"origin": f"http://{NAME}"}, 202),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),  # a sibling host
        ({"sec-fetch-site": "same-origin"}, 202),
        ({"content-type": "text/plain"}, 415),  # what a form of another page can send
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "text/plain; x=application/json"}, 415),
        ({"content-type": "Application/JSON; charset=utf-8"}, 202),
        ({}, 202),
    ],
)
async def test_a_page_of_somebody_else_cannot_speak_for_its_reader(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    async with server(tmp_path, OWN) as one:
        body = b'{"hosts": ["dev/h1"]}'
        answer = await one.tcp.post("/v1/reconcile", content=body, headers=bearer("ann") | JSON | headers)
        assert answer.status_code == status and bool(one.fake.asked) is (status == 202)
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert "access-control-allow-origin" not in answer.headers


async def test_every_route_refuses_a_name_that_is_not_ours(tmp_path: Path) -> None:
    async with server(tmp_path, OWN) as one:
        for method, path, _, body in calls():
            foreign = bearer("ann") | {"host": "evil.example.org", "x-signed": "yes"}
            assert (await one.tcp.request(method, path, json=body, headers=foreign)).status_code == 403
        assert (await one.unix.get("/v1/status", headers={"origin": "http://fleet"})).status_code == 403
        assert one.fake.asked == []


async def test_behind_something_that_ends_tls_pages_have_https_origins(tmp_path: Path) -> None:
    async with server(tmp_path, Access(frozenset(), scheme="https")) as one:
        for origin, status in ((f"https://{NAME}", 200), (f"http://{NAME}", 403)):
            answer = await one.tcp.get("/v1/status", headers=bearer("rob") | {"origin": origin})
            assert answer.status_code == status


async def test_who_asked_is_known_by_name(tmp_path: Path) -> None:
    async with server(tmp_path, OWN) as one:
        await one.unix.post("/v1/freeze", json={"reason": "x"})
        said = {"authorization": "bearer secret of ann"}
        await one.tcp.post("/v1/pause", json={"scope": "dev", "reason": "y"}, headers=said)
        assert one.fake.asked == ["order '' by root@localhost", "order 'dev' by ann"]


def test_a_token_is_not_shown() -> None:
    assert all(one.digest not in repr(one) for one in TOKENS)
