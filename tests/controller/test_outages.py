"""A network that is down is tried a little, and never hides anything else. In virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.controller.events import Events
from fleet.controller.outages import LEAST, REST, SPREAD, Outages
from fleet.controller.queue import Priority, Turn
from fleet.controller.standing import Moment
from fleet.controller.view import Event
from fleet.controller.watched import NAMED, Watched
from fleet.model.change import Verdict
from tests.controller.test_loop import Dead, dead, in_sync
from tests.controller.virtual import Rig, virtually

CONNECT = 10.0  # seconds that a try of a dead host takes


def tries(worlds: Sequence[Dead], since: float, until: float = float("inf")) -> list[float]:
    return sorted(at for one in worlds for at in one.tried if since <= at < until)


def fallen(count: int, heals: float = float("inf")) -> dict[str, Dead]:
    """Right as soon as they can be reached."""
    found = {f"dev-{n}": dead(CONNECT, heals) for n in range(count)}
    for one in found.values():
        one.state["file:a"] = {"v": 1}
    return found


def test_a_network_that_is_down_is_tried_by_single_handshakes() -> None:
    worlds = fallen(200)
    virtually(Rig(worlds, passes=64).run(1800))
    settled = 200 * CONNECT / 64 + 30  # each of them is looked at once: they may not all be down
    found = tries(list(worlds.values()), settled)
    # One in half the rest at least, on average; and never two at a time.
    assert len(found) <= (1800 - settled) / (REST.cap / 2)
    assert min(b - a for a, b in pairwise(found)) >= CONNECT
    tried = {name for name, one in worlds.items() if one.tried[-1] > settled}
    assert len(found) >= 10 and len(tried) > len(found) / 2, "not always the same few"


def test_it_goes_on_being_told_that_they_are_unreachable_and_since_when() -> None:
    worlds = fallen(50)
    rig = Rig(worlds)
    virtually(rig.run(900))
    stands = [rig.loop.standings["dev", name] for name in worlds]
    assert {one.verdict for one in stands} == {"unreachable"} and max(one.since for one in stands) < 120
    assert rig.loop.outages.states(900.0).keys() == {"environment dev"}
    assert all(rig.loop.queue.turn(("dev", name)) or rig.loop.queue.busy(("dev", name)) for name in worlds)


@pytest.mark.parametrize("outage", [120.0, 900.0, 3000.0])
def test_when_it_is_back_all_are_looked_at_within_a_minute_and_not_at_once(outage: float) -> None:
    worlds = fallen(100, heals=outage)
    rig = Rig(worlds, period=3600.0)
    virtually(rig.run(outage + 90))
    first = {name: min(at for at in one.tried if at >= outage) for name, one in worlds.items()}
    # The longest rest and its spreading, a try that is still waiting for its answer, and everybody's turn.
    assert max(first.values()) <= outage + REST.cap * 1.5 + CONNECT + SPREAD + 5
    assert {stand.verdict for stand in rig.loop.standings.values()} == {"in sync"}
    assert rig.loop.outages.states(outage + 90) == {}
    rate, burst = rig.loop.rules.retries
    seconds = [int(at) for at in first.values()]
    assert max(map(seconds.count, seconds)) <= rate + burst


def test_other_environments_and_hosts_that_can_be_reached_do_not_notice() -> None:
    """Each host in sync is looked at every minute, in the environment that is mostly down as well."""
    alive = {f"{env}-{n}": in_sync() for env in ("dev", "prod") for n in range(1000, 1020)}
    rig = Rig({**fallen(200), **alive}, passes=32)
    virtually(rig.run(900))
    for name in alive:
        times = [at for at in rig.times(name) if at > 240]
        assert max(b - a for a, b in pairwise(times)) < 61, name
    assert rig.loop.outages.states(900.0).keys() == {"environment dev"}


def test_the_minority_that_is_down_has_its_own_back_off_and_nothing_more() -> None:
    worlds = fallen(19)
    rig = Rig({**worlds, **{f"dev-{n}": in_sync() for n in range(100, 121)}}, period=10.0)
    virtually(rig.run(1200))
    assert not rig.loop.outages.states(1200.0)
    assert all(b - a <= 320 for one in worlds.values() for a, b in pairwise(one.tried))


def test_who_asks_for_a_host_is_not_made_to_wait() -> None:
    worlds = fallen(20)
    rig = Rig(worlds)

    async def ask() -> None:
        await asyncio.sleep(600)
        before = len(worlds["dev-7"].tried)
        rig.loop.ask([("dev", "dev-7")], Priority.ASKED, "asked by ann")
        await asyncio.sleep(1)
        assert len(worlds["dev-7"].tried) == before + 1

    virtually(rig.run(0, ask))


def test_a_trial_of_which_nobody_knows_how_it_ended_does_not_keep_all_others_out() -> None:
    """Its intent could not be recorded, say, or its host left Git meanwhile."""
    outages = Outages()
    for n in range(10):
        outages.ended(("dev", f"h{n}"), Verdict.UNREACHABLE, Moment(0.0, 0.0, 0.5))
    later = Moment(100.0, 0.0, 0.0)
    first = Turn(("dev", "h1"), 0.0, Priority.RETRY)
    assert outages.wait(first, later) == 0
    outages.begin(first, later.now)
    assert outages.wait(Turn(("dev", "h2"), 0.0), later) > 0, "one at a time"
    outages.ended(first.key, None, later)
    assert outages.wait(Turn(("dev", "h2"), 0.0), Moment(100.0 + REST.cap, 0.0, 0.0)) == 0


VERDICTS = st.sampled_from([*Verdict, None])


STORY = st.lists(st.tuples(st.integers(0, 9), VERDICTS, st.floats(0, 20), st.booleans()), max_size=80)


@given(STORY)
def test_whatever_happens_nobody_waits_for_ever_and_those_that_answer_never_wait(
    story: list[tuple[int, Verdict | None, float, bool]],
) -> None:
    outages, now, last = Outages(), 0.0, dict[int, Verdict | None]()
    for number, verdict, pause, gone in story:
        now += pause
        at, turn = Moment(now, now, 0.5), Turn(("dev", str(number)), now, Priority.RETRY)
        held = outages.wait(turn, at)
        assert held <= REST.cap * 1.5 + 1
        if last.get(number) is not Verdict.UNREACHABLE:
            assert held == 0
        if gone:
            outages.forget([turn.key])
            last.pop(number, None)
        elif held == 0:
            outages.begin(turn, now)
            outages.ended(turn.key, verdict, at)
            last[number] = verdict if verdict is not None else last.get(number)
    down = sum(one is Verdict.UNREACHABLE for one in last.values())
    if down < LEAST:
        assert all(outages.wait(Turn(("dev", str(n)), now, Priority.RETRY), Moment(now, now, 0.5)) == 0 for n in last)


def test_breakers_that_open_and_close_are_told_once_and_a_thousand_in_a_few_words() -> None:
    events: list[tuple[str, str]] = []

    def hear(event: Event, detail: bool) -> None:
        events.append((event.said["target"], event.said["state"]))

    watched = Watched(Events(lambda: 0.0, lambda said: said, hear))
    both = {"a": "open", "b": "open"}
    story: list[Mapping[str, str]] = [{}, {"a": "open"}, {"a": "half open"}, both, {"b": "half open"}, {}]
    for one in story:
        watched.tell(one)
    assert events == [("a", "open"), ("b", "open"), ("a", "closed"), ("b", "closed")]
    events.clear()
    watched.tell({f"https://bmc-{n}": "open" for n in range(1000)})
    assert len(events) == NAMED + 1 and events[-1] == (f"{1000 - NAMED} more", "open")
