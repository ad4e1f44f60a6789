"""What the loop promises, in virtual time: everybody in their turn, nobody twice at once, and no herd."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from fleet.controller.queue import Priority, Turn
from fleet.errors import Failure, TransportError
from fleet.model.change import Verdict
from fleet.model.step import Batch, Outcome, Report, Status
from tests.controller.virtual import Rig, virtually
from tests.converge.world import World, host, resource


@dataclass
class Slow(World):
    """Each batch takes so long. most: how many were under way at once."""

    seconds: float = 1.0
    now: int = 0
    most: int = 0

    async def perform(self, batch: Batch, report: Report | None = None) -> Mapping[str, Outcome]:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.seconds)
            return await super().perform(batch, report)
        finally:
            self.now -= 1


class Dead(World):
    """Out of reach after the time-out, until `heals`."""

    seconds: float = 10.0
    heals: float = float("inf")
    tried: list[float]

    async def perform(self, batch: Batch, report: Report | None = None) -> Mapping[str, Outcome]:
        now = asyncio.get_running_loop().time()
        if batch.write is None:
            self.tried.append(now)
        if now >= self.heals:
            return await super().perform(batch, report)
        await asyncio.sleep(self.seconds)
        raise TransportError(Failure.TIMEOUT, "no answer")


def dead(seconds: float = 10.0, heals: float = float("inf")) -> Dead:
    one = Dead()
    one.seconds, one.heals, one.tried = seconds, heals, []
    return one


class Crashing(World):
    async def perform(self, batch: Batch, report: Report | None = None) -> Mapping[str, Outcome]:
        raise RuntimeError("a mistake of ours")


class Fought(World):
    """Somebody changes it back right after each pass."""

    async def perform(self, batch: Batch, report: Report | None = None) -> Mapping[str, Outcome]:
        if batch.write is None:
            self.state["file:a"] = {"v": 2}
        return await super().perform(batch, report)


def in_sync() -> World:
    return World(state={"file:a": {"v": 1}})


def test_every_host_is_looked_at_once_a_period_and_never_all_at_once() -> None:
    rig = Rig({f"dev-{n}": in_sync() for n in range(300)})
    virtually(rig.run(600))
    for name in rig.worlds:
        times = [at for at in rig.times(name) if at > 70]
        assert all(abs(b - a - 60) < 0.5 for a, b in pairwise(times)) and len(times) >= 8
    seconds = Counter(int(at) for at, _ in rig.passed if at > 70)
    assert max(seconds.values()) <= 20, "5 a second on average"


def test_a_host_that_becomes_due_while_the_loop_looks_around_is_not_late() -> None:
    """The clock moves between two looks at it: who is due by the second is not made to wait for a whole second."""
    rig = Rig({f"dev-{number}": in_sync() for number in range(50)}, period=10.0, takes=1e-5)
    virtually(rig.run(60))
    for name in rig.worlds:
        gaps = [b - a for a, b in pairwise(rig.times(name))]
        assert len(gaps) >= 4 and max(gaps) < 10.5, (name, gaps)


def test_what_nothing_is_new_of_is_not_written_again() -> None:
    rig = Rig({"dev-1": in_sync()})
    virtually(rig.run(3600))
    assert len(rig.times("dev-1")) >= 58 and list(rig.journal.records) == ["dev-1"]
    assert rig.journal.intents == []


def test_one_pass_a_host_and_what_is_asked_meanwhile_is_remembered() -> None:
    slow = Slow(state={"file:a": {"v": 1}}, seconds=5.0)
    rig = Rig({"dev-1": slow}, period=1000)

    async def ask() -> None:
        await asyncio.sleep(15)
        for _ in range(20):
            rig.loop.ask([("dev", "dev-1")], Priority.ASKED, "again and again")
            await asyncio.sleep(0.1)

    virtually(rig.run(100, ask))
    assert slow.most == 1
    assert len(rig.passed) == 3, "the first look, the one that was asked for, and one for all that asked during it"


def test_hosts_that_never_answer_do_not_slow_another_environment() -> None:
    """1,900 dead hosts of dev beside 100 of prod: the 95th percentile of prod's delay, beside prod alone."""

    def p95(worlds: Mapping[str, object]) -> float:
        rig = Rig(worlds, passes=64)
        virtually(rig.run(200))
        gaps = []
        for name in worlds:
            if name.startswith("prod"):
                times = rig.times(name)
                gaps += [b - a for a, b in pairwise(times)]
        return sorted(gaps)[int(len(gaps) * 0.95)]

    prod = {f"prod-{n}": Slow(state={"file:a": {"v": 1}}, seconds=0.2) for n in range(100)}
    alone = p95(prod)
    both = p95({**prod, **{f"dev-{n}": dead() for n in range(1900)}})
    assert both <= 1.5 * alone


