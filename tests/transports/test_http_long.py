"""Answers in pages and jobs that go on: all of it or an error, never a shorter list and never a success too early."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from fleet.errors import Failure, TransportError
from fleet.model.api import Answered, Api
from fleet.model.step import Job, Pages, Request
from fleet.transports.gate import Gate
from fleet.transports.http_long import ask, finished
from tests.transports.http_server import Asked, Fast, Say, Server, answer, client_of, serving


def pages(*said: tuple[Any, dict[str, str]], status: int = 200) -> Say:
    """Which page is said depends on the query; the last has the given status."""

    async def say(asked: Asked, writer: asyncio.StreamWriter) -> None:
        number = next((int(word[-1]) for word in asked.path.split("?")[-1:] if word[-1].isdigit()), 1)
        body, headers = said[number - 1]
        last = status if number == len(said) else 200
        await answer(last, json.dumps(body).encode(), **headers)(asked, writer)

    return say


def asked(script: Say, request: Request, found: Answered | None = None) -> tuple[Answered | Failure, Server, Fast]:
    async def run() -> tuple[Answered | Failure, Server, Fast]:
        fast = Fast()
        async with serving(script, now=lambda: fast.time) as server:
            api = Api(server.url, "dev", networks=("127.0.0.0/8",), tries=1)
            client = client_of(api, Gate(fast.clock, lambda: 0.5))
            try:
                work = ask(client, request) if found is None else finished(client, request, found)
                return await work, server, fast
            except TransportError as error:
                return error.failure, server, fast
            finally:
                await client.aclose()

    return asyncio.run(run())


LINK, CURSOR = Pages("link"), Pages("cursor", "page", "$.next")
NUMBER = Pages("number", "page", "$.items[*]", 1)
LINKED = [
    ([1], {"Link": '<http://other.example/list?page=2>; rel="next", </list?page=9>; rel="last"'}),
    ([2], {"Link": '</list?page=3>; rel="prev next"'}),
    ([3], {"Link": '</list?page=1>; rel="first"'}),
]
CURSED: list[tuple[Any, dict[str, str]]] = [({"next": "c2"}, {}), ({"next": "c3"}, {}), ({"next": None}, {})]
NUMBERED: list[tuple[Any, dict[str, str]]] = [({"items": [1]}, {}), ({"items": [2]}, {}), ({"items": []}, {})]


@pytest.mark.parametrize(("how", "said"), [(LINK, LINKED), (CURSOR, CURSED), (NUMBER, NUMBERED)])
def test_every_page_is_asked_for_once_and_of_the_same_server(
    how: Pages, said: list[tuple[Any, dict[str, str]]]
) -> None:
    found, server, _ = asked(pages(*said), Request("GET", "/list", pages=how))
    assert isinstance(found, Answered) and list(found.body) == [body for body, _ in said]
    assert len(server.asked) == 3


@pytest.mark.parametrize(("how", "said"), [(LINK, LINKED), (CURSOR, CURSED), (NUMBER, NUMBERED)])
def test_a_page_that_is_not_to_be_had_is_an_error_and_no_shorter_list(
    how: Pages, said: list[tuple[Any, dict[str, str]]]
) -> None:
    found, _, _ = asked(pages(*said, status=500), Request("GET", "/list", pages=how))
    assert found is Failure.SERVER


def test_pages_that_go_round_end() -> None:
    found, server, _ = asked(
        pages(([1], {"Link": '</list?page=2>; rel="next"'}), ([2], {"Link": '</list?page=2>; rel="next"'})),
        Request("GET", "/list", pages=LINK),
    )
    assert found is Failure.ANSWER and len(server.asked) == 2


def states(*said: Any) -> list[Say]:
    return [answer(200, json.dumps({"state": one}).encode()) for one in said]


def turns(*said: Say) -> Say:
    left = list(said)

    async def say(one: Asked, writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(one, writer)

    return say


BY_FIELD = Job("location", "$.state", ("done",), ("failed",), within=20, every=2)
BEGUN = Answered(202, {"location": "/jobs/7"}, [])


@pytest.mark.parametrize(
    ("job", "begun", "script", "ends", "count"),
    [
        (BY_FIELD, BEGUN, states("new", "busy", "done"), 202, 3),
        (BY_FIELD, BEGUN, states("busy", "failed"), Failure.REJECTED, 2),
        (BY_FIELD, BEGUN, states("busy"), Failure.LOST, 10),
        (BY_FIELD, Answered(200, {"location": "/jobs/7"}, []), states("busy"), 200, 0),
        (Job(within=20), BEGUN, [answer(202), answer(202), answer(200)], 202, 3),
        (Job("$.job", "$.state", ("done",)), Answered(200, {}, [{"job": "/jobs/7"}]), states("busy", "done"), 200, 2),
        (Job("/self", "$.state", ("On",)), Answered(204), states("Off", "On"), 204, 2),
        (Job(within=5), Answered(202, {"location": "http://127.9.9.9/x"}, []), [answer()], Failure.ANSWER, 0),
    ],
)  # fmt: skip
def test_a_job_is_asked_about_until_it_ends(
    job: Job, begun: Answered, script: list[Say], ends: int | Failure, count: int
) -> None:
    found, server, fast = asked(turns(*script), Request("POST", "/x", job=job), begun)
    assert (found.status if isinstance(found, Answered) else found) == ends
    assert len(server.asked) == count and fast.time <= job.within + job.every
