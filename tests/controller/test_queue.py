"""The workqueue: no host twice, none lost, the earliest time wins, one pass a host, environments in turns."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fleet.controller.queue import HostKey, Priority, Turn, Workqueue

KEYS: list[HostKey] = [(environment, f"h{n}") for environment in ("dev", "prod") for n in range(3)]
turns = st.builds(Turn, st.sampled_from(KEYS), st.integers(0, 20).map(float), st.sampled_from(Priority))


class Model(RuleBasedStateMachine):
    """Beside a dictionary that nobody could get wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.queue, self.now = Workqueue(), 0.0
        self.waiting: dict[HostKey, Turn] = {}
        self.busy: dict[HostKey, Turn | None] = {}

    def put(self, turn: Turn) -> None:
        known = self.waiting.get(turn.key)
        if known is not None:
            first = min(known, turn, key=lambda one: (one.priority, one.due))
            turn = replace(first, due=min(known.due, turn.due))
        self.waiting[turn.key] = turn

    @rule(turn=turns)
    def add(self, turn: Turn) -> None:
        self.queue.add(turn)
        if turn.key in self.busy:
            later = self.busy[turn.key]
            first = turn if later is None else min(later, turn, key=lambda one: (one.priority, one.due))
            self.busy[turn.key] = replace(first, due=min(turn.due, turn.due if later is None else later.due))
        else:
            self.put(turn)

    @rule(full=st.sets(st.sampled_from(["dev", "prod"])))
    def take(self, full: set[str]) -> None:
        ready = [one for one in self.waiting.values() if one.due <= self.now and one.key[0] not in full]
        found = self.queue.take(self.now, full)
        if not ready:
            assert found is None
            return
        assert found is not None and found in ready
        assert found.priority == min(one.priority for one in ready)
        del self.waiting[found.key]
        self.busy[found.key] = None

    @rule(key=st.sampled_from(KEYS))
    def done(self, key: HostKey) -> None:
        self.queue.done(key)
        later = self.busy.pop(key, None)
        if later is not None:
            self.put(later)

    @rule(key=st.sampled_from(KEYS))
    def forget(self, key: HostKey) -> None:
        self.queue.forget(key)
        self.waiting.pop(key, None)
        if key in self.busy:
            self.busy[key] = None

    @rule(seconds=st.integers(0, 5))
    def later(self, seconds: int) -> None:
        self.now += seconds

    @invariant()
    def agrees(self) -> None:
        assert {key: self.queue.turn(key) for key in KEYS if self.queue.turn(key) is not None} == self.waiting
        assert {key for key in KEYS if self.queue.busy(key)} == set(self.busy)
        times = [one.due for one in self.waiting.values()]
        wait = max(min(times) - self.now, 0.0) if times else None
        assert self.queue.wait(self.now) == wait
        assert self.queue.due(self.now) == sum(time <= self.now for time in times)


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(st.integers(1, 200), st.integers(1, 10))
def test_a_thousand_of_one_environment_delay_another_by_one_turn_each(many: int, few: int) -> None:
    queue = Workqueue()
    for name, count in (("dev", many), ("prod", few)):
        for number in range(count):
            queue.add(Turn((name, f"h{number}"), 0.0))
    order = [queue.take(0.0) for _ in range(many + few)]
    last = max(n for n, turn in enumerate(order) if turn is not None and turn.key[0] == "prod")
    assert last <= 2 * few


def test_what_a_person_asks_for_goes_before_all_else() -> None:
    queue = Workqueue()
    for number in range(100):
        queue.add(Turn(("dev", f"h{number}"), 0.0))
    queue.add(Turn(("dev", "h99"), 5.0, Priority.ASKED, "asked by ann"))
    first = queue.take(1.0)
    assert first is not None and first.key == ("dev", "h99") and first.reason == "asked by ann"
