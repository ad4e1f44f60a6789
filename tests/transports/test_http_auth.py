"""Who asks: what is fetched is fetched once, and anew when it is over; a refusal is not repeated; nothing leaks."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import pytest

from fleet.errors import Failure, TransportError
from fleet.model.api import Api, Auth, Login
from fleet.model.step import Request
from fleet.transports.gate import Gate
from fleet.transports.http_client import ApiClient
from tests.transports.http_server import Fast, Say, Server, answer, by_path, client_of, reset, serving

T = TypeVar("T")
GET = Request("GET", "/x")
CLIENT = {"client_id": "id", "client_secret": "s3cr3t!"}
USER = {"user": "admin", "password": "p4ssw0rd!"}


def token(value: str, seconds: float = 3600) -> Say:
    return answer(200, json.dumps({"access_token": value, "expires_in": seconds}).encode())


def using(
    type_: Login, values: Mapping[str, str], script: Say, work: Callable[[ApiClient, Fast], Awaitable[T]]
) -> tuple[T, Server]:
    """A client that logs in as said; `{url}` in a value is the server's own."""

    async def run() -> tuple[T, Server]:
        fast = Fast()
        async with serving(script, now=lambda: fast.time) as server:
            said = tuple((name, value.replace("{url}", server.url)) for name, value in values.items())
            api = Api(server.url, "dev", auth=Auth(type_, said), networks=("127.0.0.0/8",))
            client = client_of(api, Gate(fast.clock, lambda: 0.5))
            try:
                return await work(client, fast), server
            finally:
                await client.aclose()

    return asyncio.run(run())


async def once(client: ApiClient, fast: Fast) -> Failure | int:
    try:
        return (await client.ask(GET)).status
    except TransportError as error:
        for secret in ("s3cr3t!", "p4ssw0rd!", "first"):
            assert secret not in str(error) + repr(error)
        return error.failure


@pytest.mark.parametrize(
    ("type_", "values", "header", "expected"),
    [("bearer", {"token": "t"}, "authorization", "Bearer t"),
     ("basic", {"user": "ü", "password": "a:b"}, "authorization", "Basic " + b64encode("ü:a:b".encode()).decode()),
     ("header", {"X-API-Key": "k"}, "x-api-key", "k")],
)  # fmt: skip
def test_what_is_known_goes_with_each_request(type_: Login, values: dict[str, str], header: str, expected: str) -> None:
    found, server = using(type_, values, answer(), once)
    assert found == 200 and server.asked[0].headers[header] == expected


def test_fifty_that_wait_fetch_one_token_and_a_new_one_when_it_is_over() -> None:
    async def work(client: ApiClient, fast: Fast) -> None:
        await asyncio.gather(*(client.ask(GET) for _ in range(50)))
        fast.time += 3600
        await client.ask(GET)

    script = by_path(token=token("first"), x=answer())
    _, server = using("oauth2", {**CLIENT, "token_url": "{url}/token", "scope": "a b"}, script, work)
    fetched = [one for one in server.asked if one.path == "/token"]
    assert [one.body for one in fetched] == [b"grant_type=client_credentials&scope=a+b"] * 2
    assert fetched[0].headers["authorization"] == "Basic " + b64encode(b"id:s3cr3t!").decode()
    assert {one.headers["authorization"] for one in server.asked if one.path == "/x"} == {"Bearer first"}
    assert len(server.asked) == 53


@pytest.mark.parametrize(
    ("endpoint", "failure", "tries"),
    [(answer(401), Failure.AUTH, 1), (answer(200, b"<p>", Content_Type="text/html"), Failure.AUTH, 1),
     (answer(200, b"{}"), Failure.AUTH, 1), (answer(302, b"", Location="http://169.254.169.254/"), Failure.AUTH, 1),
     (answer(503), Failure.REFUSED, 4)],
)  # fmt: skip
def test_a_token_endpoint_that_does_not_give_one_is_a_typed_error_and_no_request_is_sent(
    endpoint: Say, failure: Failure, tries: int
) -> None:
    found, server = using("oauth2", {**CLIENT, "token_url": "{url}/token"}, by_path(token=endpoint, x=answer()), once)
    assert found is failure and [one.path for one in server.asked] == ["/token"] * tries


