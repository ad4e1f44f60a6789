"""The scripted session keeps the same contract as the real ones, as far as laws need it."""

from __future__ import annotations

import pytest

from fleet.model.host import Target
from fleet.model.step import Batch, Outcome, Status, Task
from fleet.transports.scripted import ScriptedTransport

pytestmark = pytest.mark.anyio


async def test_tasks_go_to_the_handler_and_what_needs_a_failed_one_is_skipped() -> None:
    def handler(task: Task) -> Outcome:
        return Outcome(task.id, Status.FAILED if task.id == "a" else Status.OK, output=task.id.encode())

    transport = ScriptedTransport(lambda target: handler)
    session = await transport.connect(Target("h", "dev"))
    batch = Batch((Task("a", ()), Task("b", (), needs=("a",)), Task("c", ()), Task("d", (), needs=("c", "elsewhere"))))
    heard: list[Outcome] = []
    outcomes = await session.perform(batch, heard.append)
    assert [(o.id, str(o.status)) for o in heard] == [("a", "failed"), ("b", "skipped"), ("c", "ok"), ("d", "ok")]
    assert list(outcomes.values()) == heard and session.round_trips == 1
    assert transport.sessions["h"].batches == [batch]
    await transport.aclose()
    assert transport.sessions["h"].closed
