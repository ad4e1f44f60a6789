"""What is the case, and what nobody can know, by what a host's last pass found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleet.controller.notices.conditions import Patience, conditions
from fleet.controller.notices.values import Condition, EventName, Key, Seen
from fleet.controller.notices.words import safe
from fleet.controller.view import ControllerView, HostView
from fleet.model.change import Verdict
from tests.controller.notices.samples import HEAD, environment, host, rollout, view

EXTERNAL = {"file:/a": "external", "file:/b": "intended"}
# The host → what is the case, and what nobody can know.
CASES: list[tuple[HostView, str, str]] = [
    (host(verdict="in sync"), "", ""),
    (host(verdict="changed"), "", ""),
    (host(verdict=""), "", "drift failure unreachable"),
    (host(verdict="drifted", drift=EXTERNAL), "drift", ""),
    (host(verdict="drifted", drift={"file:/a": "intended"}), "", ""),
    (host(verdict="drifted", fought=("file:/a",)), "drift", ""),
    (host(verdict="in sync", fought=("file:/a",)), "drift", ""),
    (host(verdict="pending", drift=EXTERNAL), "drift", "failure"),
    (host(verdict="pending"), "", "failure"),
    (host(verdict="waiting"), "", "drift failure"),
    (host(verdict="failed", error="exit 1"), "failure", "drift"),
    (host(verdict="conflict"), "failure", "drift"),
    (host(verdict="unreachable", error="timeout"), "unreachable", "drift failure"),
    (host(verdict="unknown"), "unreachable", "drift failure"),
]


def seen(said: ControllerView, *hosts: HostView) -> Seen:
    return conditions(said, hosts, Patience(), safe)


@pytest.mark.parametrize(("one", "there", "unknown"), CASES, ids=lambda one: getattr(one, "verdict", one) or "-")
def test_each_verdict_says_what_is_the_case_and_what_may_still_be(one: HostView, there: str, unknown: str) -> None:
    found = seen(view(), one)
    assert " ".join(sorted(key.event for key in found.there)) == there
    assert " ".join(sorted(key.event for key in found.unknown)) == unknown


def test_every_verdict_has_its_case() -> None:
    assert {one.verdict for one, _, _ in CASES} == {"", *map(str, Verdict)}


def test_numbers_alone_make_no_other_failure_and_being_left_alone_does() -> None:
    def mark(error: str, parked: bool = False) -> str:
        found = seen(view(), host(verdict="failed", error=error, parked=parked))
        return found.there[Key("failure", "dev", "h1")].mark

    assert mark(error="process 4711 ended with 1") == mark(error="process 4712 ended with 1")
    assert mark(error="a") != mark(error="b")
    assert mark(error="a") != mark(error="a", parked=True)


def only(said: ControllerView) -> tuple[EventName, str, Condition]:
    ((key, one),) = seen(said).there.items()
    return key.event, key.environment, one


def test_what_environments_and_git_say_is_told_with_commit_and_reason() -> None:
    event, name, one = only(view(environment(problems=("x.yaml:1: wrong", "y"))))
    assert (event, name) == ("refused", "dev") and HEAD[:12] in one.text and "x.yaml:1: wrong (and 1 more)" in one.text
    event, _, one = only(view(environment(rollout=rollout("stopped", "h1 failed"))))
    assert event == "stopped" and "h1 failed" in one.text
    event, _, one = only(view(git="the history was rewritten", trouble="rewritten"))
    assert event == "refused" and one.patience == 0
    event, _, one = only(view(git="no route", trouble="git"))
    assert event == "git" and one.patience == Patience().git


def test_a_record_that_cannot_be_written_is_told() -> None:
    event, name, one = only(replace(view(), record="the disk is full"))
    assert (event, name, one.text) == ("failure", "", "the disk is full")


def test_a_rollout_under_way_is_no_news() -> None:
    assert not seen(view(environment(rollout=rollout("running")))).there


def test_unreachable_is_told_after_patience_only() -> None:
    (one,) = seen(view(), host(verdict="unreachable")).there.values()
    assert one.patience == Patience().unreachable >= 300
