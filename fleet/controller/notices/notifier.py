"""The edge of notifications: looks at the controller again and again, and sends what its parts say is due.

Passes never wait for anything here: what is sent has tasks of its own, one for each destination at most, and what waits
is no queue but the difference between what is the case and what was told.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from fleet.controller.notices import memory
from fleet.controller.notices.conditions import Patience, conditions
from fleet.controller.notices.destinations import Destination
from fleet.controller.notices.memory import Remembered
from fleet.controller.notices.statuses import Book, CommitStatus, wanted
from fleet.controller.notices.teller import Teller, restored
from fleet.controller.notices.values import Batch, Key, Message, News
from fleet.controller.notices.words import message, safe
from fleet.controller.service import Service
from fleet.controller.standing import Moment
from fleet.controller.view import Controller, DestinationView
from fleet.errors import HistoryError, TransportError

STATUSES = "commit status"  # as a destination
AT_ONCE = 4  # messages on their way
GAP = 1.0  # seconds between two looks at least


class Put(Protocol):
    def __call__(self, type_: str, environment: str = "", host: str = "", **said: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class Outside:
    """What reaches out. send, say: raise TransportError. say: None where no Git server is told. mask: takes secrets out
    of a text. put: tells an event. path: of the file that remembers what was told."""

    send: Callable[[Destination, Message], Awaitable[None]]
    say: Callable[[CommitStatus], Awaitable[None]] | None
    mask: Callable[[str], str]
    put: Put
    path: Path


@asynccontextmanager
async def beside(notifier: Notifier | None, service: Service) -> AsyncIterator[None]:
    """It runs while the service does, and never ends it."""
    if notifier is None:
        yield
        return
    service.told = notifier.views
    task = asyncio.create_task(notifier.run(service))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@dataclass(slots=True)
class _Line:
    destination: Destination
    teller: Teller
    task: asyncio.Task[None] | None = None
    error: str = ""


@dataclass(slots=True)
class Notifier:
    """period: seconds between two looks."""

    destinations: Sequence[Destination]
    outside: Outside
    moment: Callable[[], Moment]
    patience: Patience = field(default_factory=Patience)
    period: float = 5.0
    _lines: list[_Line] = field(default_factory=list)
    _book: Book = field(default_factory=Book)
    _telling: asyncio.Task[None] | None = None
    _error: str = ""  # of the Git server
    _kept: Remembered | None = None
    _own: str = ""  # trouble of our own, told once
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def run(self, controller: Controller) -> None:
        """Until cancelled."""
        await self._remember()
        listening = asyncio.create_task(self._listen(controller))
        ready = False
        try:
            while True:
                try:
                    # Before that nothing is known, not even what is over.
                    ready = ready or controller.view().ready
                    if ready:
                        self.look(controller)
                        await self._keep()
                    self._own = ""
                except Exception as error:  # a mistake of ours: telling people stops, the service does not
                    self._troubled(error)
                await self._pause()
        finally:
            tasks = [
                listening,
                *(one.task for one in self._lines if one.task),
                *([self._telling] if self._telling else []),
            ]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(HistoryError):  # then some of it is told once more
                await self._keep()

    def look(self, controller: Controller) -> None:
        """Once: what is due is on its way when it returns. Needs the loop."""
        view, at = controller.view(), self.moment()
        seen = conditions(view, controller.hosts(), self.patience, self._safe)
        for line in self._lines:
            line.teller.see(seen, at)
            if line.task is None and (batch := line.teller.take(at)) is not None:
                line.task = asyncio.create_task(self._send(line, batch))
        if self.outside.say is not None and self._telling is None:
            due = self._book.due({one.environment: one for one in wanted(view, self._safe)}, at)
            if due:
                self._telling = asyncio.create_task(self._say(due))

    def views(self) -> tuple[DestinationView, ...]:
        """How it goes, for whoever asks."""
        at = self.moment()
        found = [
            DestinationView(one.destination.name, one.teller.sent, one.teller.failed, one.teller.waiting(at), one.error)
            for one in self._lines
        ]
        if self.outside.say is not None:
            found.append(DestinationView(STATUSES, self._book.taken, self._book.failed, 0, self._error))
        return tuple(found)

    async def _pause(self) -> None:
        """Until the next look is due, or something happened that is worth one."""
        await asyncio.sleep(min(GAP, self.period))
        with suppress(TimeoutError):
            async with asyncio.timeout(max(self.period - GAP, 0.0)):
                await self._woken.wait()
        self._woken.clear()

    async def _listen(self, controller: Controller) -> None:
        """What does not last, so that no look would find it."""
        async for event in controller.events():
            if event.type not in ("pass", "notify"):
                self._woken.set()
            if event.type == "rollout" and event.said.get("state") == "done":
                text = f"{self._safe(str(event.said.get('commit', '')))[:12]} is followed everywhere"
                for line in self._lines:
                    line.teller.happened(News("happened", Key("finished", event.environment), text, "", event.at))

    async def _send(self, line: _Line, batch: Batch) -> None:
        at, name = self.moment(), line.destination.name
        said = message(batch, at.wall, line.teller.policy.per_hour)
        masked = Message(self.outside.mask(said.title), self.outside.mask(said.body))
        try:
            async with self._turns:
                await self.outside.send(line.destination, masked)
        except Exception as error:  # of a library, too: the next try is due all the same
            line.error = self._said(error)
            if line.teller.lost(self.moment()):
                self.outside.put("notify", destination=name, state="failing", error=line.error, tries=line.teller.tries)
        else:
            if line.error:
                self.outside.put("notify", destination=name, state="works again")
            line.error = ""
            line.teller.arrived(batch, self.moment())
        finally:
            line.task = None

    async def _say(self, due: Iterable[CommitStatus]) -> None:
        say = self.outside.say
        assert say is not None
        try:
            for one in due:
                try:
                    await say(one)
                except TransportError as error:
                    self._error = self._said(error)
                    if self._book.refused(one, self.moment(), error.failure.retryable):
                        self.outside.put(
                            "notify", one.environment, destination=STATUSES, state="given up", commit=one.commit,
                            error=self._error,
                        )  # fmt: skip
                else:
                    self._error = ""
                    self._book.took(one)
        except Exception as error:  # a mistake of ours
            self._troubled(error)
        finally:
            self._telling = None

    async def _remember(self) -> None:
        kept = Remembered()
        try:
            kept = await asyncio.to_thread(memory.read, self.outside.path)
        except HistoryError as error:
            self._troubled(error)
        self._kept = kept
        self._book.sent.update(kept.statuses)
        self._lines = [_Line(one, restored(one.policy, kept.told.get(one.id, {}))) for one in self.destinations]

    async def _keep(self) -> None:
        told = {one.destination.id: dict(one.teller.told) for one in self._lines}
        now = Remembered(told, dict(self._book.sent))
        if now != self._kept:
            await asyncio.to_thread(memory.write, self.outside.path, now)
            self._kept = now

    def _safe(self, text: str) -> str:
        return safe(self.outside.mask(text))  # whole, before it is cut

    def _said(self, error: Exception) -> str:
        return self._safe(str(error) if isinstance(error, TransportError) else f"fleet itself failed: {error!r}")

    def _troubled(self, error: Exception) -> None:
        said = self._safe(str(error) if isinstance(error, HistoryError) else f"fleet itself failed: {error!r}")
        if said != self._own:
            self._own = said
            self.outside.put("notify", state="failing", error=said)
