"""Events: from where one left off, for as long as one reads them, and not a moment longer."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from fleet.controller.view import Event
from fleet.web.access import Access
from fleet.web.limits import Limits
from fleet.web.stream import told
from tests.web.fake import Fake, server
from tests.web.raw import connected, until_closed

pytestmark = pytest.mark.anyio
OWN = Access(frozenset({os.geteuid()}))
ASK = b"GET /v1/events HTTP/1.1\r\nhost: fleet\r\n\r\n"


@pytest.mark.parametrize(
    ("headers", "query", "numbers"),
    [
        ({}, {}, [1, 2, 3]),
        ({"last-event-id": "1"}, {}, [2, 3]),
        ({}, {"after": "2"}, [3]),
        ({"last-event-id": "2"}, {"after": "1"}, [3]),  # who comes back asks for the same address again
        ({"last-event-id": "3"}, {}, []),
    ],
)
async def test_events_come_from_where_one_left_off(
    tmp_path: Path, headers: dict[str, str], query: dict[str, str], numbers: list[int]
) -> None:
    async with server(tmp_path, OWN) as one:
        answer = await one.unix.get("/v1/events", headers=headers, params=query)
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.text.splitlines()
        assert [int(line.removeprefix("id: ")) for line in lines if line.startswith("id: ")] == numbers
        assert one.streams.readers == 0 and one.fake.listening == 0


async def test_the_line_is_kept_open(tmp_path: Path) -> None:
    async with (
        server(tmp_path, OWN, Fake(endless=True), keep_alive=0.01) as one,
        one.unix.stream("GET", "/v1/events") as answer,
    ):
        lines = answer.aiter_lines()
        kept = 0
        while kept < 3:
            kept += await anext(lines) == ": still here"


async def test_who_goes_away_is_not_served_any_more(tmp_path: Path) -> None:
    fake = Fake(endless=True)
    async with server(tmp_path, OWN, fake) as one:
        async with connected(one.path) as (reader, writer):
            writer.write(ASK)
            await reader.readuntil(b"id: 3\n")
            assert fake.listening == one.streams.readers == 1
        while one.streams.readers or fake.listening:
            await one.unix.get("/healthz")  # a turn of the loop or two


async def test_a_slow_reader_is_dropped_and_the_others_are_not(tmp_path: Path) -> None:
    fake = Fake(endless=True, happened=0, wide=10_000)
    async with (
        server(tmp_path, OWN, fake, Limits(slow=0.3)) as one,
        connected(one.path, limit=4096) as (slow, asks),
        connected(one.path) as (reader, writer),
    ):
        asks.write(ASK)
        writer.write(ASK)
        seen = 0
        while one.streams.readers != 1 or seen < 5_000_000:
            part = await reader.read(65536)
            assert part  # the other's haste is not ended by it
            seen += len(part)
        # It ends with what was on the way when its patience did.
        assert len(await until_closed(slow)) < 1_000_000


async def test_there_are_only_so_many_readers(tmp_path: Path) -> None:
    async with (
        server(tmp_path, OWN, Fake(endless=True)) as one,
        connected(one.path) as first,
        connected(one.path) as second,
        connected(one.path) as third,
    ):
        for reader, writer in (first, second, third):
            writer.write(ASK)
            await reader.readuntil(b"hello")
        assert (await one.unix.get("/v1/events")).status_code == 503
        assert (await one.unix.get("/v1/status")).status_code == 200


async def test_readers_and_others_keep_nobody_from_ending(tmp_path: Path) -> None:
    fake = Fake(endless=True)
    async with server(tmp_path, OWN, fake) as one:
        reader, writer = await asyncio.open_unix_connection(str(one.path))
        writer.write(ASK)
        await reader.readuntil(b"id: 3\n")
        idle, idle_writer = await asyncio.open_unix_connection(str(one.path))
        late, late_writer = await asyncio.open_unix_connection(str(one.path))
        late_writer.write(
            b"POST /v1/freeze HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"
        )
        await one.unix.get("/healthz")
        begun = time.monotonic()
    assert time.monotonic() - begun < 2.0
    assert (await until_closed(reader)).endswith(b"0\r\n\r\n")  # the end of a whole answer
    assert await until_closed(idle) == b"" and await until_closed(late) == b""
    assert fake.listening == 0 and fake.asked == [] and not one.path.exists()
    for open_ in (writer, idle_writer, late_writer):
        open_.close()


async def test_head_has_no_events(tmp_path: Path) -> None:
    async with server(tmp_path, OWN, Fake(endless=True)) as one:
        answer = await one.unix.head("/v1/events")
        assert answer.status_code == 200 and answer.content == b"" and one.fake.listening == 0


def test_what_is_said_stays_within_its_event() -> None:
    hostile = "x\n\nid: 9\ndata: y\r\n"
    text = told(Event(7, 1.0, hostile, hostile, hostile, {hostile: hostile}))
    assert [line.partition(":")[0] for line in text.splitlines()] == ["id", "event", "data", ""]
