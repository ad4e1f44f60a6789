"""Every case from what real hosts answered: answers → observation → plan → steps. No host, so it runs anywhere."""

from __future__ import annotations

import pytest

from fleet.converge.look import look
from fleet.converge.plan import plan
from fleet.converge.rounds import next_round
from fleet.kinds import KINDS
from fleet.model.change import Plan
from fleet.model.step import Batch, Command, Guard, Put, Script, Write
from fleet.transports.shell import script
from tests.contracts.cases import Case, cases
from tests.contracts.transcripts import read, userlands
from tests.describe import ENVIRONMENT

PLAYED = [(case, userland) for case in cases() for userland in userlands(case)]
every_case = pytest.mark.parametrize(("case", "userland"), PLAYED, ids=[f"{c.id}-{userland}" for c, userland in PLAYED])


def planned(case: Case, userland: str, when: str) -> Plan:
    spec = case.spec()
    return plan(spec, look(spec.resources, KINDS).read(read(case, userland, when)), {}, KINDS)


@every_case
def test_the_plan_follows_from_the_answers(case: Case, userland: str) -> None:
    found = planned(case, userland, "before")
    assert {c.resource.id: [c.action, *c.attributes] for c in found.changes} == (case.changes or {})
    assert {name: why.reason for name, why in found.unreadable.items()} == (case.unreadable or {})


@every_case
def test_after_the_apply_there_is_nothing_left_to_do(case: Case, userland: str) -> None:
    if case.verdict in ("changed", "in sync"):
        assert planned(case, userland, "after").changes == ()


@every_case
def test_every_change_is_steps_whose_text_is_constant(case: Case, userland: str) -> None:
    """What varies is an argument: no name, content or attribute of a case is ever part of a script's text."""
    spec, found = case.spec(), planned(case, userland, "before")
    if not found.changes:
        return
    # Words of one's own: a free name such as "break" is a word of the shell, too.
    names = [
        word
        for r in spec.resources
        for word in (r.name, *r.name.split("/"))
        if len(word) > 5 and word != "authorized_keys"
    ]
    tasks = next_round(spec, found.changes, KINDS).tasks
    assert tasks and all(task.steps for task in tasks)
    for step in (step for task in tasks for step in task.steps):
        assert isinstance(step, Script | Guard | Put | Command)
        if isinstance(step, Script | Guard):
            assert not [name for name in names if name in step.text]
    assert script(Batch(tasks, Write(ENVIRONMENT, 1, "attempt")))