def test_a_herd_that_failed_together_comes_back_spread_and_all_are_healed_in_time() -> None:
    """Second tries are never more than the rule's, and after ten minutes of trouble all are well within 2 x 300 s."""
    worlds = {f"dev-{n}": dead(seconds=0.0, heals=600.0) for n in range(500)}
    rig = Rig(worlds, period=3600.0)
    virtually(rig.run(1300))
    tries = sorted(at for world in worlds.values() for at in world.tried)
    again = sorted(at for world in worlds.values() for at in world.tried[1:])
    rate, burst = rig.loop.rules.retries
    for first, at in enumerate(again):
        last = first + int(burst + rate + 2)
        assert last >= len(again) or again[last] - at >= 1.0, "burst and rate in any second"
    assert len(tries) > 1000
    assert {rig.loop.standings["dev", name].verdict for name in worlds} <= {"changed", "in sync"}
    assert max(at for at, result in rig.passed if result.verdict is Verdict.CHANGED) <= 600 + 2 * 300


def test_a_host_that_makes_fleet_fail_is_parked_and_the_others_go_on() -> None:
    rig = Rig({"dev-1": Crashing(), "dev-2": in_sync()})
    virtually(rig.run(1800))
    assert 5 <= len(rig.times("dev-1")) <= 6 and rig.loop.standings["dev", "dev-1"].parked
    assert len(rig.times("dev-2")) >= 28
    parked = [one for one in rig.events._kept if one.type == "parked"]
    assert [(one.host, one.said["failures"]) for one in parked] == [("dev-1", 5)]
    assert "a mistake of ours" in parked[0].said["error"]


def test_who_asks_for_a_parked_host_gets_another_try() -> None:
    rig = Rig({"dev-1": Crashing()}, period=60)

    async def ask() -> None:
        await asyncio.sleep(1000)
        rig.loop.ask([("dev", "dev-1")], Priority.ASKED, "it is mended")
        await asyncio.sleep(1)
        assert not rig.loop.standings["dev", "dev-1"].parked

    virtually(rig.run(0, ask))
    assert rig.times("dev-1")[-1] >= 1000


def test_what_somebody_changes_back_again_and_again_is_told_and_left_alone_for_a_while() -> None:
    fought = Fought(state={"file:a": {"v": 2}})
    rig = Rig({"dev-1": fought}, period=60)
    virtually(rig.run(1800))
    told = [one.said for one in rig.events._kept if one.type == "fought"]
    assert told and told[0]["resource"] == "file:a"
    corrected = [at for at, result in rig.passed if result.outcomes]
    assert len(corrected) <= 9, "five within ten minutes, then one for each truce that ended"
    last = rig.loop.standings["dev", "dev-1"].last
    assert last is not None and last.causes["file:a"] == "external"
    assert Verdict.DRIFTED in {result.verdict for _, result in rig.passed}


def test_nothing_is_written_while_it_is_not_allowed_and_drift_is_seen() -> None:
    rig = Rig({"dev-1": World()})
    rig.orders = "frozen"
    virtually(rig.run(200))
    assert {result.verdict for _, result in rig.passed} == {Verdict.PENDING} and rig.journal.intents == []


def test_a_halt_ends_what_is_under_way_in_time_and_says_that_nobody_knows() -> None:
    slow = Slow(seconds=60.0)
    rig = Rig({"dev-1": slow})

    async def halt() -> None:
        await rig.journal.intended.wait()
        before = asyncio.get_running_loop().time()
        rig.orders = "frozen"
        await rig.loop.halt(None, 4.0)
        assert asyncio.get_running_loop().time() - before <= 5

    virtually(rig.run(0, halt))
    assert rig.passed[0][1].verdict is Verdict.UNKNOWN
    assert rig.loop.standings["dev", "dev-1"].verdict == "unknown"


