"""A Session over any byte stream to a shell: what SSH and the local transport share.

One batch at a time; the shell is started when it is first needed and again after it was ended. The deadline is kept on
both sides: the host's watchdog ends the whole session, and this side stops waiting a moment later.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Mapping

from fleet.errors import Failure, TransportError
from fleet.model.step import Batch, Outcome, Report, Task, Witness
from fleet.transports.channel import GRACE, LEASE, Channel, Listener, Opener, end, greeting
from fleet.transports.frames import Reader
from fleet.transports.prelude import HALT, WRITING
from fleet.transports.resident import Resident
from fleet.transports.shell import again, kept, opening, script, sent

HALT_TIME = 10.0


class ShellSession:
    """See model/port.py: Session. limit: bytes of output kept per batch. patience: seconds until the shell answers.
    resident: where one can be had."""

    def __init__(
        self,
        opener: Opener,
        limit: int,
        patience: float,
        on_close: Callable[[], None] | None = None,
        resident: Resident | None = None,
    ) -> None:
        self._opener, self._limit, self._patience = opener, limit, patience
        self._on_close, self._resident = on_close, resident
        self._lock = asyncio.Lock()
        self._channel: Channel | None = None
        self._listener: Listener | None = None
        self._armed_until = 0.0
        self._round_trips = 0
        self._can_write = False  # whether the shell knows the functions that writing takes
        self._attempt = ""  # of the batch that writes at this moment
        self._looked: tuple[Task, ...] = ()  # the last look
        self._keeps = False  # whether the shell keeps it

    @property
    def round_trips(self) -> int:
        return self._round_trips

    async def perform(self, batch: Batch, report: Report | None = None) -> Mapping[str, Outcome]:
        async with self._lock:
            found = await self._from_resident(batch, report)
            if found is not None:
                return found
            hello = b""
            if self._channel is None or self._listener is None or self._listener.ended:
                hello = await self._start()
            channel, listener = self._channel, self._listener
            assert channel is not None and listener is not None
            self._attempt = batch.write.attempt if batch.write is not None else ""
            try:
                await self._send(batch, report, hello)
                async with asyncio.timeout(batch.deadline + GRACE):
                    await listener.changed.wait()
            except TimeoutError:
                pass
            except BaseException:  # cancelled, or no shell: nothing of ours may go on there
                self._channel = None
                await end(channel, listener)
                raise
            finally:
                self._attempt = ""
            if not listener.reader.done:
                self._channel = None
                await end(channel, listener)
                listener.reader.unfinished()
            return listener.reader.outcomes

    async def halt(self) -> None:
        """Over a second channel, since the first is busy."""
        channel, attempt = self._channel, self._attempt
        if channel is not None and attempt:
            with contextlib.suppress(TimeoutError, TransportError, OSError):
                async with asyncio.timeout(HALT_TIME):
                    await channel.beside(HALT, attempt)

    async def aclose(self) -> None:
        """Without its connection a shell ends by itself, so one that goes with its connection is not closed as well."""
        channel, self._channel = self._channel, None
        if self._on_close is not None:
            self._on_close()
            return
        if self._resident is not None:
            await self._resident.aclose()
        if channel is not None:
            await channel.close()

    async def _from_resident(self, batch: Batch, report: Report | None) -> Mapping[str, Outcome] | None:
        """Once the same was asked of the shell, which knows whether there is a host at all."""
        if self._resident is None or batch.tasks != self._looked or batch.write is not None:
            return None
        if self._listener is None or (self._listener.ended and not self._listener.exited):
            return None
        if len(batch.tasks) != 1 or not isinstance(batch.tasks[0].steps[0], Witness):
            return None
        found = await self._resident.ask(batch, report)
        self._round_trips += found is not None
        return found

    async def _start(self) -> bytes:
        marker = secrets.token_hex(16)
        self._listener = Listener(Reader(marker, self._limit))
        self._armed_until, self._can_write, self._keeps = 0.0, False, False
        self._channel = await self._opener(self._listener)
        return opening(marker)

    async def _send(self, batch: Batch, report: Report | None, hello: bytes) -> None:
        """A look goes out with the hello, in one round trip. What changes the host waits until there is a shell: so an
        error before the first answer means that nothing was begun."""
        channel, listener = self._channel, self._listener
        assert channel is not None and listener is not None
        text = self._text(batch)
        if hello and batch.write is not None:
            channel.write(sent(hello))
            await self._greeting(listener)
            hello = b""
        listener.changed.clear()
        if listener.ended:
            listener.changed.set()
        listener.reader.expect(batch.tasks, report)
        channel.write(sent(hello + text))
        self._round_trips += 1
        if hello:
            await self._greeting(listener)

    def _text(self, batch: Batch) -> bytes:
        """What the shell does not know yet. A look that is asked for again is one word from the third time on."""
        arm = self._arm(batch)
        if batch.write is not None:
            known, self._can_write = self._can_write, True
            return (b"" if known else WRITING.encode()) + script(batch, arm)
        if batch.tasks != self._looked:
            self._looked, self._keeps = batch.tasks, False
            return script(batch, arm)
        known, self._keeps = self._keeps, True
        return (b"" if known else kept(batch)) + again(arm)

    async def _greeting(self, listener: Listener) -> None:
        await greeting(listener, self._patience)
        if not listener.reader.pid:
            raise why_no_shell(listener.reader.noise + b"\n" + listener.last_words)

    def _arm(self, batch: Batch) -> float:
        """Seconds for the host's watchdog: exact for a write; for a look only when the lease is nearly used up."""
        now = time.monotonic()
        if batch.write is not None:
            self._armed_until = 0.0  # a write disarms when it is done
            return batch.deadline
        if self._armed_until - now >= batch.deadline:
            return 0
        lease = max(LEASE, batch.deadline)
        self._armed_until = now + lease
        return lease


def why_no_shell(said: bytes) -> TransportError:
    """The shell ended before it said hello: sudo and doas say why, and a login shell may refuse."""
    lines = [line for line in said.decode(errors="backslashreplace").splitlines() if line.strip()]
    text = " ".join(lines[-3:])[-300:]
    low = text.lower()
    if "password" in low or "authentication" in low or "a terminal is required" in low or "requiretty" in low:
        hint = "allow it without a password and terminal (sudoers: NOPASSWD, doas.conf: nopass), or log in as root"
        return TransportError(Failure.BECOME, f"becoming root needs a password: {text}", hint)
    if "sudo" in low or "doas" in low or "not allowed" in low or "operation not permitted" in low:
        return TransportError(Failure.BECOME, text, "check `become:` and the host's sudoers or doas.conf")
    hint = "does the user have a login shell that can run /bin/sh?"
    return TransportError(Failure.SHELL, text or "the login shell ended at once", hint)
