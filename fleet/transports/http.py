"""HTTP: a Session over an API. Tasks of Requests in, Outcomes out; answers stand in the output, see `answers`.

What a look asks twice is sent once. What is written goes side by side, each task after those that it needs. An API
keeps nothing for us: it has no fence and no due marks, so its own compare and swap (If-Match) is all that there is.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from fleet.errors import Failure, TransportError
from fleet.model.step import Batch, Outcome, Report, Request, Status, Task
from fleet.transports.http_client import Answer, ApiClient

# What concerns the API as a whole: then nothing is known of any of its objects.
UNREACHABLE = (Failure.DNS, Failure.REFUSED, Failure.TIMEOUT, Failure.TLS, Failure.ADDRESS, Failure.AUTH, Failure.LOST)
PRECONDITION_FAILED = 412
KEPT = ("etag", "link", "location")


class HttpSession:
    """See model/port.py: Session. environment: whose turn it is at the API's gate."""

    def __init__(self, client: ApiClient, environment: str) -> None:
        self._client, self._environment = client, environment
        self._round_trips = 0

    @property
    def round_trips(self) -> int:
        return self._round_trips

    async def perform(self, batch: Batch, report: Report | None = None) -> Mapping[str, Outcome]:
        run = _Run(self, batch, report)
        return await (run.look() if batch.write is None else run.write())

    async def aclose(self) -> None:
        """The client is its API's, and whoever made it closes it."""

    async def ask(self, request: Request) -> Answer:
        self._round_trips += 1
        return await self._client.ask(request, self._environment)


class _Run:
    """One batch."""

    def __init__(self, session: HttpSession, batch: Batch, report: Report | None) -> None:
        self._session, self._batch, self._report = session, batch, report
        self._asked: dict[object, asyncio.Task[Answer]] = {}
        self._done: dict[str, asyncio.Task[Outcome]] = {}

    async def look(self) -> Mapping[str, Outcome]:
        """Raises TransportError when the API cannot be reached: a look has changed nothing."""
        try:
            async with asyncio.timeout(self._batch.deadline):
                found = await asyncio.gather(*(self._looked(task) for task in self._batch.tasks))
        except TimeoutError:
            raise TransportError(Failure.LOST, f"not all was answered within {self._batch.deadline:g} s") from None
        finally:
            await _ended(self._asked.values())
        return {one.id: one for one in found}

    async def write(self) -> Mapping[str, Outcome]:
        """Never raises for what happens at the API. What had begun when the time was up is unknown."""
        for task in self._batch.tasks:
            self._done[task.id] = asyncio.create_task(self._written(task))
        try:
            await asyncio.wait(self._done.values(), timeout=self._batch.deadline)
        finally:
            await _ended(self._done.values())
        return {name: _outcome(name, one) for name, one in self._done.items()}

    async def _looked(self, task: Task) -> Outcome:
        began = time.monotonic()
        try:
            asked = [self._once(request) for request in _requests(task)]
            said = [_said(await one) for one in asked]
        except TransportError as error:
            if error.failure in UNREACHABLE:
                raise
            return self._told(Outcome(task.id, Status.FAILED, output=str(error).encode()), began)
        return self._told(Outcome(task.id, Status.OK, 0, json.dumps(said).encode()), began)

    def _once(self, request: Request) -> asyncio.Task[Answer]:
        """A list that a hundred objects are read from is asked for once."""
        key = (request.method, request.path, request.body, tuple(sorted(request.headers.items())), request.accept)
        if key not in self._asked:
            self._asked[key] = asyncio.create_task(self._session.ask(request))
        return self._asked[key]

    async def _written(self, task: Task) -> Outcome:
        began = time.monotonic()
        before = [self._done[name] for name in task.needs if name in self._done]
        if before:
            await asyncio.wait(before)
            if any(_outcome("", one).status is not Status.OK for one in before):
                return self._told(Outcome(task.id, Status.SKIPPED), began)
        said: list[dict[str, Any]] = []
        for number, request in enumerate(_requests(task)):
            try:
                answer = await self._session.ask(replace(request, accept=(*request.accept, PRECONDITION_FAILED)))
                said.append(_said(answer))
            except TransportError as error:
                unknown = error.failure in (Failure.LOST, Failure.SERVER, Failure.ANSWER)
                status = Status.UNKNOWN if unknown else Status.FAILED
                return self._told(Outcome(task.id, status, None, str(error).encode(), number), began)
            if answer.status == PRECONDITION_FAILED and PRECONDITION_FAILED not in request.accept:
                words = b"it is no longer as it was seen (status 412)"
                return self._told(Outcome(task.id, Status.CONFLICT, None, words, number), began)
        return self._told(Outcome(task.id, Status.OK, 0, json.dumps(said).encode()), began)

    def _told(self, outcome: Outcome, began: float) -> Outcome:
        known = replace(outcome, seconds=time.monotonic() - began)
        if self._report is not None:
            self._report(known)
        return known


async def _ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Whoever is not done is told to stop, and nobody's error is left unheard."""
    for one in tasks:
        one.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _outcome(name: str, task: asyncio.Task[Outcome]) -> Outcome:
    return Outcome(name, Status.UNKNOWN) if task.cancelled() else task.result()


def answers(outcome: Outcome) -> list[dict[str, Any]]:
    """For a kind's reader: {status, headers, body} of each request of a task, in order. Raises ValueError with the
    reason when the task failed."""
    if outcome.status is not Status.OK:
        raise ValueError(outcome.output.decode(errors="backslashreplace") or str(outcome.status))
    found: list[dict[str, Any]] = json.loads(outcome.output or b"[]")
    return found


def _requests(task: Task) -> list[Request]:
    """Scripts are for hosts with a shell; the one about the host's own memory has nothing to say here."""
    return [step for step in task.steps if isinstance(step, Request)]


def _said(answer: Answer) -> dict[str, Any]:
    kept = {name: answer.headers[name] for name in KEPT if name in answer.headers}
    body = answer.json() if answer.body and answer.status < 300 else None
    return {"status": answer.status, "headers": kept, "body": body}