def test_a_newer_word_of_git_takes_over_between_two_scripts() -> None:
    """A package, then a file: while the package goes in, Git says something else of the host."""
    spec = host([resource("package:p"), resource("file:a")], {"file:a": ("package:p",)})
    rig = Rig({"dev-1": Slow(seconds=5.0)}, spec=replace(spec, digest="old"), period=1000)

    async def move() -> None:
        await rig.journal.intended.wait()
        newer = replace(rig.places["dev"].hosts["dev-1"], digest="new")
        rig.places["dev"].hosts["dev-1"] = newer
        rig.loop.ask([("dev", "dev-1")], Priority.REVISION, "a new revision")

    virtually(rig.run(100, move))
    first, second = [result for _, result in rig.passed][:2]
    assert [*first.outcomes] == ["package:p"] and first.verdict is Verdict.PENDING
    assert "file:a" in second.outcomes and second.verdict is Verdict.CHANGED


@dataclass
class HardOfHearing(World):
    """Its script ends when it is told to for the third time: before, nothing of it was under way."""

    told: int = 0
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def perform(self, batch: Batch, report: Report | None = None) -> Mapping[str, Outcome]:
        if batch.write is None:
            return await super().perform(batch, report)
        await self.heard.wait()
        looks = tuple(task for task in batch.tasks if task.id.startswith("look:"))
        seen = await super().perform(replace(batch, tasks=looks, write=None), None)
        return {task.id: Outcome(task.id, Status.HALTED) for task in batch.tasks if task not in looks} | dict(seen)

    async def halt(self) -> None:
        self.told += 1
        if self.told >= 3:
            self.heard.set()


def test_who_should_stop_is_told_until_it_has() -> None:
    deaf = HardOfHearing()
    rig = Rig({"dev-1": deaf}, spec=replace(host([resource("file:a")]), digest="old"), period=1000)

    async def move() -> None:
        await rig.journal.intended.wait()
        rig.places["dev"].hosts["dev-1"] = replace(rig.places["dev"].hosts["dev-1"], digest="new")
        rig.loop.overtake()
        rig.loop.overtake()

    virtually(rig.run(20, move))
    assert deaf.told == 3
    assert {one.status for one in rig.passed[0][1].outcomes.values()} == {Status.HALTED}
    assert rig.passed[0][1].verdict is Verdict.PENDING


def test_no_more_connections_stay_open_than_are_meant_and_none_in_use_is_closed() -> None:
    rig = Rig({f"dev-{n}": Slow(state={"file:a": {"v": 1}}, seconds=0.5) for n in range(40)}, period=10, connections=8)
    open_: list[int] = []

    async def watch() -> None:
        for _ in range(600):
            await asyncio.sleep(0.1)
            open_.append(len(rig.loop.parts.sessions._open) - rig.loop.running)

    virtually(rig.run(0, watch))
    assert max(open_) <= 8 + 1 and {one.verdict for _, one in rig.passed} == {Verdict.IN_SYNC}


def test_a_connection_to_what_is_no_host_of_ours_any_more_is_closed() -> None:
    rig = Rig({"dev-1": in_sync(), "dev-2": in_sync()}, period=10)

    async def leave() -> None:
        await asyncio.sleep(30)
        rig.drop("dev-2")
        await rig.loop.tidy()
        assert [target.host for target in rig.loop.parts.sessions._open] == ["dev-1"]

    virtually(rig.run(60, leave))
    assert max(rig.times("dev-2")) <= 30 < max(rig.times("dev-1"))


def test_an_environment_that_leaves_git_between_two_breaths_leaves_no_pass_behind() -> None:
    """Its pass was begun and had not run yet. Before, it counted as under way for ever, and nobody looked at that host
    again when it came back."""
    rig = Rig({"dev-1": World(), "prod-1": World()})

    async def work() -> None:
        rig.loop.begin([("dev", "dev-1")])
        rig.loop.queue.add(Turn(("dev", "dev-1"), 0.0, Priority.ASKED, "now"))
        rig.loop._start(rig.loop.moment())
        assert rig.loop.running == 1
        (task,) = [one.task for one in rig.loop._work.values()]
        assert task is not None
        place = rig.places.pop("dev")
        await asyncio.wait([task])
        assert task.exception() is None
        assert rig.loop.running == 0
        rig.places["dev"] = place
        rig.loop.queue.add(Turn(("dev", "dev-1"), 0.0, Priority.ASKED, "it is back"))
        assert rig.loop.queue.take(0.0, set()) is not None

    virtually(work())
