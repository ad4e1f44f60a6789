"""The Session contract over an API: one request for what is asked twice, order by needs, and honest outcomes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import pytest

from fleet.converge.drive import Intent, run_pass
from fleet.desired.compile import Compiler
from fleet.desired.load import load
from fleet.desired.profiles import every_kind
from fleet.desired.source import memory_tree
from fleet.errors import Failure, TransportError
from fleet.model.api import Answered, Api
from fleet.model.change import Verdict
from fleet.model.host import HostSpec
from fleet.model.step import Batch, Check, Outcome, Request, Script, Status, Task, Write
from fleet.transports.http import HttpSession
from tests.converge.world import Deaf
from tests.transports.http_server import Asked, Say, Server, answer, by_path, client_of, reset, serving, silence

GET, PUT = Request("GET", "/list"), Request("PUT", "/a", b"{}")
POST = Request("POST", "/b", b"{}")
WRITE = Write("dev", 1, "attempt")
Done = tuple[Mapping[str, Outcome], Server]


def perform(*tasks: Task, script: Say, write: bool = True, deadline: float = 5.0) -> Done:
    heard: dict[str, Outcome] = {}

    async def run() -> Done:
        async with serving(script) as server:
            client = client_of(Api(server.url, "dev", networks=("127.0.0.0/8",)))
            try:
                batch = Batch(tasks, WRITE if write else None, deadline)
                found = await HttpSession({"": client}).perform(batch, lambda one: heard.update({one.id: one}))
            finally:
                await client.aclose()
            assert heard.items() <= dict(found).items()
            return found, server

    return asyncio.run(run())


def test_a_list_for_a_hundred_objects_is_asked_for_once() -> None:
    tasks = [Task(f"look:{n}", (GET,)) for n in range(100)]
    found, server = perform(*tasks, Task("look:state", (Script("true"),)), script=answer(200, b"[1, 2]"), write=False)
    assert len(server.asked) == 1
    assert [found[f"look:{n}"].answers[0].body for n in range(100)] == [[[1, 2]]] * 100
    assert found["look:state"].status is Status.OK and found["look:state"].answers == ()


def test_one_answer_that_cannot_be_read_harms_its_own_objects_only() -> None:
    found, _ = perform(Task("look:0", (GET,)), Task("look:1", (Request("GET", "/html"),)), write=False,
                       script=by_path(list=answer(), html=answer(200, b"<p>", Content_Type="text/html")))  # fmt: skip
    assert found["look:0"].status is Status.OK
    assert found["look:0"].answers[0].error == "" and "not JSON" in found["look:1"].answers[0].error


@pytest.mark.parametrize(("script", "failure"), [(reset, Failure.LOST), (answer(401), Failure.AUTH)])
def test_an_api_that_is_not_there_is_unreachable_and_nothing_is_absent(script: Say, failure: Failure) -> None:
    with pytest.raises(TransportError) as caught:
        perform(Task("look:0", (GET,)), script=script, write=False)
    assert caught.value.failure is failure


def test_what_is_needed_goes_first_and_what_failed_holds_up_only_what_needs_it() -> None:
    tasks = [Task("c", (Request("PUT", "/c/1", b"{}"),), ("b",)), Task("b", (Request("PUT", "/b/1", b"{}"),), ("a",)),
             Task("a", (Request("PUT", "/a/1", b"{}"),)), Task("x", (Request("PUT", "/x/1", b"{}"),)),
             Task("y", (Request("PUT", "/y/1", b"{}"),), ("x",))]  # fmt: skip
    found, server = perform(*tasks, script=by_path(a=answer(), b=answer(), c=answer(), y=answer(), x=answer(400)))
    paths = [one.path for one in server.asked]
    assert paths.index("/a/1") < paths.index("/b/1") < paths.index("/c/1") and "/y/1" not in paths
    statuses = {name: one.status for name, one in found.items()}
    assert statuses == {"a": Status.OK, "b": Status.OK, "c": Status.OK, "x": Status.FAILED, "y": Status.SKIPPED}


@pytest.mark.parametrize(
    ("script", "request_", "status"),
    [(answer(201), POST, Status.OK), (answer(204, b""), PUT, Status.OK), (answer(412), PUT, Status.CONFLICT),
     (answer(409), POST, Status.FAILED), (answer(403), PUT, Status.FAILED), (reset, POST, Status.UNKNOWN),
     (answer(500), POST, Status.UNKNOWN), (reset, PUT, Status.UNKNOWN)],
)  # fmt: skip
def test_what_became_of_a_write_is_told_as_far_as_it_is_known(script: Say, request_: Request, status: Status) -> None:
    found, _ = perform(Task("a", (request_,)), script=script)
    assert found["a"].status is status


def test_what_was_under_way_when_the_time_was_up_is_unknown() -> None:
    tasks = [Task("a", (POST,)), Task("b", (PUT,), ("a",))]
    found, _ = perform(*tasks, script=silence, deadline=0.2)
    assert found["a"].status is Status.UNKNOWN and found["b"].status in (Status.UNKNOWN, Status.SKIPPED)


def test_the_first_step_that_fails_ends_its_task() -> None:
    found, server = perform(Task("a", (Request("PUT", "/no", b"{}"), PUT)), script=by_path(no=answer(400), a=answer()))
    assert (found["a"].status, found["a"].step, len(server.asked)) == (Status.FAILED, 0, 1)


def test_headers_that_matter_are_kept() -> None:
    found, _ = perform(Task("look:0", (GET,)), script=answer(200, b"{}", ETag='"v1"', Server="x"), write=False)
    assert found["look:0"].answers[0].headers == {"etag": '"v1"'}


def same(expected: object) -> Check:
    def agrees(found: Answered) -> str:
        return "" if list(found.body) == [expected] else "it is another one now"

    return Check(GET, agrees, done=lambda found: list(found.body) == [[1]])


def test_what_is_no_longer_as_it_was_seen_is_not_written() -> None:
    found, server = perform(Task("a", (same([1]), PUT)), script=by_path(list=answer(200, b"[2]"), a=answer()))
    assert found["a"].status is Status.CONFLICT and found["a"].output == b"it is another one now"
    assert [one.method for one in server.asked] == ["GET"]


def test_what_many_compare_with_is_asked_for_once() -> None:
    tasks = [Task(f"t{n}", (same([1]), Request("PUT", f"/a/{n}", b"{}"))) for n in range(20)]
    found, server = perform(*tasks, script=by_path(list=answer(200, b"[1]"), a=answer()))
    assert {one.status for one in found.values()} == {Status.OK}
    assert sorted(one.method for one in server.asked) == ["GET"] + ["PUT"] * 20


@pytest.mark.parametrize(("done", "status"), [(True, Status.OK), (False, Status.UNKNOWN)])
def test_a_post_whose_answer_was_lost_is_looked_after_and_never_sent_twice(done: bool, status: Status) -> None:
    made: list[int] = []

    async def api(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.method == "GET":
            await answer(200, str(made).encode())(asked, writer)
            return
        made.extend([1] if done else [])
        await reset(asked, writer)

    found, server = perform(Task("a", (same([]), POST)), script=api)
    assert found["a"].status is status and len(made) <= 1
    assert [one.method for one in server.asked] == ["GET", "POST", "GET"]


def test_what_is_waited_for_is_failed_when_it_does_not_come_and_no_conflict() -> None:
    waits = Check(GET, lambda found: "" if list(found.body) == [[3]] else "not yet", within=3)
    tries = iter([b"[1]", b"[2]", b"[3]"])

    async def api(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await answer(200, next(tries, b"[9]"))(asked, writer)

    assert perform(Task("a", (waits,)), script=api)[0]["a"].status is Status.OK
    found, _ = perform(Task("a", (waits,)), script=answer(200, b"[1]"))
    assert (found["a"].status, found["a"].output) == (Status.FAILED, b"not yet")


def test_the_look_at_the_end_sees_what_was_written() -> None:
    stored = [b"[1]"]

    async def api(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.method == "PUT":
            stored.append(b"[2]")
        await answer(200, stored[-1])(asked, writer)

    found, _ = perform(Task("a", (same([1]), PUT)), Task("look:0", (GET,)), script=api)
    assert found["look:0"].answers[0].body == [[2]]


@pytest.mark.parametrize("takes", [True, False])
def test_what_waits_for_a_reboot_is_neither_drift_nor_success(takes: bool) -> None:
    """A BIOS: told, waiting, and in sync once the machine was restarted; then another value drifts as any other."""
    now, later = {"Boot": "Legacy", "Fan": "Low"}, {"Boot": "Legacy", "Fan": "Low"}

    async def bmc(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.method == "PATCH" and takes:
            later.update(json.loads(asked.body)["Attributes"])
        said = later if asked.path.endswith("/Settings") else now
        await answer(200, json.dumps({"Attributes": said}).encode())(asked, writer)

    verdicts: list[Verdict] = []

    async def run() -> None:
        async with serving(bmc) as server:
            client = client_of(Api(server.url, "dev", networks=("127.0.0.0/8",)))
            spec = bios()
            kinds = every_kind()
            for write in (None, write_for, None, write_for, None):
                if write is None and len(verdicts) == 4:
                    now.update(later)
                found = await run_pass(spec, HttpSession({"": client}), kinds, Intent(write=write), Deaf())
                verdicts.append(found.verdict)
                if found.verdict is Verdict.WAITING:
                    assert found.plan is not None and "Boot" in found.plan.waiting["redfish_bios:1"]
            await client.aclose()

    asyncio.run(run())
    pending, waiting = Verdict.PENDING, Verdict.WAITING
    told = [pending, waiting, waiting, waiting, Verdict.IN_SYNC]
    assert verdicts == (told if takes else [pending, Verdict.FAILED, pending, Verdict.FAILED, pending])


def bios() -> HostSpec:
    files = {
        "base/environment.yaml": "roles: {all: {}}\n",
        "base/roles/all.yaml": "resources: {redfish_bios: {'1': {settings: {Boot: Uefi}}}}\n",
        "dev/hosts.yaml": "hosts: {bmc: {connection: {type: http, url: 'http://127.0.0.1:1'}}}\n",
    }
    tree = memory_tree({path: text.encode() for path, text in files.items()})
    (host,) = Compiler(every_kind()).compile(load(tree, every_kind())).hosts
    return host


def write_for(fence: int) -> Write:
    return Write("dev", fence + 1, f"attempt-{fence}")
