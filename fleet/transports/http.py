"""HTTP: a Session over one or more APIs. Tasks of Requests in, Outcomes out.

What a look asks twice is sent once. What is written goes side by side, each task after those that it needs. An API
keeps nothing for us: it has no fence and no due marks; what stands between two writers is If-Match and `Check`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from fleet.errors import Failure, TransportError
from fleet.model.api import Answered
from fleet.model.step import Batch, Check, Outcome, Report, Request, Status, Task
from fleet.transports.http_client import ApiClient
from fleet.transports.http_long import ask, finished

# What concerns the API as a whole: then nothing is known of any of its objects.
UNREACHABLE = (Failure.DNS, Failure.REFUSED, Failure.TIMEOUT, Failure.TLS, Failure.ADDRESS, Failure.AUTH, Failure.LOST)
PRECONDITION_FAILED = 412
EVERY = 1.0  # seconds between two questions to what is waited for
# After these nobody knows whether it was done.
DOUBTFUL = (Failure.LOST, Failure.SERVER, Failure.ANSWER)


class HttpSession:
    """See model/port.py: Session. clients: by the name that a Request has for its API."""

    def __init__(self, clients: Mapping[str, ApiClient]) -> None:
        self._clients = clients
        self._round_trips = 0
        self._run: _Run | None = None

    @property
    def round_trips(self) -> int:
        return self._round_trips

    async def perform(self, batch: Batch, report: Report | None = None) -> Mapping[str, Outcome]:
        self._round_trips += 1
        run = self._run = _Run(self._clients, batch, report)
        return await (run.look() if batch.write is None else run.write())

    async def halt(self) -> None:
        if self._run is not None:
            self._run.halted = True

    async def aclose(self) -> None:
        """The clients are the transport's: others ask the same APIs."""


class _Run:
    """One batch."""

    def __init__(self, clients: Mapping[str, ApiClient], batch: Batch, report: Report | None) -> None:
        self._clients, self._batch, self._report = clients, batch, report
        self._asked: dict[object, asyncio.Task[Answered]] = {}
        self._done: dict[str, asyncio.Task[Outcome]] = {}
        self.halted = False

    async def look(self) -> Mapping[str, Outcome]:
        """Raises TransportError when no API answered anything: a look has changed nothing."""
        try:
            async with asyncio.timeout(self._batch.deadline):
                found = await asyncio.gather(*(self._looked(task) for task in self._batch.tasks))
        except TimeoutError:
            raise TransportError(Failure.LOST, f"not all was answered within {self._batch.deadline:g} s") from None
        finally:
            await _ended(self._asked.values())
        self._raise_if_nothing_came()
        return {one.id: one for one in found}

    async def write(self) -> Mapping[str, Outcome]:
        """Never raises for what happens at the API. What had begun when the time was up is unknown. A look at the end
        of it waits for all the rest."""
        changes = [task for task in self._batch.tasks if not _is_look(task)]
        for task in changes:
            self._done[task.id] = asyncio.create_task(self._changed(task))
        try:
            async with asyncio.timeout(self._batch.deadline):
                await asyncio.gather(*self._done.values())
                self._asked.clear()
                looks = [task for task in self._batch.tasks if _is_look(task)]
                seen = await asyncio.gather(*(self._looked(task) for task in looks))
        except TimeoutError:
            seen = [Outcome(task.id, Status.UNKNOWN) for task in self._batch.tasks if _is_look(task)]
        finally:
            await _ended([*self._done.values(), *self._asked.values()])
        return {name: _outcome(name, one) for name, one in self._done.items()} | {one.id: one for one in seen}

    async def _looked(self, task: Task) -> Outcome:
        began = time.monotonic()
        asked = [self._once(request) for request in task.steps if isinstance(request, Request)]
        found: list[Answered] = []
        for one in asked:
            try:
                found.append(await one)
            except TransportError as error:
                found.append(Answered(error=str(error)))
        return self._told(Outcome(task.id, Status.OK, 0, answers=tuple(found)), began)

    def _raise_if_nothing_came(self) -> None:
        errors = [one.exception() for one in self._asked.values() if one.done() and not one.cancelled()]
        told = [one for one in errors if isinstance(one, TransportError) and one.failure in UNREACHABLE]
        if told and len(told) == len(self._asked):
            raise told[0]

    def _once(self, request: Request) -> asyncio.Task[Answered]:
        """A list that a hundred objects are read from is asked for once."""
        key = replace(request, route="")
        if key not in self._asked:
            self._asked[key] = asyncio.create_task(ask(self._client(request), request))
        return self._asked[key]

    def _client(self, request: Request) -> ApiClient:
        return self._clients[request.api]

    async def _changed(self, task: Task) -> Outcome:
        began = time.monotonic()
        before = [self._done[name] for name in task.needs if name in self._done]
        if before:
            await asyncio.wait(before)
        if self.halted:
            return self._told(Outcome(task.id, Status.HALTED), began)
        if any(_outcome("", one).status is not Status.OK for one in before):
            return self._told(Outcome(task.id, Status.SKIPPED), began)
        return self._told(await self._steps(task), began)

    async def _steps(self, task: Task) -> Outcome:
        check: Check | None = None
        for number, step in enumerate(task.steps):
            try:
                if isinstance(step, Check):
                    check = step
                    if wrong := await self._disagrees(step):
                        status = Status.FAILED if step.within else Status.CONFLICT
                        return Outcome(task.id, status, None, wrong.encode(), number)
                elif isinstance(step, Request):
                    found = await self._sent(step, check)
                    if found.status == PRECONDITION_FAILED and PRECONDITION_FAILED not in step.accept:
                        words = b"it is no longer as it was seen (status 412)"
                        return Outcome(task.id, Status.CONFLICT, None, words, number)
            except TransportError as error:
                doubt = isinstance(step, Request) and error.failure in DOUBTFUL
                status = Status.UNKNOWN if doubt else Status.FAILED
                return Outcome(task.id, status, None, str(error).encode(), number)
        return Outcome(task.id, Status.OK, 0)

    async def _disagrees(self, check: Check) -> str:
        """What several ask is asked once; what is waited for is asked now, and again and again."""
        if not check.within:
            return check.agrees(await self._once(check.request))
        wrong = check.agrees(await ask(self._client(check.request), check.request))
        left = check.within
        while wrong and left > 0:
            await self._client(check.request).wait(min(left, EVERY))
            left -= EVERY
            wrong = check.agrees(await ask(self._client(check.request), check.request))
        return wrong

    async def _sent(self, request: Request, check: Check | None) -> Answered:
        """When the answer was lost, what stands there now may say that it was done; that it was not, nothing says."""
        client = self._client(request)
        try:
            found = await ask(client, replace(request, accept=(*request.accept, PRECONDITION_FAILED)))
        except TransportError as error:
            if check is None or error.failure is not Failure.LOST or request.method != "POST":
                raise
            with suppress(TransportError):
                if check.done(await ask(client, check.request)):
                    return Answered(200)
            raise
        return await finished(client, request, found)

    def _told(self, outcome: Outcome, began: float) -> Outcome:
        known = replace(outcome, seconds=time.monotonic() - began)
        if self._report is not None:
            self._report(known)
        return known


def _is_look(task: Task) -> bool:
    return task.id.startswith("look:")


async def _ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Whoever is not done is told to stop, and nobody's error is left unheard."""
    running: Sequence[asyncio.Task[Any]] = list(tasks)
    for one in running:
        one.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def _outcome(name: str, task: asyncio.Task[Outcome]) -> Outcome:
    return Outcome(name, Status.UNKNOWN) if task.cancelled() else task.result()
