"""The client of the commands, with the server that it is made for; and with others."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleet.controller.view import HostView
from fleet.errors import Failure, TransportError, UsageError
from fleet.transports.controller import ControllerClient
from fleet.web.access import Access
from tests.web.fake import HOSTILE, Fake, server

pytestmark = pytest.mark.anyio
OWN = Access(frozenset({os.geteuid()}))


async def test_it_says_what_the_controller_says(tmp_path: Path) -> None:
    async with server(tmp_path, OWN) as one:
        client = ControllerClient(one.path)

        def ask() -> list[Any]:
            return [
                client.status()["version"],
                [host["name"] for host in client.hosts()],
                client.metrics(),
                client.reconcile(["dev/h1"]),
                client.order("dev", "why")["scope"],
                client.lift("dev"),
                client.lift("other"),
                client.go_on("dev"),
                client.go_on("a/b"),
                [event["number"] for event in client.events(1, follow=False)],
                [event["number"] for event in client.events(2)],
            ]

        said = await asyncio.to_thread(ask)
        # In the order of labels.
        assert said == ["1", [HOSTILE, "h1"], "fleet_hosts 2\n", 1, "dev", True, False, True, False, [2, 3], [3]]


async def test_it_has_every_host_however_many_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.web.said.MOST", 3)
    many = [HostView("dev", f"h{n}") for n in range(10)]
    monkeypatch.setattr(Fake, "hosts", lambda self: many)
    async with server(tmp_path, OWN) as one:
        found = await asyncio.to_thread(ControllerClient(one.path).hosts)
        assert [host["name"] for host in found] == [host.name for host in many]


ASKS: list[Callable[[ControllerClient], Any]] = [
    ControllerClient.status,
    ControllerClient.hosts,
    ControllerClient.metrics,
    lambda client: client.lift("dev"),
    lambda client: list(client.events()),
]


@pytest.mark.parametrize("ask", ASKS)
async def test_who_may_not_ask_is_told_so(tmp_path: Path, ask: Callable[[ControllerClient], Any]) -> None:
    async with server(tmp_path, Access(frozenset({12345}))) as one:
        with pytest.raises(TransportError, match="not allowed") as told:
            await asyncio.to_thread(ask, ControllerClient(one.path))
        assert told.value.failure is Failure.AUTH


@pytest.mark.parametrize("ask", ASKS)
async def test_nobody_who_listens_is_told_with_what_to_do(
    tmp_path: Path, ask: Callable[[ControllerClient], Any]
) -> None:
    with pytest.raises(TransportError, match="fleet serve") as told:
        await asyncio.to_thread(ask, ControllerClient(tmp_path / "fleet.sock"))
    assert told.value.failure is Failure.REFUSED


async def test_what_cannot_be_asked_is_told_in_the_words_of_the_controller(tmp_path: Path) -> None:
    async with server(tmp_path, OWN) as one:
        client = ControllerClient(one.path)
        with pytest.raises(UsageError, match="nothing is called"):
            await asyncio.to_thread(client.order, "nowhere", "x")
        with pytest.raises(TransportError, match="the disk is full"):
            await asyncio.to_thread(client.order, "broken", "x")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
)
async def test_somebody_else_who_listens_is_no_controller(tmp_path: Path, answer: bytes) -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_unix_server(other, tmp_path / "fleet.sock"):
        with pytest.raises(TransportError):
            await asyncio.to_thread(ControllerClient(tmp_path / "fleet.sock").status)
