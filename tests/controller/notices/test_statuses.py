"""Which status each environment's commit has, and that none is sent twice."""

from __future__ import annotations

import pytest

from fleet.controller.notices.statuses import TRIES, Book, CommitStatus, Sent, State, wanted
from fleet.controller.notices.words import safe
from fleet.controller.standing import Moment
from fleet.controller.view import ControllerView
from tests.controller.notices.samples import GOOD, HEAD, environment, rollout, view

ALL, SOME = {"in sync": 1, "changed": 1}, {"in sync": 1, "failed": 1}
# What the controller says → commit and state.
CASES: dict[str, tuple[ControllerView, str, str]] = {
    "all as it says": (view(environment(verdicts=ALL)), GOOD, "success"),
    "one failed": (view(environment(verdicts=SOME)), GOOD, "pending"),
    "never looked at": (view(environment(verdicts={"": 2})), GOOD, "pending"),
    "waiting for approval": (view(environment(verdicts=ALL, rollout=rollout("waiting"))), GOOD, "pending"),
    "rolling out": (view(environment(verdicts=ALL, rollout=rollout("running"))), GOOD, "pending"),
    "stopped": (view(environment(verdicts=ALL, rollout=rollout("stopped", "h1 failed"))), GOOD, "failure"),
    "does not compile": (view(environment(verdicts=ALL, problems=("x:1: wrong",))), HEAD, "failure"),
    "refused as a whole": (view(environment(verdicts=ALL), git="no environments", trouble="refused"), HEAD, "failure"),
    "Git is away": (view(environment(verdicts=ALL), git="no route", trouble="git"), GOOD, "success"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_state_of_a_commit(name: str) -> None:
    said, commit, state = CASES[name]
    (one,) = wanted(said, safe)
    assert (one.environment, one.commit, one.state) == ("dev", commit, state)


def at(now: float = 0.0) -> Moment:
    return Moment(now, now, 0.5)


def status(state: State = "pending", commit: str = GOOD) -> dict[str, CommitStatus]:
    return {"dev": CommitStatus("dev", commit, state, "why")}


def test_the_same_is_sent_once_and_what_went_well_is_not_taken_back() -> None:
    book = Book()
    states: tuple[State, ...] = ("pending", "success")
    for state in states:
        (one,) = book.due(status(state), at())
        book.took(one)
        assert not book.due(status(state), at())
    assert not book.due(status("pending"), at())
    assert book.due(status("failure"), at()) and book.due(status("pending", HEAD), at())


def test_what_was_sent_in_an_earlier_life_is_not_sent_again() -> None:
    assert not Book({"dev": Sent(GOOD, "success")}).due(status("success"), at())


def test_what_may_help_is_tried_so_often_and_then_left_until_it_changes() -> None:
    book, now, tries, left = Book(), 0.0, 0, []
    while now < 4 * 3600:
        now += 5
        for one in book.due(status(), at(now)):
            tries += 1
            left.append(book.refused(one, at(now), again=True))
    assert tries == TRIES and left == [*[False] * (TRIES - 1), True] and book.failed == 1
    assert book.due(status("success"), at(now))


def test_what_cannot_help_is_not_tried_again() -> None:
    book = Book()
    (one,) = book.due(status(), at())
    assert book.refused(one, at(), again=False)
    assert not book.due(status(), at(1e6)) and book.due(status(commit=HEAD), at())


def test_an_environment_that_is_gone_is_forgotten() -> None:
    book = Book({"old": Sent(GOOD, "success")})
    book.due({}, at())
    assert not book.sent
