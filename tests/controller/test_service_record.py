"""What a controller says is done is on disk, and what is ordered to stop stops, whatever the disk says."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.controller.loop import _Work
from fleet.controller.one import Asked
from fleet.controller.service import Service
from fleet.errors import HistoryError
from fleet.model.change import Verdict
from tests.controller.served import Served

pytestmark = pytest.mark.anyio
ANN = "ann@desk"


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return Served(tmp_path)


def writing(service: Service, host: str = "h1") -> _Work:
    """A pass that writes on a host, and goes on until it is told to stop."""
    spec = service.environments.places["dev"].spec.hosts[host]
    work = service.loop._work["dev", host] = _Work(Asked(spec, 0, True))

    async def scripts() -> None:
        while not work.halted:  # noqa: ASYNC110 - as a script does, between two steps
            await asyncio.sleep(0)

    work.task = asyncio.create_task(scripts())
    return work


async def test_a_freeze_stops_what_is_under_way_though_the_disk_refuses_to_note_it(served: Served) -> None:
    served.commit("a")
    async with served.life() as service:
        await service.following.once()
        work = writing(service)
        with (
            served.refusing("orders"),
            pytest.raises(HistoryError, match=r"frozen by ann@desk: fire, but not over a restart .* full"),
        ):
            await service.order("", ANN, "fire")
        assert work.halted
        assert work.task is not None and work.task.done()
        assert service.orders.held[""].reason == "fire"


async def test_a_freeze_that_could_not_be_noted_is_noted_when_it_is_said_again(served: Served) -> None:
    """Before, the second word found it held, and called it done: the next life was not frozen."""
    served.commit("a")
    async with served.life() as service:
        await service.following.once()
        with served.refusing("orders"), pytest.raises(HistoryError):
            await service.order("", ANN, "fire")
        assert (await service.order("", "rob", "again")).reason == "fire"
    async with served.life() as again:
        assert again.orders.held[""].who == ANN
        assert [one.action for one in await again.history.control.audited()] == ["order"]


async def test_of_two_who_freeze_at_once_neither_is_told_so_before_it_is_on_disk(served: Served) -> None:
    async with served.life() as service:
        with served.refusing("orders"):
            said = await asyncio.gather(
                service.order("", ANN, "a"), service.order("", "rob", "b"), return_exceptions=True
            )
        assert [type(one) for one in said] == [HistoryError, HistoryError]


async def test_a_freeze_while_another_is_lifted_is_not_lost(served: Served) -> None:
    async with served.life() as service:
        await service.order("", ANN, "a")
        lifted, order = await asyncio.gather(service.lift("", "rob"), service.order("", ANN, "b"))
        assert lifted
        assert order.scope in service.orders.held
    async with served.life() as again:
        assert "" in again.orders.held


async def started(service: Service) -> None:
    """The first wave, one host, is under way."""
    await service.following.once()
    rollout = service.environments.places["dev"].rollout
    assert rollout is not None and rollout.under_way() == ("h1",)


def fails(service: Service, host: str) -> None:
    place = service.environments.places["dev"]
    assert place.rollout is not None
    place.rollout.finished(host, Verdict.FAILED, service.loop.moment().now)


async def test_a_rollout_that_stopped_during_a_freeze_is_stopped_in_the_next_life(served: Served) -> None:
    """Before, nothing of it was noted while nothing may be changed: the next life began the wave anew."""
    served.commit("a")
    async with served.life() as service:
        await started(service)
        await service.order("", ANN, "")
        fails(service, "h1")
        await service._roll()
    async with served.life() as again:
        rollout = again.environments.places["dev"].rollout
        assert rollout is not None and rollout.state == "stopped"


async def test_how_far_a_rollout_came_is_noted_once_the_disk_takes_it_again(served: Served) -> None:
    served.commit("a")
    async with served.life() as service:
        await started(service)
        fails(service, "h1")
        with served.refusing("taken"), pytest.raises(HistoryError):
            await service._roll()
        await service._roll()
    async with served.life() as again:
        rollout = again.environments.places["dev"].rollout
        assert rollout is not None and rollout.state == "stopped"


async def test_that_a_rollout_goes_on_is_in_the_audit_and_on_disk_when_it_is_said(served: Served) -> None:
    served.commit("a")
    async with served.life() as service:
        await started(service)
        fails(service, "h1")
        await service._roll()
        assert await service.go_on("dev", ANN)
        assert not await service.go_on("dev", ANN)
    async with served.life() as again:
        rollout = again.environments.places["dev"].rollout
        assert rollout is not None and rollout.state != "stopped"
        (last,) = await again.history.control.audited()
        assert (last.who, last.action, last.said["environment"]) == (ANN, "rollout goes on", "dev")


async def test_an_approval_during_a_freeze_holds_over_a_restart(served: Served) -> None:
    commit = served.commit("a", more="rollout: {approval: true}")
    async with served.life() as service:
        await service.following.once()
        await service.order("", ANN, "")
        assert await service.approve("dev", commit, ANN)
    async with served.life() as again:
        rollout = again.environments.places["dev"].rollout
        assert rollout is not None and rollout.state != "waiting"


@pytest.mark.parametrize("change", ["comes", "goes"])
async def test_environments_that_come_and_go_while_waves_begin_do_not_end_the_service(
    served: Served, change: str
) -> None:
    served.commit("a", ["dev", "prod"])
    async with served.life() as service:
        await service.following.once()
        places = service.environments.places
        for name in ("dev", "prod"):
            rollout = places[name].rollout
            assert rollout is not None
            rollout.finished("h1", Verdict.CHANGED, 0.0)
        async with service.history._writer._lock:  # a slow disk
            rolling = asyncio.create_task(service._roll())
            for _ in range(200):  # until it waits for the disk
                await asyncio.sleep(0)
            if change == "comes":
                places["zzz"] = replace(places["dev"], taken=replace(places["dev"].taken, environment="zzz"))
            else:
                places.pop("prod")
        await rolling
        await service._roll()


async def test_a_rollout_that_waits_for_time_costs_no_write(served: Served) -> None:
    served.commit("a")
    async with served.life() as service:
        await started(service)
        rollout = service.environments.places["dev"].rollout
        assert rollout is not None
        rollout.finished("h1", Verdict.CHANGED, service.loop.moment().now)
        await service._roll()
        before = service.history.commits
        for _ in range(5):
            await service._roll()
        assert service.history.commits == before


@pytest.mark.parametrize(
    "said", ["garbage", "[]", '{"old": {}}', '{"old": {"h1": 1}, "rollout": {"hosts": 3}}', "1e999"]
)
async def test_a_rollout_that_cannot_be_read_is_begun_anew(served: Served, said: str) -> None:
    """Before, the controller did not start any more."""
    served.commit("a")
    async with served.life() as service:
        await started(service)
    with sqlite3.connect(served.record) as other:
        other.execute("UPDATE taken SET rollout = ?", (said,))
    other.close()
    async with served.life() as again:
        assert "dev" not in again.environments.places
        await started(again)


async def test_a_record_of_a_commit_that_is_there_no_more_is_no_reason_not_to_start(served: Served) -> None:
    served.commit("a")
    async with served.life() as service:
        await started(service)
    with sqlite3.connect(served.record) as other:
        other.execute("UPDATE taken SET revision = ?", ("0" * 40,))
    other.close()
    async with served.life() as again:
        assert "dev" not in again.environments.places
        await started(again)
