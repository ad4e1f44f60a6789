"""Peers that do not behave cost little, and not for long."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from fleet.web.access import Access
from fleet.web.limits import Limits
from tests.web.fake import ADDRESS, NAME, Fake, bearer, server
from tests.web.raw import connected, until_closed

pytestmark = pytest.mark.anyio
OWN = Access(frozenset({os.geteuid()}))
QUICK = Limits(slow=0.2, idle=1)
GET = b"GET /healthz HTTP/1.1\r\nhost: fleet\r\n"


@pytest.mark.parametrize("begin", [b"", b"G", GET, GET + b"\r\n" + GET], ids=["none", "one", "half", "a second one"])
async def test_a_head_that_does_not_come_is_not_waited_for(tmp_path: Path, begin: bytes) -> None:
    async with server(tmp_path, OWN, limits=QUICK) as one, connected(one.path) as (reader, writer):
        writer.write(begin)
        answer = await until_closed(reader)
        assert answer.count(b"HTTP/1.1 200") == (begin.count(b"\r\n\r\n"))


async def test_a_head_that_comes_byte_by_byte_has_no_more_time(tmp_path: Path) -> None:
    async with server(tmp_path, OWN, limits=QUICK) as one, connected(one.path) as (reader, writer):
        ended = asyncio.ensure_future(until_closed(reader))
        while not ended.done():
            writer.write(b"x")
            await asyncio.wait([ended], timeout=0.02)
        assert ended.result() == b""


async def test_a_next_head_has_no_more_time_than_the_first(tmp_path: Path) -> None:
    async with server(tmp_path, OWN, limits=QUICK) as one, connected(one.path) as (reader, writer):
        writer.write(GET + b"\r\n")
        await reader.readuntil(b"alive\n")
        writer.write(GET)
        assert await until_closed(reader) == b""


async def test_a_head_that_is_too_large_is_not_read_on(tmp_path: Path) -> None:
    async with server(tmp_path, OWN) as one, connected(one.path) as (reader, writer):
        writer.write(GET + b"x: " + b"y" * 100_000)
        assert (await until_closed(reader)).startswith(b"HTTP/1.1 400")


async def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.web.app.Limits", lambda: QUICK)
    async with server(tmp_path, OWN) as one, connected(one.path) as (reader, writer):
        writer.write(b"POST /v1/freeze HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n")
        writer.write(b"content-length: 20\r\n\r\n{")
        assert (await until_closed(reader)).startswith(b"HTTP/1.1 408") and one.fake.asked == []


async def test_who_is_not_known_is_not_listened_to_for_long(tmp_path: Path) -> None:
    """A gigabyte is announced, and nobody reads it."""
    async with server(tmp_path, OWN) as one:
        reader, writer = await asyncio.open_connection(ADDRESS, one.port)
        writer.write(f"POST /v1/freeze HTTP/1.1\r\nhost: {NAME}\r\ncontent-length: 1000000000\r\n\r\n".encode())
        assert (await until_closed(reader)).startswith(b"HTTP/1.1 401")
        writer.close()


async def test_a_full_place_is_full_and_the_other_is_not(tmp_path: Path) -> None:
    async with server(tmp_path, OWN, Fake(endless=True), Limits(connections=2, slow=100)) as one:
        first = await asyncio.open_connection(ADDRESS, one.port)
        second = await asyncio.open_connection(ADDRESS, one.port)
        third = await asyncio.open_connection(ADDRESS, one.port)
        assert await until_closed(third[0]) == b""
        assert (await one.unix.get("/v1/status")).status_code == 200
        first[1].close()
        await until_closed(first[0])
        async with asyncio.timeout(20):
            while True:  # until the server has noticed
                reader, writer = await asyncio.open_connection(ADDRESS, one.port)
                writer.write(f"GET /healthz HTTP/1.1\r\nhost: {NAME}\r\nconnection: close\r\n\r\n".encode())
                if (await until_closed(reader)).startswith(b"HTTP/1.1 200"):
                    break
        for _, open_ in (second, third):
            open_.close()


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /healthz HTTP/1.1\r\n\r\n",  # no name at all
        b"GET /healthz HTTP/1.0\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: a\r\nhost: fleet.example.org\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: fleet.example.org\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
    ],
)
async def test_what_is_no_request_to_us_is_refused(tmp_path: Path, request_: bytes) -> None:
    async with server(tmp_path, OWN, limits=QUICK) as one:
        reader, writer = await asyncio.open_connection(ADDRESS, one.port)
        writer.write(request_)
        answer = await until_closed(reader)
        assert answer[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.1 403"), answer
        writer.close()


async def test_nobody_upgrades_to_anything(tmp_path: Path) -> None:
    async with server(tmp_path, OWN) as one:
        upgrade = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-key": "x", **bearer("ann")}
        assert (await one.tcp.get("/v1/status", headers=upgrade)).status_code == 200
