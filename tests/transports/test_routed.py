"""A host and its APIs as one session: each task goes where its steps belong, in the order that the tasks need."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import Failure, TransportError
from fleet.model.step import Batch, Check, Outcome, Report, Request, Script, Status, Step, Task, Write
from fleet.transports.routed import RoutedSession, over_api, stages
from fleet.transports.scripted import ScriptedSession

ASK = Request("PUT", "/x")
RUN = Script("true")
WRITE = Write("dev", 1, "a1")
pytestmark = pytest.mark.anyio


def task(id_: str, *needs: str, api: bool = False) -> Task:
    return Task(id_, (ASK if api else RUN,), needs)


def ok(one: Task) -> Outcome:
    return Outcome(one.id, Status.OK)


class Down:
    """A session that cannot be had."""

    round_trips = 0

    async def perform(self, batch: Batch, report: Report | None = None) -> Mapping[str, Outcome]:
        raise TransportError(Failure.REFUSED, "nobody listens")

    async def halt(self) -> None: ...

    async def aclose(self) -> None:
        return None


def ids(session: ScriptedSession) -> list[list[str]]:
    return [[one.id for one in batch.tasks] for batch in session.batches]


async def test_each_task_goes_where_its_steps_belong_in_as_few_stages_as_their_needs_allow() -> None:
    host, apis = ScriptedSession(ok), ScriptedSession(ok)
    routed = RoutedSession(host, apis)
    tasks = (task("file"), task("service", "file"), task("balancer", "service", api=True), task("dns", api=True),
             task("after", "balancer"), task("look:0"), task("look:1", api=True))  # fmt: skip
    heard: list[str] = []
    found = await routed.perform(Batch(tasks, WRITE), lambda one: heard.append(one.id))
    assert ids(host) == [["file", "service"], ["after", "look:0"]]
    assert ids(apis) == [["dns"], ["balancer"], ["look:1"]]
    assert set(found) == set(heard) == {one.id for one in tasks} and {one.status for one in found.values()} == {
        Status.OK
    }
    assert routed.round_trips == host.round_trips + apis.round_trips == 5
    assert all(batch.write == WRITE for batch in (*host.batches, *apis.batches))
    await routed.aclose()
    assert host.closed and apis.closed


@pytest.mark.parametrize("status", [Status.FAILED, Status.CONFLICT, Status.UNKNOWN, Status.SKIPPED])
async def test_what_needs_something_that_is_not_right_is_skipped_and_never_sent(status: Status) -> None:
    apis = ScriptedSession(ok)
    routed = RoutedSession(ScriptedSession(lambda one: Outcome(one.id, status)), apis)
    heard: list[Outcome] = []
    tasks = (task("service"), task("balancer", "service", api=True), task("later", "balancer"))
    found = await routed.perform(Batch(tasks, WRITE), heard.append)
    assert (found["balancer"].status, found["later"].status) == (Status.SKIPPED, Status.SKIPPED)
    assert apis.batches == [] and {one.id for one in heard} == {"service", "balancer", "later"}


async def test_when_the_apis_are_down_the_host_is_still_looked_at() -> None:
    host = ScriptedSession(ok)
    heard: list[Outcome] = []
    found = await RoutedSession(host, Down()).perform(Batch((task("look:0"), task("look:1", api=True))), heard.append)
    assert (found["look:0"].status, found["look:1"].status) == (Status.OK, Status.FAILED)
    assert b"nobody listens" in found["look:1"].output and len(heard) == 2


async def test_a_host_that_is_lost_while_looking_is_lost() -> None:
    with pytest.raises(TransportError, match="nobody listens"):
        await RoutedSession(Down(), ScriptedSession(ok)).perform(Batch((task("look:0"), task("look:1", api=True))))


async def test_a_host_that_is_lost_before_writing_still_leaves_the_apis_part_told() -> None:
    apis = ScriptedSession(ok)
    found = await RoutedSession(Down(), apis).perform(Batch((task("file"), task("dns", api=True)), WRITE))
    assert (found["file"].status, found["dns"].status) == (Status.FAILED, Status.OK)


@pytest.mark.parametrize(("steps", "api"), [((RUN,), False), ((ASK,), True), ((Check(ASK, lambda _: ""), ASK), True),
                                            ((), False)])  # fmt: skip
def test_requests_and_their_checks_go_to_an_api(steps: tuple[Step, ...], api: bool) -> None:
    assert over_api(Task("a", steps)) is api


@st.composite
def batches(draw: st.DrawFn) -> list[Task]:
    """Tasks in the order of their needs."""
    made: list[Task] = []
    for number in range(draw(st.integers(0, 8))):
        needs = draw(st.lists(st.sampled_from([one.id for one in made]), unique=True)) if made else []
        made.append(task(f"t{number}", *needs, api=draw(st.booleans())))
    return [*made, *(task(f"look:{n}", api=draw(st.booleans())) for n in range(draw(st.integers(0, 2))))]


@given(batches())
def test_every_task_comes_once_after_what_it_needs_elsewhere_and_looks_come_last(tasks: list[Task]) -> None:
    found = stages(tasks)
    at = {one.id: number for number, stage in enumerate(found) for one in stage}
    assert sorted(one.id for stage in found for one in stage) == sorted(one.id for one in tasks)
    known = {one.id: one for one in tasks}
    for one in tasks:
        for need in one.needs:
            assert at[need] <= at[one.id] and (over_api(known[need]) == over_api(one) or at[need] < at[one.id])
        assert not one.id.startswith("look:") or at[one.id] == len(found) - 1
    assert all(found) or len(found) == 1
    places = {one.id: place for place, one in enumerate(tasks)}
    assert all([places[one.id] for one in stage] == sorted(places[one.id] for one in stage) for stage in found)


def test_tasks_that_need_each_other_end_nowhere_else() -> None:
    assert sum(map(len, stages([task("a", "b", api=True), task("b", "a")]))) == 2
