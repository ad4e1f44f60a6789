"""Laws of the pass, on a simulated host: what is changed, in which order, and what is said about it."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fleet.converge.drive import Intent, run_pass
from fleet.model.change import PassResult, Verdict
from fleet.model.host import HostSpec
from fleet.model.step import Status, Write
from tests.converge.world import KINDS, Deaf, World, host, resource


def write(fence: int) -> Write:
    return Write("dev", fence + 1, f"attempt-{fence + 1}")


def apply(spec: HostSpec, world: World, **intent: Any) -> PassResult:
    return asyncio.run(run_pass(spec, world, KINDS, Intent(write=write, **intent), Deaf()))


def plan_only(spec: HostSpec, world: World) -> PassResult:
    return asyncio.run(run_pass(spec, world, KINDS, Intent(), Deaf()))


@st.composite
def hosts(draw: st.DrawFn) -> tuple[HostSpec, World]:
    """A host of up to eight resources of three kinds with random edges to earlier ones, and what is there already."""
    count = draw(st.integers(1, 8))
    ids = [f"{draw(st.sampled_from(sorted(KINDS)))}:{number}" for number in range(count)]
    needs = {one: tuple(draw(st.sets(st.sampled_from(ids[:n])))) if n else () for n, one in enumerate(ids)}
    resources = [resource(one, draw(st.sampled_from([{"v": 1}, {"v": 2, "w": 3}, {}]))) for one in ids]
    there = draw(st.dictionaries(st.sampled_from(ids), st.sampled_from([{"v": 1}, {"v": 9}])))
    brings = draw(st.dictionaries(st.sampled_from(ids), st.dictionaries(st.sampled_from(ids), st.just({"v": 7}))))
    packages = {
        one: {k: v for k, v in put.items() if k not in ids[: ids.index(one) + 1]} for one, put in brings.items()
    }
    world = World(state=dict(there), brings={k: v for k, v in packages.items() if k.startswith("package")})
    return host(resources, needs), world


@given(hosts())
def test_apply_then_look_again_finds_nothing(case: tuple[HostSpec, World]) -> None:
    """One pass is enough, unless an installed package brings something that nothing orders after it: what it brought is
    put right by the next pass, and that may be a package with something to bring in its turn."""
    spec, world = case
    for _ in range(1 + sum(one.kind == "package" for one in spec.resources)):
        apply(spec, world)
    assert plan_only(spec, world).verdict is Verdict.IN_SYNC


@given(hosts())
def test_a_plan_changes_nothing_and_sends_one_batch(case: tuple[HostSpec, World]) -> None:
    spec, world = case
    before = dict(world.state)
    plan_only(spec, world)
    assert (world.state, world.ran, world.round_trips) == (before, [], 1)


@given(hosts())
def test_nothing_runs_before_what_it_needs(case: tuple[HostSpec, World]) -> None:
    spec, world = case
    result = apply(spec, world)
    place = {name: number for number, name in enumerate(world.ran)}
    for name in world.ran:
        for need in spec.graph.needs[name]:
            assert place.get(need, -1) < place[name], (name, need, result)


@given(hosts(), st.data())
def test_a_failed_step_skips_what_depends_on_it_and_nothing_else(
    case: tuple[HostSpec, World], data: st.DataObject
) -> None:
    spec, world = case
    world.fails = frozenset(data.draw(st.sets(st.sampled_from([r.id for r in spec.resources]), max_size=2)))
    result = apply(spec, world)
    bad = {i for i, o in result.outcomes.items() if o.status is Status.FAILED}
    for name, outcome in result.outcomes.items():
        depends = _reaches(spec, name, bad)
        if outcome.status is Status.SKIPPED:
            assert depends, f"{name} was skipped for no reason"
        if depends and outcome.status is not Status.FAILED:
            assert outcome.status is Status.SKIPPED and name not in world.ran
    assert (result.verdict is Verdict.FAILED) == bool(bad) or result.remaining


def _reaches(spec: HostSpec, name: str, bad: set[str]) -> bool:
    return any(need in bad or _reaches(spec, need, bad) for need in spec.graph.needs[name])


def test_several_files_of_a_service_reload_it_once_after_all_of_them() -> None:
    files = [resource("file:a"), resource("file:b")]
    service = resource("service:nginx", watches={"reload": ("file:a", "file:b")})
    spec = host([*files, service])
    world = World(state={"service:nginx": {"v": 1}})
    result = apply(spec, world)
    assert result.verdict is Verdict.CHANGED
    assert world.triggered == [("service:nginx", "reload")]
    assert world.ran == ["file:a", "file:b", "service:nginx"]
    assert apply(spec, world).verdict is Verdict.IN_SYNC


def test_a_restart_that_was_lost_is_still_due_in_the_next_pass() -> None:
    """The connection is lost between the file and the service: the mark on the host brings the restart back."""
    spec = host([resource("file:a"), resource("service:nginx", watches={"restart": ("file:a",)})])
    world = World(state={"service:nginx": {"v": 1}}, lose_after=1)
    first = apply(spec, world)
    assert first.verdict is Verdict.UNKNOWN and world.triggered == []
    world.lose_after = 10**9
    second = apply(spec, world)
    assert second.verdict is Verdict.CHANGED and world.triggered == [("service:nginx", "restart")]


def test_a_restart_beats_a_reload() -> None:
    service = resource("service:nginx", watches={"reload": ("file:a",), "restart": ("file:b",)})
    world = World(state={"service:nginx": {"v": 1}})
    apply(host([resource("file:a"), resource("file:b"), service]), world)
    assert world.triggered == [("service:nginx", "restart")]


def test_what_a_package_brings_is_replaced_not_a_conflict() -> None:
    spec = host([resource("package:nginx"), resource("file:conf", {"v": 2})], {"file:conf": ("package:nginx",)})
    world = World(brings={"package:nginx": {"file:conf": {"v": 7}}})
    result = apply(spec, world)
    assert result.verdict is Verdict.CHANGED and world.state["file:conf"] == {"v": 2}
    assert result.plan is not None
    assert [(c.resource.id, c.before) for c in result.plan.changes] == [
        ("package:nginx", None),
        ("file:conf", {"v": 7}),
    ]


def test_a_usual_first_apply_is_three_round_trips() -> None:
    """look; packages and all that needs none, look; the rest, look."""
    needs = {"file:conf": ("package:a", "package:b"), "service:s": ("package:a", "file:conf")}
    spec = host([resource(i) for i in ("package:a", "package:b", "file:conf", "file:motd", "service:s")], needs)
    world = World()
    assert apply(spec, world).verdict is Verdict.CHANGED
    assert world.round_trips == 3
    assert [t.id for t in world.batches[1].tasks if not t.id.startswith("look:")] == ["package:a", "file:motd"]


def test_packages_go_in_one_transaction_and_share_its_outcome() -> None:
    spec = host([resource("package:a"), resource("package:b")])
    result = apply(spec, World(fails=frozenset({"package:a"})))
    assert {i: o.status for i, o in result.outcomes.items()} == {
        "package:a": Status.FAILED,
        "package:b": Status.FAILED,
    }


def test_a_lost_connection_is_unreachable_while_looking_and_unknown_while_changing() -> None:
    spec = host([resource("file:a"), resource("file:b")])
    assert apply(spec, World(lose_after=0)).verdict is Verdict.UNREACHABLE
    lost = apply(spec, World(lose_after=1))
    assert lost.verdict is Verdict.UNKNOWN
    assert {i: o.status for i, o in lost.outcomes.items()} == {"file:a": Status.OK, "file:b": Status.UNKNOWN}


def test_drift_that_is_only_reported_is_not_corrected_but_what_git_asks_for_is() -> None:
    watched = resource("file:a", {"v": 2}, drift="report")
    world = World(state={"file:a": {"v": 9}})
    drifted = apply(host([watched]), world, settled={"file:a": watched.digest})
    assert drifted.verdict is Verdict.DRIFTED and world.ran == []
    assert apply(host([watched]), world).verdict is Verdict.CHANGED


def test_a_host_of_another_environment_is_refused() -> None:
    world = World(environment="production")
    result = apply(host([resource("file:a")]), world)
    assert result.verdict is Verdict.CONFLICT and world.ran == []
    assert "belongs to environment 'production'" in str(result.error)


def test_every_token_is_newer_than_the_last() -> None:
    needs = {"file:b": ("package:a",)}
    world = World(fence=41)
    apply(host([resource("package:a"), resource("file:b")], needs), world)
    tokens = [b.write.token for b in world.batches if b.write is not None]
    assert tokens == [42, 43]


def test_intent_is_written_before_anything_is_sent() -> None:
    world, log = World(), list[tuple[int, tuple[str, ...]]]()

    async def intend(plan: Any, attempt: str) -> None:
        log.append((world.round_trips, tuple(c.resource.id for c in plan.changes)))

    apply(host([resource("file:a")]), world, intend=intend)
    assert log == [(1, ("file:a",))] and world.round_trips == 2


def test_a_restart_that_is_due_is_done_where_only_drift_is_reported() -> None:
    """Git changed the watched file; the service itself is as it was, and its drift would only be reported."""
    service = resource("service:nginx", watches={"restart": ("file:a",)}, drift="report")
    world = World(state={"service:nginx": {"v": 1}})
    result = apply(host([resource("file:a"), service]), world, settled={"service:nginx": service.digest})
    assert result.verdict is Verdict.CHANGED and world.triggered == [("service:nginx", "restart")] and not world.due
