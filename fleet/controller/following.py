"""Follows one branch: Git is asked again and again, and what is new is handed on. What goes wrong is told, and what is
followed stays as it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from fleet.controller.events import Events
from fleet.controller.standing import Moment
from fleet.controller.view import Trouble
from fleet.desired.mirror import Mirror
from fleet.errors import FleetError, GitError, RewrittenError

GAP = 0.5  # seconds between two questions to Git at least


@dataclass(slots=True)
class Following:
    """take: called with each new commit; raises what is wrong with all of it. asked: called after each question.

    head: newest commit fetched; taken: the one that was handed on last; fetched: when Git last answered, Unix seconds,
    0 never. error: "" or why it is not followed; trouble: "" or what sort of reason that is.
    """

    mirror: Mirror
    events: Events
    moment: Callable[[], Moment]
    take: Callable[[str], Awaitable[None]]
    asked: Callable[[], None]
    head: str = ""
    taken: str = ""
    fetched: float = 0.0
    error: str = ""
    trouble: Trouble = ""
    _silent: bool = False
    _now: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self) -> str:
        """The newest commit that is known without asking anybody; "" for none."""
        self.head = await self.mirror.open()
        return self.head

    def look(self) -> None:
        """Ask now, if it was not asked a moment ago."""
        self._now.set()

    async def run(self, poll: Callable[[], float]) -> None:
        """Until cancelled. poll: seconds between two questions; jitter is added."""
        while True:
            self._now.clear()
            began = self.moment().now
            await self.once()
            self.asked()
            pause = poll() * (1 + 0.2 * (self.moment().chance - 0.5))
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._now.wait()
            # However many ask us to look: once in this time.
            await asyncio.sleep(max(began + GAP - self.moment().now, 0.0))

    async def once(self) -> None:
        """Git is asked; what is new is taken."""
        try:
            self.head = await self.mirror.fetch()
            if self._silent:
                self.events.put("git")
            self.fetched, self.error, self.trouble, self._silent = time.time(), "", "", False
        except GitError as error:
            self.trouble = "rewritten" if isinstance(error, RewrittenError) else "git"
            if str(error) != self.error:
                self.events.put("git", error=str(error))
            self.error, self._silent = str(error), True
        if self.head and self.head != self.taken:
            try:
                await self.take(self.head)
                self.taken = self.head
            except Exception as error:  # a file that brings a mistake of ours to light must not end the service
                said = str(error) if isinstance(error, FleetError) else f"fleet itself failed: {error!r}"
                if said != self.error:
                    self.events.put("refused", commit=self.head, error=said)
                self.error, self.trouble = said, "refused"
