"""Laws of what one destination is told, over any course of problems, clocks and failing deliveries."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from fleet.controller.notices.teller import OCCURRED, TRIES, Policy, Teller, restored
from fleet.controller.notices.values import EVENTS, USUAL, Batch, Condition, Key, News, Seen
from fleet.controller.standing import Moment
from fleet.pacing.bucket import LATE

FAILED = Key("failure", "dev", "h1")
KEYS = [FAILED, Key("failure", "dev", "h2"), Key("drift", "dev", "h1"), Key("unreachable", "prod", "h3"), Key("git")]
HOSTS = frozenset((key.environment, key.host) for key in KEYS if key.host)


@dataclass
class Life:
    """A teller and its clock; keeps what was sent."""

    teller: Teller
    now: float = 1000.0
    sent: list[tuple[float, Batch]] = field(default_factory=list)

    @property
    def at(self) -> Moment:
        return Moment(self.now, self.now + 1e9, 0.5)

    def pass_by(self, seconds: float, works: bool = True, step: float = 5.0) -> list[Batch]:
        """Looks every `step` seconds, as the notifier does; what was sent meanwhile."""
        before, end = len(self.sent), self.now + seconds
        while self.now < end:
            self.now += step
            self.turn(works)
        return [batch for _, batch in self.sent[before:]]

    def turn(self, works: bool = True) -> None:
        self.teller.see(self.teller._seen, self.at)
        if (batch := self.teller.take(self.at)) is not None:
            self.sent.append((self.now, batch))
            if works:
                self.teller.arrived(batch, self.at)
            else:
                self.teller.lost(self.at)

    def see(self, *keys: Key, unknown: frozenset[Key] = frozenset(), mark: str = "") -> None:
        there = {key: Condition(f"{key.event} of {key.host}", mark) for key in keys}
        self.teller.see(Seen(there, unknown, HOSTS), self.at)


def told(batches: list[Batch]) -> list[tuple[str, Key]]:
    return [(one.what, one.key) for batch in batches for one in batch.news]


def test_a_problem_is_told_once_then_each_remind_and_then_its_end() -> None:
    life = Life(Teller(Policy(remind=3600)))
    life.see(FAILED)
    assert told(life.pass_by(3600)) == [("begun", FAILED)]
    assert told(life.pass_by(3600)) == [("lasts", FAILED)]
    life.see()
    assert told(life.pass_by(10_000)) == [("ended", FAILED)]


def test_another_failure_of_the_same_host_is_told_as_a_change() -> None:
    life = Life(Teller(Policy()))
    life.see(FAILED, mark="disk full")
    life.pass_by(60)
    life.see(FAILED, mark="no such package")
    assert told(life.pass_by(600)) == [("changed", FAILED)]


def test_what_nobody_can_know_is_not_over() -> None:
    life = Life(Teller(Policy()))
    life.see(FAILED)
    life.pass_by(60)
    life.see(unknown=frozenset({FAILED}))
    assert not life.pass_by(7200)
    life.see()
    assert told(life.pass_by(60)) == [("ended", FAILED)]


def test_a_host_that_left_git_has_not_recovered() -> None:
    life = Life(Teller(Policy()))
    life.see(FAILED)
    life.pass_by(60)
    life.teller.see(Seen(), life.at)
    assert told(life.pass_by(60)) == [("gone", FAILED)]


def test_patience_is_kept_across_looks_that_know_nothing() -> None:
    life, key = Life(Teller(Policy())), Key("unreachable", "prod", "h3")
    life.teller.see(Seen({key: Condition("away", patience=900)}, hosts=HOSTS), life.at)
    assert not life.pass_by(880)
    assert told(life.pass_by(60)) == [("begun", key)]


def test_what_is_over_within_the_window_is_not_worth_a_word() -> None:
    life = Life(Teller(Policy()))
    life.see(FAILED)
    life.pass_by(15)
    life.see()
    assert not life.pass_by(3600)


def test_a_restart_repeats_nothing_and_still_tells_the_end() -> None:
    life = Life(Teller(Policy()))
    life.see(FAILED)
    life.pass_by(60)
    second = Life(restored(Policy(), life.teller.told), life.now)
    second.see(unknown=frozenset({FAILED}))
    second.pass_by(300)
    second.see(FAILED)
    assert not second.pass_by(300)
    second.see()
    assert told(second.pass_by(60)) == [("ended", FAILED)]


def test_a_destination_that_fails_is_tried_again_more_and_more_rarely_and_loses_nothing() -> None:
    life = Life(Teller(Policy(per_hour=3600, burst=100)))
    life.see(FAILED)
    tries = life.pass_by(7200, works=False)
    assert 5 < len(tries) < 20 and life.teller.tries > TRIES
    assert told(life.pass_by(900)) == [("begun", FAILED)]
    assert life.teller.tries == 0


def test_failing_is_told_aloud_once() -> None:
    teller = Teller(Policy())
    assert [teller.lost(Moment(float(n), float(n), 0.5)) for n in range(2 * TRIES)].count(True) == 1


def test_without_recovery_an_end_is_silent_and_a_return_is_news() -> None:
    life = Life(Teller(Policy(events=USUAL - {"recovery"})))
    life.see(FAILED)
    life.pass_by(60)
    life.see()
    assert not life.pass_by(60)
    life.see(FAILED)
    assert told(life.pass_by(60)) == [("begun", FAILED)]


def test_only_the_events_and_environments_that_are_wanted_are_told() -> None:
    life = Life(Teller(Policy(events=frozenset({"failure", "git"}), environments=frozenset({"prod"}))))
    life.see(*KEYS, Key("failure", "prod", "h3"))
    assert {key for _, key in told(life.pass_by(60))} == {Key("git"), Key("failure", "prod", "h3")}


def test_more_that_happened_than_is_kept_is_counted() -> None:
    life = Life(Teller(Policy(events=frozenset(EVENTS))))
    for number in range(OCCURRED + 7):
        life.teller.happened(News("happened", Key("finished", "dev"), str(number)))
    (batch,) = life.pass_by(600)
    assert len(batch.news) == OCCURRED and batch.missed == 7


def test_what_the_limit_held_back_is_counted_in_the_next() -> None:
    life = Life(Teller(Policy(per_hour=1, burst=1)))
    life.see(FAILED)
    life.pass_by(60)
    life.see(*KEYS)
    (batch,) = life.pass_by(4000)
    assert batch.held == len(batch.news) == len(KEYS) - 1


Course = list[tuple[frozenset[Key], frozenset[Key], float, bool]]
courses = st.lists(
    st.tuples(
        st.frozensets(st.sampled_from(KEYS)), st.frozensets(st.sampled_from(KEYS)), st.floats(1, 400), st.booleans()
    ),
    max_size=30,
)
policies = st.builds(
    Policy,
    window=st.sampled_from([0.0, 30.0]),
    remind=st.sampled_from([0.0, 600.0]),
    per_hour=st.sampled_from([4.0, 60.0, 600.0]),
    burst=st.sampled_from([1.0, 5.0]),
)


def lived(policy: Policy, course: Course) -> Life:
    life = Life(Teller(policy))
    for there, unknown, seconds, works in course:
        life.see(*there, unknown=unknown - there)
        life.now += seconds
        life.turn(works)
    return life


@given(policies, courses)
def test_never_more_messages_than_the_limit_tries_included(policy: Policy, course: Course) -> None:
    times = [now for now, _ in lived(policy, course).sent]
    for first in range(len(times)):
        for last in range(first, len(times)):
            allowed = policy.burst + LATE + policy.per_hour / 3600 * (times[last] - times[first])
            assert last - first + 1 <= allowed + 1e-6


@given(policies, courses, st.frozensets(st.sampled_from(KEYS), min_size=1))
def test_whatever_came_before_what_lasts_is_told_in_the_end(
    policy: Policy, course: Course, lasting: frozenset[Key]
) -> None:
    life = lived(policy, course)
    life.see(*lasting)
    life.pass_by(3 * 3600 / policy.per_hour + 2000, step=20.0)
    assert set(life.teller.told) == lasting
    assert {key for what, key in told([b for _, b in life.sent]) if what == "begun"} >= lasting


@given(policies, courses)
def test_every_problem_that_lasted_long_enough_is_told_or_counted(policy: Policy, course: Course) -> None:
    life = Life(Teller(policy))
    since: dict[Key, float] = {}
    owed: list[Key] = []
    for there, _, seconds, works in course:
        before = len(life.sent)
        for key in [key for key in since if key not in there]:
            if life.now - since.pop(key) >= policy.window and key not in life.teller.told:
                owed.append(key)
        for key in there:
            since.setdefault(key, life.now)
        life.see(*there)
        life.now += seconds
        life.turn(works)
        if works and len(life.sent) > before:
            assert life.sent[-1][1].missed == len(owed)
            owed.clear()
    assert life.teller._missed == len(owed)


@given(policies, courses)
def test_what_the_destination_knows_is_what_it_was_told(policy: Policy, course: Course) -> None:
    life = Life(Teller(policy))
    knows: set[Key] = set()
    for there, unknown, seconds, works in course:
        before = len(life.sent)
        life.see(*there, unknown=unknown - there)
        life.now += seconds
        life.turn(works)
        if works and len(life.sent) > before:
            for one in life.sent[-1][1].news:
                if one.what == "begun":
                    assert one.key not in knows, "told twice"
                    knows.add(one.key)
                elif one.what in ("ended", "gone"):
                    knows.remove(one.key)
                else:
                    assert one.key in knows
        assert knows == set(life.teller.told)
