"""A hostile server, row by row: a typed error in bounded time and memory; never earlier than told, never twice."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import pairwise
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.errors import Failure, TransportError
from fleet.model.api import Api
from fleet.model.step import Request
from fleet.pacing.bucket import LATE
from fleet.transports.gate import Gate
from fleet.transports.http_client import ApiClient
from fleet.transports.http_wire import Answer
from tests.transports.http_server import Fast, Say, Server, answer, client_of, endless, raw, reset, serving, silence

T = TypeVar("T")
LOOPBACK = ("127.0.0.0/8",)
GET, POST = Request("GET", "/x"), Request("POST", "/x", b"{}")


def with_server(
    *script: Say, work: Callable[[ApiClient, Server, Fast], Awaitable[T]], **more: Any
) -> tuple[T, Server, Fast]:
    """Runs `work` against a server with that script; time is virtual but for the deadline of one try."""

    async def run() -> tuple[T, Server, Fast]:
        fast = Fast()
        async with serving(*script, now=lambda: fast.time) as server:
            client = client_of(Api(server.url, "dev", networks=LOOPBACK, **more), Gate(fast.clock, lambda: 0.999))
            try:
                return await work(client, server, fast), server, fast
            finally:
                await client.aclose()

    return asyncio.run(run())


def ask(*script: Say, request: Request = GET, **more: Any) -> tuple[Answer | Failure, Server, Fast]:
    """The answer, or how it failed."""

    async def work(client: ApiClient, server: Server, fast: Fast) -> Answer | Failure:
        try:
            found = await client.ask(request)
            found.json()
        except TransportError as error:
            return error.failure
        return found

    return with_server(*script, work=work, **more)


def test_an_answer_is_whole() -> None:
    found, server, _ = ask(answer(200, b'{"a": 1}', ETag='"7"'), request=Request("PUT", "/a?b=c", b'{"x":2}'))
    assert isinstance(found, Answer) and found.json() == {"a": 1} and found.headers["etag"] == '"7"'
    [asked] = server.asked
    assert (asked.method, asked.path, json.loads(asked.body)) == ("PUT", "/a?b=c", {"x": 2})
    assert asked.headers["host"] == f"127.0.0.1:{server.port}" and asked.headers["accept-encoding"] == "identity"


def test_what_a_request_accepts_is_an_answer() -> None:
    found, _, _ = ask(answer(404), request=Request("GET", "/x", accept=(404,)))
    assert isinstance(found, Answer) and found.status == 404
    assert ask(answer(404))[0] is Failure.REJECTED


DATE = format_datetime(datetime.fromtimestamp(1_790_000_000 + 40, UTC), usegmt=True)


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [(429, {"Retry_After": "30"}, 30), (503, {"Retry_After": DATE}, 40), (429, {}, 0.4),
     (429, {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "25"}, 25)],
)  # fmt: skip
def test_nobody_comes_back_earlier_than_the_server_said(status: int, headers: dict[str, str], seconds: float) -> None:
    found, server, _ = ask(answer(status, b"{}", **headers), answer())
    assert isinstance(found, Answer) and len(server.asked) == 2
    assert server.asked[1].at - server.asked[0].at >= seconds


def test_what_one_was_told_holds_for_all_who_ask_the_api() -> None:
    async def work(client: ApiClient, server: Server, fast: Fast) -> None:
        await asyncio.gather(*(client.ask(GET) for _ in range(5)))

    _, server, _ = with_server(answer(429, Retry_After="30"), answer(), work=work, concurrency=1)
    assert [one.at >= 30 for one in server.asked] == [False, *[True] * 5]


@pytest.mark.parametrize("script", [answer(500), answer(503), reset, raw(b"")])
def test_reads_are_tried_again_and_not_for_ever(script: Say) -> None:
    found, server, _ = ask(script)
    assert found in (Failure.SERVER, Failure.LOST) and len(server.asked) == 4
    good, again, _ = ask(script, answer())
    assert isinstance(good, Answer) and len(again.asked) == 2


@pytest.mark.parametrize("script", [answer(500), answer(503), reset, raw(b"HTTP/1.1 200 OK\r\n")])
def test_what_may_have_been_done_is_never_done_twice(script: Say) -> None:
    found, server, _ = ask(script, answer(), request=POST)
    assert found in (Failure.SERVER, Failure.LOST) and len(server.asked) == 1


def test_a_key_makes_a_post_safe_and_a_429_says_that_nothing_was_done() -> None:
    keyed = Request("POST", "/x", b"{}", key=True)
    found, server, _ = ask(reset, answer(), request=keyed)
    keys = [one.headers["idempotency-key"] for one in server.asked]
    assert isinstance(found, Answer) and len(keys) == 2 and len(set(keys)) == 1
    found, server, _ = ask(answer(429), answer(), request=POST)
    assert isinstance(found, Answer) and len(server.asked) == 2


HTML = b"<html>please log in</html>"


@pytest.mark.parametrize(
    "script",
    [answer(200, HTML, Content_Type="text/html"), answer(200, HTML), answer(200, b'{"a": '), answer(200, b""),
     answer(200, b"{}", Content_Type=""), answer(200, b"[" * 100_000), answer(302, Location="http://169.254.169.254/"),
     answer(200, b"\x1f\x8b\x08", Content_Encoding="gzip"), endless],
)  # fmt: skip
def test_what_cannot_be_understood_is_no_answer_and_is_not_asked_for_again(script: Say) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found, server, _ = ask(script, limit=1024 * 1024)
    assert found is Failure.ANSWER and len(server.asked) == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # kB


@pytest.mark.parametrize(
    "script",
    [raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{}"),
     raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}"), raw(b"\0\1\2 what?\r\n\r\n"),
     raw(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n")],
)  # fmt: skip
def test_half_an_answer_is_a_lost_one(script: Say) -> None:
    assert ask(script, request=POST)[0] is Failure.LOST


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
def test_a_server_that_stalls_ends_at_the_deadline(begin: bytes) -> None:
    async def stall(asked: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(begin)
        await writer.drain()
        await silence(asked, writer)

    assert ask(stall, request=POST, timeout=0.2)[0] is Failure.LOST


def test_retries_are_a_tenth_of_first_tries_in_any_minute() -> None:
    async def work(client: ApiClient, server: Server, fast: Fast) -> None:
        await asyncio.gather(*(client.ask(GET) for _ in range(100)), return_exceptions=True)

    _, server, _ = with_server(answer(500), work=work, tries=10)
    in_a_minute = [one for one in server.asked if one.at < 60]
    assert 100 <= len(in_a_minute) <= 110


def test_after_so_many_failures_nobody_is_sent_but_one_now_and_then() -> None:
    """Fifty that wait in line do not run into a wall one after the other."""

    async def work(client: ApiClient, server: Server, fast: Fast) -> None:
        await asyncio.gather(*(client.ask(POST) for _ in range(50)), return_exceptions=True)

    _, server, _ = with_server(answer(500), work=work, concurrency=1)
    times = [one.at for one in server.asked]
    assert times[4] == 0 and all(later - earlier >= 5 for earlier, later in pairwise(times[4:]))


def test_a_rate_is_kept_and_used(rate: float = 50.0) -> None:
    async def work(client: ApiClient, server: Server, fast: Fast) -> float:
        await asyncio.gather(*(client.ask(GET) for _ in range(200)))
        return fast.time

    seconds, _, _ = with_server(answer(), work=work, rate=rate, burst=1)
    assert 199 / rate <= seconds <= 199 / rate / 0.95


def test_a_thousand_of_one_environment_do_not_delay_the_few_of_another() -> None:
    order: list[str] = []

    async def run() -> None:
        fast = Fast()
        gate = Gate(fast.clock, lambda: 0.5)
        async with serving(answer(), now=lambda: fast.time) as server:
            api = Api(server.url, "dev", networks=LOOPBACK, rate=50, concurrency=1)
            clients = {name: client_of(replace(api, environment=name), gate) for name in ("dev", "production")}

            async def one(environment: str) -> None:
                await clients[environment].ask(GET)
                order.append(environment)

            await asyncio.gather(*(one("dev") for _ in range(100)), *(one("production") for _ in range(5)))
            await asyncio.gather(*(one.aclose() for one in clients.values()))

    asyncio.run(run())
    assert max(n for n, name in enumerate(order) if name == "production") <= 12


@given(st.lists(st.tuples(st.sampled_from(["dev", "staging"]), st.integers(1, 40)), min_size=1, max_size=60))
@settings(max_examples=20)
def test_each_environment_keeps_its_own_rate_and_all_together_the_largest(asked: list[tuple[str, int]]) -> None:
    """rates 5 and 20 a second: whoever asks, no second sees more than 5 of dev or 20 in all, and one burst."""
    times: list[tuple[str, float]] = []

    async def run() -> None:
        fast = Fast()
        gate = Gate(fast.clock, lambda: 0.5)
        gate.join("dev", 5)
        gate.join("staging", 20)

        async def one(name: str) -> None:
            async with gate.turn(name):
                times.append((name, fast.time))

        await asyncio.gather(*(one(name) for name, _ in asked))

    asyncio.run(run())
    assert len(times) == len(asked)
    for most, own in ((5, [at for name, at in times if name == "dev"]), (20, [at for _, at in times])):
        second = 1 - LATE / most - 1e-6  # the first of them may have been that late
        assert all(later - earlier >= second for earlier, later in zip(own, own[most:], strict=False))


def test_who_gives_up_frees_the_place() -> None:
    async def work(client: ApiClient, server: Server, fast: Fast) -> Answer:
        first = asyncio.create_task(client.ask(GET))
        await asyncio.wait([asyncio.create_task(server.heard.wait())])
        waiting = asyncio.create_task(client.ask(GET))
        await asyncio.sleep(0)
        waiting.cancel()
        first.cancel()
        await asyncio.gather(first, waiting, return_exceptions=True)
        return await client.ask(GET)

    found, server, _ = with_server(silence, answer(), work=work, concurrency=1)
    assert found.status == 200 and len(server.asked) == 2


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["169.254.169.254"], ["::1"], ["fe80::1%eth0"], ["::ffff:127.0.0.1"], ["0.0.0.0"], ["::"],
     ["::ffff:169.254.169.254"], ["64:ff9b::7f00:1"], ["2002:7f00:1::"], ["::127.0.0.1"], ["224.0.0.1"], []],
)  # fmt: skip
def test_nobody_connects_to_what_is_not_allowed(addresses: list[str]) -> None:
    async def run() -> tuple[Failure, int]:
        async def resolver(name: str, port: int) -> Sequence[str]:
            return addresses

        async with serving(answer()) as server:
            client = client_of(Api(f"http://api.example:{server.port}"), resolver=resolver)
            try:
                with pytest.raises(TransportError) as caught:
                    await client.ask(GET)
            finally:
                await client.aclose()
            return caught.value.failure, len(server.asked)

    assert asyncio.run(run()) == (Failure.ADDRESS, 0)


def test_where_nobody_listens_at_the_first_address_the_next_is_tried() -> None:
    """Nothing was sent to the first, so a POST goes to the next as well."""

    async def run() -> None:
        async def resolver(name: str, port: int) -> Sequence[str]:
            return ["::1", "127.0.0.1"]

        async with serving(answer()) as server:  # by IPv4 only
            api = Api(f"http://api.example:{server.port}", networks=(*LOOPBACK, "::1/128"), tries=1)
            client = client_of(api, resolver=resolver)
            try:
                assert (await client.ask(Request("POST", "/x", b"{}"))).status == 200
            finally:
                await client.aclose()
            assert [one.method for one in server.asked] == ["POST"]

    asyncio.run(run())


def test_a_name_that_changes_after_the_check_gains_nothing() -> None:
    """Asked once a request; what was checked is what is connected to."""
    asked: list[str] = []

    async def run() -> None:
        async with serving(answer()) as server:

            async def resolver(name: str, port: int) -> Sequence[str]:
                asked.append(name)
                return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

            api = Api(f"http://api.example:{server.port}", networks=LOOPBACK)
            client = client_of(api, resolver=resolver)
            try:
                assert (await client.ask(GET)).status == 200
                assert server.asked[0].headers["host"] == f"api.example:{server.port}"
                with pytest.raises(TransportError, match="not allowed"):
                    await client.ask(GET)
            finally:
                await client.aclose()
            assert len(server.asked) == 1

    asyncio.run(run())


def test_the_proxy_of_the_environment_is_nobody_s(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert isinstance(ask(answer())[0], Answer)