def test_a_token_endpoint_that_breaks_is_tried_again_like_any_read() -> None:
    found, server = using("oauth2", {**CLIENT, "token_url": "{url}/token"}, by_path(token=reset, x=answer()), once)
    assert found is Failure.REFUSED and {one.path for one in server.asked} == {"/token"}


def test_a_session_is_made_used_and_given_back() -> None:
    login = answer(201, b"{}", X_Auth_Token="first", Location="/sessions/7")
    found, server = using("session", {**USER, "path": "/sessions"}, by_path(sessions=login, x=answer()), once)
    assert found == 200
    assert [(one.method, one.path) for one in server.asked] == [
        ("POST", "/sessions"), ("GET", "/x"), ("DELETE", "/sessions/7")
    ]  # fmt: skip
    assert json.loads(server.asked[0].body) == {"UserName": "admin", "Password": "p4ssw0rd!"}
    assert [one.headers.get("x-auth-token") for one in server.asked[1:]] == ["first", "first"]


def test_a_session_that_ran_out_is_given_back_and_made_anew_once_and_a_refusal_is_a_refusal() -> None:
    """Some servers say 401 for what is forbidden: twenty requests are no reason for twenty sessions."""
    login = answer(201, b"{}", X_Auth_Token="first", Location="/sessions/7")

    async def work(client: ApiClient, fast: Fast) -> list[Failure | int]:
        found = [await once(client, fast) for _ in range(5)]
        fast.time += 60
        return found + [await once(client, fast) for _ in range(5)]

    found, server = using("session", {**USER, "path": "/sessions"}, by_path(sessions=login, x=answer(401)), work)
    assert found == [Failure.AUTH] * 10
    assert [(one.method, one.path) for one in server.asked] == [
        ("POST", "/sessions"), *[("GET", "/x")] * 6, ("DELETE", "/sessions/7"), ("POST", "/sessions"),
        *[("GET", "/x")] * 5, ("DELETE", "/sessions/7"),
    ]  # fmt: skip


def test_a_wrong_password_is_said_once() -> None:
    """Whoever repeats it is locked out."""
    found, server = using("session", {**USER, "path": "/sessions"}, by_path(sessions=answer(401), x=answer()), once)
    assert found is Failure.AUTH and len(server.asked) == 1


def test_the_token_goes_to_nobody_else() -> None:
    login = answer(201, b"{}", X_Auth_Token="first", Location="http://127.9.9.9:9/sessions/7")
    _, server = using("session", {**USER, "path": "/sessions"}, by_path(sessions=login, x=answer()), once)
    assert [one.method for one in server.asked] == ["POST", "GET"]


def test_a_login_that_is_refused_while_others_wait_is_theirs_too() -> None:
    async def work(client: ApiClient, fast: Fast) -> set[Failure]:
        found = await asyncio.gather(*(client.ask(GET) for _ in range(20)), return_exceptions=True)
        return {one.failure for one in found if isinstance(one, TransportError)}

    found, server = using("session", {**USER, "path": "/sessions"}, by_path(sessions=answer(401), x=answer()), work)
    assert found == {Failure.AUTH} and len(server.asked) == 1


@pytest.mark.parametrize("value", ["p4ssw0rd!\nx: y", "p4ssw0rd!\r\n", "p4ssw0rd!\N{SNOWMAN}", "p4ssw0rd!\0"])
def test_a_secret_that_no_header_can_hold_is_said_without_it(value: str) -> None:
    found, server = using("header", {"X-API-Key": value}, answer(), once)
    assert found is Failure.REJECTED and server.asked == []
