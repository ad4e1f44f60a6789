"""The notifier beside a controller: real messages to real servers, and nothing that waits for them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from fleet.controller.loop import clock_moment
from fleet.controller.notices.destinations import Destination, of_url
from fleet.controller.notices.notifier import STATUSES, Notifier, Outside
from fleet.controller.notices.statuses import TRIES, CommitStatus
from fleet.controller.notices.teller import Policy
from fleet.controller.notices.values import EVENTS, Message
from fleet.controller.standing import Moment
from fleet.controller.view import Controller, Event
from fleet.errors import Failure, TransportError
from fleet.masking import Masker
from fleet.model.secret import Secret
from fleet.notifying import deliver
from tests.controller.notices.samples import GOOD, Watched, environment, rollout, view
from tests.controller.notices.sinks import sink
from tests.controller.virtual import virtually

pytestmark = pytest.mark.anyio
SOON = Policy(events=frozenset(EVENTS), window=0.0, per_hour=3600, burst=100)


def to(url: str, policy: Policy = SOON) -> Destination:
    return replace(of_url(url), policy=policy)


def outside(path: Path, watched: Watched, **more: Any) -> Outside:
    found = {"send": deliver, "say": None, "mask": lambda text: text, "put": watched.happened.put, **more}
    return Outside(path=path / "told.json", **found)


@asynccontextmanager
async def running(notifier: Notifier, watched: Watched) -> AsyncIterator[None]:
    task = asyncio.create_task(notifier.run(cast(Controller, watched)))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(what: Callable[[], object], seconds: float = 20.0) -> None:
    """What other processes do decides when."""
    async with asyncio.timeout(seconds):
        while True:
            if what():
                return
            await asyncio.sleep(0.01)


def kept(path: Path, word: str) -> Callable[[], bool]:
    file = path / "told.json"
    return lambda: file.exists() and word in file.read_text()


def moment() -> Callable[[], Moment]:
    return clock_moment(random.random)


async def test_a_hundred_failures_are_one_message_then_one_recovery_and_a_restart_repeats_none(tmp_path: Path) -> None:
    watched = Watched()
    names = [f"web-{n:03}" for n in range(100)]
    watched.all("failed", names, error="disk full")
    async with sink() as server:
        there = [to(f"json://{server.place}/hook")]
        notifier = Notifier(there, outside(tmp_path, watched), moment(), period=0.05)
        async with running(notifier, watched):
            (one,) = await server.until(1)
            assert one.json["title"] == "fleet: dev: 100 hosts failed" and "and 95 more" in one.json["message"]
            await until(kept(tmp_path, names[-1]))
            assert [(told.sent, told.failed, told.waiting) for told in notifier.views()] == [(1, 0, 0)]
        watched.all("", names)  # a new controller has not looked yet
        again = Notifier(there, outside(tmp_path, watched), moment(), period=0.05)
        async with running(again, watched):
            await until(again.views)
            watched.all("failed", names, error="disk full")
            await until(lambda: again._lines[0].teller._seen.there)
            watched.all("in sync", names)
            requests = await server.until(2)
        assert len(requests) == 2 and requests[1].json["title"] == "fleet: dev: 100 hosts recovered"


async def test_a_sink_that_hangs_holds_up_neither_another_nor_whoever_looks(tmp_path: Path) -> None:
    watched = Watched()
    watched.all("failed", ["h1"], error="disk full")
    async with sink(None) as hanging, sink() as server:
        there = [to(f"json://{hanging.place}/"), to(f"json://{server.place}/")]
        notifier = Notifier(there, outside(tmp_path, watched), moment(), period=0.05)
        async with running(notifier, watched):
            await hanging.until(1)
            await server.until(1)
            slowest = 0.0
            for number in range(20):
                watched.all("failed", ["h1"], error="abcdefghijklmnopqrst"[number])
                began = time.monotonic()
                notifier.look(cast(Controller, watched))
                slowest = max(slowest, time.monotonic() - began)
            await server.until(2)
            assert len(hanging.requests) == 1 and slowest < 1.0


async def test_secrets_and_escapes_of_hosts_arrive_nowhere(tmp_path: Path) -> None:
    watched, masker = Watched(), Masker()
    masker.add([Secret("db", b"hunter22hunter22")])
    long = "x" * 295 + "hunter22hunter22"  # cut in two, it would not be found
    watched.all("failed", ["h1", "\x1b[2J"], error=f"psql hunter22hunter22 \x1b[31m <!channel> {long}")
    async with sink() as server:
        notifier = Notifier(
            [to(f"json://{server.place}/")], outside(tmp_path, watched, mask=masker.text), moment(), period=0.05
        )
        async with running(notifier, watched):
            (one,) = await server.until(1)
            await until(kept(tmp_path, "h1"))
    text = one.json["message"] + (tmp_path / "told.json").read_text()
    assert "(secret db)" in text and "hunter" not in text and "\x1b" not in text and "<" not in text


async def test_an_error_says_nothing_of_the_url_and_its_words_are_no_secrets_elsewhere(tmp_path: Path) -> None:
    watched = Watched()
    watched.all("failed", ["production"], error="disk full")
    async with sink(lambda _: (404, b"")) as server:
        there = [to(f"json://me:production@{server.place}/production/T0kenT0ken")]
        notifier = Notifier(there, outside(tmp_path, watched), moment(), period=0.05)
        async with running(notifier, watched):
            await until(lambda: notifier.views() and notifier.views()[0].error)
            error = notifier.views()[0].error
            (one, *_) = server.requests
    assert "404" in error and "T0ken" not in error and "production failed" in one.json["title"]


async def test_a_finished_rollout_is_told_where_that_is_wanted(tmp_path: Path) -> None:
    watched = Watched()
    async with sink() as server:
        notifier = Notifier([to(f"json://{server.place}/")], outside(tmp_path, watched), moment(), period=0.05)
        async with running(notifier, watched):
            watched.happened.put("rollout", "dev", state="done", commit=GOOD)
            (one,) = await server.until(1)
    assert one.json["title"] == "fleet: dev: rollout finished" and GOOD[:12] in one.json["message"]


async def test_nothing_is_told_before_the_controller_knows_anything(tmp_path: Path) -> None:
    watched = Watched(said=view(git="no route", trouble="git", ready=False))
    sent: list[Message] = []

    async def send(to: Destination, message: Message) -> None:
        sent.append(message)

    notifier = Notifier([to("json://127.0.0.1/")], outside(tmp_path, watched, send=send), moment(), period=0.01)
    async with running(notifier, watched):
        await until(lambda: notifier._lines)
        await asyncio.sleep(0)
        assert not sent
        watched.said = view(environment(rollout=rollout("stopped", "h1 failed")))
        await until(lambda: sent)
        assert "the rollout of" in sent[0].body and "h1 failed" in sent[0].body
        watched.said = replace(watched.said, ready=False, record="the disk is full")  # it is ready no more
        await until(lambda: sent[1:])
    assert sent[1].title == "fleet: nothing is changed while the record cannot be written"


def hours(notifier: Callable[[Callable[[], Moment]], Notifier], watched: Watched, seconds: float) -> Notifier:
    """So long of virtual time."""

    async def live() -> Notifier:
        loop = asyncio.get_running_loop()
        made = notifier(lambda: Moment(loop.time(), 1e9 + loop.time(), 0.5))
        async with running(made, watched):
            await asyncio.sleep(seconds)
        return made

    async def soon(work: Callable[..., Any], *arguments: Any) -> Any:
        return work(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "to_thread", soon)  # a virtual clock waits for no thread
        return virtually(live())


def said(watched: Watched) -> list[Event]:
    return [one for one in watched.happened._kept if one.type == "notify"]


def test_who_cannot_be_told_is_told_aloud_once_and_tried_for_ever_and_hears_of_it_in_the_end(tmp_path: Path) -> None:
    watched, tries, works = Watched(), [], []
    watched.all("failed", ["h1"])

    async def send(to: Destination, message: Message) -> None:
        tries.append(message)
        if len(tries) < 12:
            raise TransportError(Failure.LOST, "hooks.example.org hangs")
        works.append(message)

    there = [to("json://127.0.0.1/", Policy())]
    made = hours(lambda at: Notifier(there, outside(tmp_path, watched, send=send), at), watched, 4 * 3600)
    assert len(works) == 1 and len(tries) == 12
    assert [one.said["state"] for one in said(watched)] == ["failing", "works again"]
    assert "hangs" in said(watched)[0].said["error"]
    (told,) = made.views()
    assert (told.sent, told.failed, told.waiting, told.error) == (1, 11, 0, "")


def test_commit_statuses_are_sent_once_each_and_left_after_so_many_tries(tmp_path: Path) -> None:
    watched, tries = Watched(said=view(environment(verdicts={"in sync": 2}))), []

    async def say(one: CommitStatus) -> None:
        tries.append(one.state)
        if one.state == "failure":
            raise TransportError(Failure.SERVER, "status 502")

    def made(at: Callable[[], Moment]) -> Notifier:
        return Notifier([], outside(tmp_path, watched, say=say), at)

    hours(made, watched, 600)
    hours(made, watched, 600)
    assert tries == ["success"]
    watched.said = view(environment(rollout=rollout("stopped", "h1 failed")))
    (told,) = hours(made, watched, 6 * 3600).views()
    assert tries == ["success", *["failure"] * TRIES]
    assert (told.name, told.failed) == (STATUSES, 1) and "502" in told.error
    assert [one.said["state"] for one in said(watched)] == ["given up"]


def test_a_mistake_of_ours_is_told_once_and_ends_nothing(tmp_path: Path) -> None:
    sent = []

    class Broken(Watched):
        def hosts(self) -> Any:
            if len(said(self)) == 0:
                raise ValueError("surprise")
            return super().hosts()

    broken = Broken()
    broken.all("failed", ["h1"])

    async def send(to: Destination, message: Message) -> None:
        sent.append(message)

    there = [to("json://127.0.0.1/")]
    hours(lambda at: Notifier(there, outside(tmp_path, broken, send=send), at), broken, 60)
    assert len(said(broken)) == 1 and "surprise" in said(broken)[0].said["error"] and sent
