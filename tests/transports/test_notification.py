"""Messages by Apprise to real servers: what arrives, what fails in time, and what of the surroundings means nothing."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fleet.errors import Failure, TransportError
from fleet.transports.notification import CHILD, send
from tests.controller.notices.sinks import ADDRESS, mailbox, sink

pytestmark = pytest.mark.anyio
HOSTILE = "prod: 2 hosts failed\n    ‹!channel› & \\x1b[2J http://x.example.org ünï"


async def test_a_webhook_gets_title_and_body_as_they_are() -> None:
    async with sink() as server:
        await send(f"json://{server.place}/hook/tok3n", "fleet: trouble", HOSTILE)
    (one,) = server.requests
    assert one.method == "POST" and one.path.rstrip("/") == "/hook/tok3n"
    assert one.json["title"] == "fleet: trouble" and one.json["message"] == HOSTILE


async def test_a_mail_arrives_and_its_text_is_no_markup() -> None:
    async with mailbox() as box:
        url = f"mailto://{ADDRESS}:{box.port}?from=fleet@example.org&to=ops@example.org&mode=insecure&name=fleet"
        await send(url, "fleet: trouble", HOSTILE.replace("‹!channel›", "<script>"))
    (mail,) = box.mails
    assert mail["subject"] == "fleet: trouble" and "ops@example.org" in mail["to"]
    body = mail.get_body(("html",))
    assert body is None or "<script>" not in body.get_content()
    assert "2 hosts failed" in mail.as_string()


async def test_what_a_service_refuses_is_an_error_that_says_so() -> None:
    async with sink(lambda _: (500, b"")) as server:
        with pytest.raises(TransportError, match="500"):
            await send(f"json://{server.place}/", "t", "b")


async def test_a_redirect_is_not_followed() -> None:
    async with sink(lambda _: (307, b"")) as server:
        with pytest.raises(TransportError):
            await send(f"json://{server.place}/", "t", "b")
    assert len(server.requests) == 1


async def test_a_service_that_hangs_is_given_up_in_time_and_nothing_is_left_of_it() -> None:
    async with sink(None) as server:
        with pytest.raises(TransportError) as told:
            await send(f"json://{server.place}/", "t", "b", seconds=3.0)
    assert told.value.failure is Failure.LOST and not _children()


async def test_who_is_cancelled_leaves_nothing_behind() -> None:
    async with sink(None) as server:
        task = asyncio.create_task(send(f"json://{server.place}/", "t", "b"))
        await server.until(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled() and not _children()


def _children() -> list[str]:
    me = str(os.getpid())
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            said = path.read_text().rpartition(")")[2].split()
            words = (path.parent / "cmdline").read_text()
        except OSError:
            continue
        if said[1] == me and "apprise_child" in words:
            found.append(words)
    return found


async def test_neither_a_proxy_nor_a_netrc_of_the_surroundings_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text(f"machine {ADDRESS} login me password s3cret\n")
    (tmp_path / ".netrc").chmod(0o600)
    async with sink() as server, sink() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy.place}")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        await send(f"json://{server.place}/", "t", "b")
    assert len(server.requests) == 1 and not proxy.requests
    assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize("url", ["file:///etc/passwd"])
async def test_a_url_that_means_nothing_is_an_error(url: str) -> None:
    with pytest.raises(TransportError, match="no URL"):
        await send(url, "t", "b")


def test_the_sender_finds_its_library_where_the_controller_does() -> None:
    """Also where that is a place of the user's own, which an isolated Python does not look into."""
    told = json.dumps({"url": "nosuch://x", "title": "t", "body": "b", "paths": sys.path})
    call = [sys.executable, "-I", "-S", str(CHILD)]
    done = subprocess.run(call, input=told, capture_output=True, text=True, timeout=60, check=False)
    assert "no URL of a service" in json.loads(done.stdout)["said"], done.stderr
