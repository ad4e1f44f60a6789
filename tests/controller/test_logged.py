"""What happens, as lines: how bad it is, and a sentence that says it."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.controller.logged import fields, level_of, sentence
from fleet.controller.told import told
from fleet.controller.view import Event
from fleet.errors import Failure, TransportError
from fleet.model.change import PassResult, Verdict
from fleet.model.step import Outcome, Status

CASES: list[tuple[str, dict[str, Any], int, str]] = [
    ("start", {"version": "1", "follows": "/srv/ops.git"}, logging.INFO, "fleet 1 starts, and follows /srv/ops.git"),
    ("ready", {"hosts": 3, "environments": 1}, logging.INFO, "ready: 3 hosts in 1 environment"),
    ("revision", {"commit": "a" * 40, "changed": 2}, logging.INFO, "commit aaaaaaaaaaaa is taken, it changes 2 hosts"),
    ("refused", {"commit": "a" * 40, "problems": 2}, logging.ERROR,
     "commit aaaaaaaaaaaa is refused, it has 2 problems"),
    ("rollout", {"state": "running", "wave": 2, "hosts": 4}, logging.INFO, "wave 2 of the rollout: 4 hosts may begin"),
    ("rollout", {"state": "stopped", "reason": "3 failed"}, logging.ERROR, "the rollout stopped: 3 failed"),
    ("rollout", {"state": "done", "commit": "b" * 40}, logging.INFO, "the rollout of commit bbbbbbbbbbbb is done"),
    ("pass", {"verdict": "changed", "changed": 2}, logging.INFO, "changed, 2 changed"),
    ("pass", {"verdict": "failed", "changed": 1, "failed": 2, "error": "no"}, logging.ERROR,
     "failed, 1 changed, 2 failed: no"),
    ("pass", {"verdict": "drifted", "drift": 1}, logging.WARNING, "drifted, 1 not as Git says"),
    ("pass", {"verdict": "unreachable", "error": "refused"}, logging.WARNING, "unreachable: refused"),
    ("pass", {"verdict": "in sync", "was": "unreachable"}, logging.INFO, "in sync again, it can be reached again"),
    ("parked", {"failures": 5, "error": "x"}, logging.ERROR, "left alone for an hour after 5 failures in a row: x"),
    ("fought", {"resource": "file:/a", "times": 5}, logging.WARNING,
     "file:/a was changed outside 5 times; left for now"),
    ("git", {"error": "no route"}, logging.WARNING, "Git does not answer: no route"),
    ("git", {}, logging.INFO, "Git answers again"),
    ("record", {"error": "disk full"}, logging.ERROR,
     "nothing is changed while the record cannot be written: disk full"),
    ("record", {"error": ""}, logging.INFO, "the record can be written again"),
    ("order", {"what": "pause", "scope": "prod", "who": "ann", "reason": "why"}, logging.INFO,
     "ann asks: pause prod: why"),
    ("breaker", {"target": "bastion b", "state": "open"}, logging.WARNING,
     "bastion b does not answer: left alone, but for single tries"),
    ("breaker", {"target": "bastion b", "state": "closed"}, logging.INFO, "bastion b answers again"),
    ("settings", {"name": "poll", "was": "30.0", "now": "5.0"}, logging.INFO, "setting poll: 30.0 -> 5.0"),
    ("settings", {"name": "listen", "was": "", "now": "x", "restart": True}, logging.INFO,
     "setting listen:  -> x: needs a restart"),
    ("exposed", {"setting": "token_file", "path": "/t"}, logging.WARNING,
     "token_file: everybody here can read it: chmod o= /t"),
    ("settings", {"error": "no YAML"}, logging.WARNING, "the settings stay as they were: no YAML"),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "said", "level", "words"), CASES)
def test_each_thing_that_happens_has_its_level_and_its_sentence(
    type_: str, said: dict[str, Any], level: int, words: str
) -> None:
    event = Event(1, 0.0, type_, "prod", "web-1", said)
    assert (level_of(event), sentence(event)) == (level, f"prod/web-1: {words}")


@given(st.text(), st.dictionaries(st.text(), st.none() | st.integers() | st.text()))
def test_whatever_is_said_of_whatever_event_has_a_line(type_: str, said: dict[str, Any]) -> None:
    event = Event(1, 0.0, type_, "", "", said)
    assert isinstance(sentence(event), str) and level_of(event) in (20, 30, 40)
    assert not {"", None} & set(map(str, fields(event).values())) - {"None"}


def test_of_a_pass_it_is_told_how_it_ended_why_and_where_more_is_found() -> None:
    lost = TransportError(Failure.REFUSED, "nobody listens")
    result = PassResult("web-1", "prod", Verdict.UNREACHABLE, error=lost, run=7, id="abc", trace_id="d" * 32)
    said = told("in sync", result, "e" * 40)
    assert said == {
        "verdict": "unreachable", "changed": 0, "was": "in sync", "error": str(lost), "revision": "e" * 40, "run": 7,
        "pass": "abc", "trace_id": "d" * 32,
    }  # fmt: skip
    outcomes = {"file:/a": Outcome("file:/a", Status.OK), "file:/b": Outcome("file:/b", Status.FAILED)}
    bad = PassResult("web-1", "prod", Verdict.FAILED, outcomes=outcomes, remaining={"file:/b": "it failed"})
    expected = {"verdict": "failed", "changed": 1, "failed": 1, "error": "file:/b: it failed"}
    assert told("failed", bad, "") == expected
