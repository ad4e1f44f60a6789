"""What an API answered before means the same when it answers it again, and anything else is read anew."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from fleet.converge.drive import Intent, run_pass
from fleet.converge.memory import Memory
from fleet.desired.compile import Compiler
from fleet.desired.load import load
from fleet.desired.profiles import every_kind
from fleet.desired.source import memory_tree
from fleet.model.change import Verdict
from fleet.model.host import HostSpec
from fleet.transports.http_client import untraced
from fleet.transports.http_transport import HttpTransport
from tests.converge.world import Deaf
from tests.transports.http_server import Asked, answer, serving


def spec(url: str, size: int = 1) -> HostSpec:
    said = {"read": {"path": "/things", "items": "$", "match": {"name": "a"}}, "body": {"name": "a", "size": size}}
    files: dict[str, Any] = {
        "base/environment.yaml": {"roles": {"all": {}}},
        "base/roles/all.yaml": {"resources": {"http_object": {"a": said}}},
        "lab/hosts.yaml": {"hosts": {"api": {"connection": {"type": "http", "url": url, "networks": ["127.0.0.0/8"]}}}},
    }
    tree = memory_tree({path: json.dumps(text).encode() for path, text in files.items()})
    found = Compiler(every_kind()).compile(load(tree, every_kind()))
    assert not found.problems, found.problems
    (host,) = found.hosts
    return host


RIGHT = [{"name": "a", "size": 1}]
# What the API says in each pass, what Git says, and how the pass ends.
STORIES: dict[str, list[tuple[Any, int, Verdict]]] = {
    "edited and mended by hand": [
        (RIGHT, 1, Verdict.IN_SYNC), (RIGHT, 1, Verdict.IN_SYNC), (RIGHT, 1, Verdict.IN_SYNC),
        ([{"name": "a", "size": 2}], 1, Verdict.PENDING), ([{"name": "a", "size": 2}], 1, Verdict.PENDING),
        (RIGHT, 1, Verdict.IN_SYNC)],
    "gone": [(RIGHT, 1, Verdict.IN_SYNC), (RIGHT, 1, Verdict.IN_SYNC), ([], 1, Verdict.PENDING)],
    "nonsense": [(RIGHT, 1, Verdict.IN_SYNC), (RIGHT, 1, Verdict.IN_SYNC), ({"e": 1}, 1, Verdict.FAILED),
                 ({"e": 1}, 1, Verdict.FAILED), (RIGHT, 1, Verdict.IN_SYNC)],
    "another word of Git": [(RIGHT, 1, Verdict.IN_SYNC), (RIGHT, 1, Verdict.IN_SYNC), (RIGHT, 2, Verdict.PENDING),
                            (RIGHT, 1, Verdict.IN_SYNC)],
    "more is there, which is not ours": [(RIGHT, 1, Verdict.IN_SYNC), (RIGHT, 1, Verdict.IN_SYNC),
                                         ([*RIGHT, {"name": "b"}], 1, Verdict.IN_SYNC)],
}  # fmt: skip


@pytest.mark.parametrize("story", STORIES)
def test_each_pass_ends_as_one_without_a_memory_would(story: str) -> None:
    async def play() -> None:
        said: Any = None

        async def say(asked: Asked, writer: asyncio.StreamWriter) -> None:
            await answer(200, json.dumps(said).encode())(asked, writer)

        async with serving(say) as server:
            transport, memory = HttpTransport(lambda: 0.5, _no_secrets, untraced), Memory()
            try:
                for number, (body, size, verdict) in enumerate(STORIES[story]):
                    said, host, before = body, spec(server.url, size), len(server.asked)
                    session = await transport.connect(host.target)
                    found = await run_pass(host, session, every_kind(), Intent(memory=memory), Deaf())
                    fresh = await run_pass(host, session, every_kind(), Intent(), Deaf())
                    assert (found.verdict, fresh.verdict) == (verdict, verdict), (number, found.error)
                    assert len(server.asked) - before == 2, "one request a pass"
            finally:
                await transport.aclose()

    asyncio.run(play())


async def _no_secrets(environment: str, sources: object) -> dict[str, Any]:
    return {}
