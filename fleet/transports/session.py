"""A Session over any byte stream to a shell: what SSH and the local transport share.

One batch at a time; the shell is started when it is first needed and again after it was killed. The deadline is kept on
both sides: the host's watchdog ends the whole session, and this side stops waiting a moment later.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from fleet.errors import Failure, TransportError
from fleet.model.step import Batch, Outcome, Report
from fleet.transports.frames import Reader
from fleet.transports.shell import opening, script

# How long the host has to end a script by itself before this side gives up on it, and how long a kill may take.
GRACE = 2.0
KILL_TIME = 3.0
# A shell left alone this long ends itself; a look re-arms it only when too little is left (no fork in a usual sweep).
LEASE = 900.0
# bash reads a script on a pipe byte by byte; more than this goes to it in blocks, through head.
BASH_BLOCK = 2048


class Channel(Protocol):
    """A running shell's input, and the ways to end it."""

    def write(self, data: bytes) -> None: ...

    async def kill(self, session: int) -> None: ...

    def close(self) -> None: ...


class Listener:
    """Hears the shell's output and its end. Woken parties look at the reader and at `ended`."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.changed = asyncio.Event()
        self.ended = False
        self.last_words = b""

    def data(self, data: bytes) -> None:
        self.reader.feed(data)
        if self.reader.done or self.reader.overflow:
            self.changed.set()

    def error_text(self, data: bytes) -> None:
        self.last_words = (self.last_words + data)[-4096:]

    def end(self) -> None:
        self.ended = True
        self.changed.set()


class Opener(Protocol):
    """Starts a shell. Raises TransportError, classified."""

    async def __call__(self, listener: Listener) -> Channel: ...


class ShellSession:
    """See model/port.py: Session. `limit`: bytes of output kept per batch."""

    def __init__(self, opener: Opener, limit: int, on_close: Callable[[], None] | None = None) -> None:
        self._opener, self._limit, self._on_close = opener, limit, on_close
        self._lock = asyncio.Lock()
        self._channel: Channel | None = None
        self._listener: Listener | None = None
        self._armed_until = 0.0
        self._round_trips = 0

    @property
    def round_trips(self) -> int:
        return self._round_trips

    async def perform(self, batch: Batch, report: Report | None = None) -> Mapping[str, Outcome]:
        async with self._lock:
            sent = b""
            if self._listener is None or self._listener.ended or self._channel is None:
                sent = await self._start()
            channel, listener = self._channel, self._listener
            assert channel is not None and listener is not None
            reader = listener.reader
            reader.expect(batch.tasks, report)
            listener.changed.clear()
            channel.write(sent + self._block(script(batch, self._arm(batch)), reader.bash))
            self._round_trips += 1
            await self._wait(batch, listener, channel)
            return reader.outcomes

    async def aclose(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._on_close is not None:
            self._on_close()
            self._on_close = None

    async def _start(self) -> bytes:
        marker = secrets.token_hex(16)
        self._listener = Listener(Reader(marker, self._limit))
        self._armed_until = 0.0
        self._channel = await self._opener(self._listener)
        return opening(marker)

    async def _wait(self, batch: Batch, listener: Listener, channel: Channel) -> None:
        reader = listener.reader
        try:
            async with asyncio.timeout(batch.deadline + GRACE):
                await listener.changed.wait()
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            await self._end(channel, reader.sid)
            raise
        if reader.done:
            return
        silent = listener.ended and not reader.greeted
        await self._end(channel, reader.sid)
        if silent:
            raise TransportError(*_why_no_shell(listener.last_words))
        reader.unfinished(truncated=reader.overflow)

    async def _end(self, channel: Channel, session: int) -> None:
        """End what runs on the host (its whole session), then this shell. Bounded, and cancel-proof."""
        self._channel = None
        if session:
            with contextlib.suppress(TimeoutError, TransportError, OSError):
                async with asyncio.timeout(KILL_TIME):
                    await asyncio.shield(channel.kill(session))
        channel.close()

    def _arm(self, batch: Batch) -> float:
        """Seconds for the host's watchdog: exact for a write; for a look only when the lease is nearly used up."""
        now = time.monotonic()
        if batch.write is not None:
            self._armed_until = 0.0  # a write disarms when it is done
            return batch.deadline
        if self._armed_until - now >= batch.deadline:
            return 0
        self._armed_until = now + LEASE
        return LEASE

    @staticmethod
    def _block(text: bytes, bash: bool) -> bytes:
        if not bash or len(text) <= BASH_BLOCK:
            return text
        return b'eval "$(head -c %d)"\n' % len(text) + text


def _why_no_shell(last_words: bytes) -> tuple[Failure, str, str]:
    """The shell ended before it said anything: sudo and doas say why, and a login shell may refuse."""
    said = last_words.decode(errors="backslashreplace").strip()
    low = said.lower()
    if "password" in low or "authentication" in low or "a terminal is required" in low:
        hint = "allow it without a password (sudoers: NOPASSWD, doas.conf: nopass), or log in as root"
        return Failure.BECOME, f"becoming root needs a password: {said[-200:]}", hint
    if "sudo" in low or "doas" in low or "not allowed" in low or "operation not permitted" in low:
        return Failure.BECOME, said[-300:], "check `become:` and the host's sudoers or doas.conf"
    return Failure.SHELL, said[-300:] or "the login shell ended at once", "does the user have a POSIX login shell?"
