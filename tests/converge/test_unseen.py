"""An object that was made and cannot be found again is made once, whatever is tried afterwards."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fleet.converge.drive import Intent, run_pass
from fleet.converge.unseen import unseen
from fleet.desired.compile import Compiler
from fleet.desired.load import load
from fleet.desired.profiles import every_kind
from fleet.desired.source import memory_tree
from fleet.model.change import PassResult, Verdict
from fleet.model.host import HostSpec
from fleet.model.step import Status, Write
from fleet.transports.http_client import untraced
from fleet.transports.http_transport import HttpTransport
from tests.converge.world import Deaf
from tests.transports.http_server import Asked, answer, serving


def spec(url: str, number: Any) -> HostSpec:
    said = {
        "read": {"path": "/things", "items": "$", "match": {"number": number}},
        "body": {"number": number, "size": 1},
        "create": {"method": "POST", "path": "/things"},
    }
    after = {**said, "read": {"path": "/things", "items": "$", "match": {"number": "7"}}, "body": {"number": "7"}}
    files: dict[str, Any] = {
        "base/environment.yaml": {"roles": {"all": {}}},
        "base/roles/all.yaml": {"resources": {"http_object": {"a": said, "b": {**after, "needs": ["http_object:a"]}}}},
        "lab/hosts.yaml": {"hosts": {"api": {"connection": {"type": "http", "url": url, "networks": ["127.0.0.0/8"]}}}},
    }
    tree = memory_tree({path: json.dumps(text).encode() for path, text in files.items()})
    found = Compiler(every_kind()).compile(load(tree, every_kind()))
    assert not found.problems, found.problems
    (host,) = found.hosts
    return host


def test_a_match_that_never_fits_makes_one_object_and_says_why() -> None:
    """The API answers "5" where 5 was sent. What needs the object waits; a new word of Git is tried once more."""
    things: list[dict[str, Any]] = []

    async def say(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.method == "POST":
            made = json.loads(asked.body)
            things.append({**made, "number": str(made["number"])})
        await answer(200, json.dumps(things).encode())(asked, writer)

    async def run() -> None:
        async with serving(say) as server:
            transport = HttpTransport(lambda: 0.5, _no_secrets, untraced)
            last: PassResult | None = None

            async def once(host: HostSpec) -> PassResult:
                intent = Intent(write=_write, unseen=unseen(last, host, every_kind()))
                return await run_pass(host, await transport.connect(host.target), every_kind(), intent, Deaf())

            try:
                host = spec(server.url, 5)
                last = await once(host)
                assert (last.verdict, len(things)) == (Verdict.FAILED, 2), "a was made, and b after it"
                for _ in range(5):
                    things[1:] = []  # b goes again, and waits for a
                    last = await once(host)
                    assert (last.verdict, len(things)) == (Verdict.CONFLICT, 1), last.outcomes
                    assert b"cannot be found since" in last.outcomes["http_object:a"].output
                    assert last.outcomes["http_object:b"].status is Status.SKIPPED
                last = await once(spec(server.url, "5"))
                assert last.verdict is Verdict.CHANGED and [one["number"] for one in things] == ["5", "7"]
            finally:
                await transport.aclose()

    asyncio.run(run())


def _write(fence: int) -> Write:
    return Write("lab", fence + 1, "a")


async def _no_secrets(environment: str, sources: object) -> dict[str, Any]:
    return {}
