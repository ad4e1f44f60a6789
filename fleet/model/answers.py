"""How answers of an API travel in an Outcome: written by the transport, read by the kinds."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from fleet.model.api import Answered
from fleet.model.step import Outcome, Status


def written(answers: Iterable[Answered]) -> bytes:
    said = [[a.status, dict(a.headers), list(a.body), a.error, a.seconds] for a in answers]
    return json.dumps(said).encode()


def answers(outcome: Outcome) -> list[Answered]:
    """One for each request of the task, in order. Raises ValueError with the reason when the task failed."""
    if outcome.status is not Status.OK:
        raise ValueError(outcome.output.decode(errors="backslashreplace") or str(outcome.status))
    found: list[list[Any]] = json.loads(outcome.output or b"[]")
    return [Answered(*one) for one in found]
