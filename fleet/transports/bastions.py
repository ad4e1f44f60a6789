"""Connections to bastions: one each, shared by all hosts behind it, opened anew once it is gone.

A breaker each: hundreds of hosts behind a bastion that is down do not hammer it, and hear at once why they cannot be
reached. A refused login is not tried again for long: each host behind it would count as one more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from fleet.errors import TransportError
from fleet.model.host import Target
from fleet.pacing.backoff import Backoff
from fleet.pacing.breaker import Breaker

FAILURES = 2  # each has had its own tries
REST = Backoff(base=10.0, cap=60.0)
REFUSED = 600.0  # seconds until a bastion that let nobody in is asked once more

STALE = 900.0  # seconds after which nobody is behind it any more: each host is tried more often than that


class Connection(Protocol):
    def is_closed(self) -> bool: ...

    def abort(self) -> None: ...


C = TypeVar("C", bound=Connection)


@dataclass(slots=True)
class _Bastion(Generic[C]):
    """error: why it could not be reached when it was last tried, at `failed`. asked: when somebody last wanted it."""

    breaker: Breaker = field(default_factory=lambda: Breaker(FAILURES, REST))
    task: asyncio.Task[C] | None = None
    error: TransportError | None = None
    failed: float = 0.0
    asked: float = 0.0


class Bastions(Generic[C]):
    """connect: opens a connection, with tries of its own; raises TransportError. now: seconds of a clock that never
    goes back. chance: a number in [0, 1) for jitter."""

    def __init__(
        self, connect: Callable[[Target], Awaitable[C]], now: Callable[[], float], chance: Callable[[], float]
    ) -> None:
        self._connect, self._now, self._chance = connect, now, chance
        self._known: dict[Target, _Bastion[C]] = {}

    async def get(self, target: Target) -> C:
        """Raises TransportError, which names the bastion."""
        one = self._known.setdefault(target, _Bastion())
        one.asked = self._now()
        if one.task is None or self._gone(one):
            pause = one.breaker.wait(self._now())
            if pause > 0 and one.error is not None:
                message = f"not tried again for {max(pause, 1):.0f} s: {one.error.message}"
                raise _named(target, one.error, message)
            one.breaker.begin(self._now())
            one.task = asyncio.create_task(self._opened(target, one))
        try:
            return await asyncio.shield(one.task)
        except TransportError as error:
            raise _named(target, error, error.message) from error

    @property
    def breakers(self) -> Mapping[str, str]:
        """Those that are wanted, as "bastion HOST" → open | half open. Of two ways to one, the worse."""
        found: dict[str, str] = {}
        for target, one in self._known.items():
            if self._now() - one.asked > STALE:
                continue
            state, name = one.breaker.state(self._now()), f"bastion {target.host}"
            if state == "open" or (state == "half open" and name not in found):
                found[name] = state
        return found

    async def aclose(self) -> None:
        known, self._known = list(self._known.values()), {}
        for one in known:
            if one.task is not None:
                one.task.cancel()
                with contextlib.suppress(asyncio.CancelledError, TransportError):
                    (await one.task).abort()

    async def _opened(self, target: Target, one: _Bastion[C]) -> C:
        try:
            found = await self._connect(target)
        except BaseException as error:
            one.failed = self._now()
            one.error = error if isinstance(error, TransportError) else None
            one.breaker.failed(one.failed, self._chance())
            raise
        one.breaker.succeeded()
        return found

    def _gone(self, one: _Bastion[C]) -> bool:
        """Whether another try may make it better."""
        task = one.task
        if task is None or not task.done():
            return False
        if task.cancelled():
            return True
        error = task.exception()
        if error is None:
            return task.result().is_closed()
        if isinstance(error, TransportError) and not error.failure.retryable:
            return self._now() - one.failed >= REFUSED
        return True


def _named(target: Target, error: TransportError, message: str) -> TransportError:
    return TransportError(error.failure, f"bastion {target.host}: {message}", error.hint)
