"""A Session over any byte stream to a shell: what SSH and the local transport share.

One batch at a time; the shell is started when it is first needed and again after it was ended. The deadline is kept on
both sides: the host's watchdog ends the whole session, and this side stops waiting a moment later.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from fleet.errors import Failure, TransportError
from fleet.model.step import Batch, Outcome, Report, Task
from fleet.transports.frames import Reader
from fleet.transports.prelude import HALT, WRITING
from fleet.transports.shell import again, kept, opening, script, sent

# How long the host has to end a script by itself before this side gives up on it, and how long ending it may take.
GRACE = 2.0
END_TIME = 2.5
HALT_TIME = 10.0
# A shell left alone this long ends itself; a look re-arms it only when too little is left (no fork in a usual sweep).
LEASE = 900.0


class Channel(Protocol):
    """A running shell: its input, and its ends.

    end: ends everything of that session (its id, 0: unknown) on the host, then closes. Bounded by who calls it.
    beside: runs constant sh text with one word in another shell of the same user; whether that ended well.
    """

    def write(self, data: bytes) -> None: ...

    async def end(self, session: int) -> None: ...

    async def beside(self, text: str, word: str) -> bool: ...

    async def close(self) -> None: ...


class Listener:
    """Hears the shell's output and its end. Who waits for `changed` looks at the reader and at `ended`.

    exited: the shell ended by itself and the host said so; else, once `ended`, the connection is gone: nobody knows.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.greeted = asyncio.Event()
        self.changed = asyncio.Event()
        self.ended = False
        self.exited = False
        self.last_words = b""

    def data(self, data: bytes) -> None:
        self.reader.feed(data)
        if self.reader.pid:
            self.greeted.set()
        if self.reader.done or self.reader.overflow:
            self.changed.set()

    def error_text(self, data: bytes) -> None:
        self.last_words = (self.last_words + data)[-4096:]

    def end(self) -> None:
        self.ended = True
        self.greeted.set()
        self.changed.set()


# Starts a shell. Raises TransportError, classified.
Opener = Callable[[Listener], Awaitable[Channel]]


class ShellSession:
    """See model/port.py: Session. limit: bytes of output kept per batch. patience: seconds until the shell answers."""

    def __init__(self, opener: Opener, limit: int, patience: float, on_close: Callable[[], None] | None = None) -> None:
        self._opener, self._limit, self._patience = opener, limit, patience
        self._on_close = on_close
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
                await self._end(channel, listener)
                raise
            finally:
                self._attempt = ""
            if not listener.reader.done:
                await self._end(channel, listener)
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
        elif channel is not None:
            await channel.close()

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
        try:
            async with asyncio.timeout(self._patience):
                await listener.greeted.wait()
        except TimeoutError as error:
            message = f"the shell said nothing within {self._patience:g} s"
            hint = "does its login shell's start-up file wait for something?"
            raise TransportError(Failure.TIMEOUT, message, hint) from error
        if not listener.reader.pid:
            if not listener.exited:
                raise TransportError(Failure.LOST, "the connection was lost before the shell answered")
            raise why_no_shell(listener.reader.noise + b"\n" + listener.last_words)

    async def _end(self, channel: Channel, listener: Listener) -> None:
        """End what runs on the host (its whole session), then this shell. Bounded; another cancel does not stop it."""
        self._channel = None

        async def end() -> None:
            try:
                if not listener.ended:  # by itself: then its watchdog has seen to the rest, or will
                    with contextlib.suppress(TimeoutError, TransportError, OSError):
                        async with asyncio.timeout(END_TIME):
                            await channel.end(listener.reader.session)
            finally:
                await channel.close()

        await asyncio.shield(asyncio.create_task(end()))

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
