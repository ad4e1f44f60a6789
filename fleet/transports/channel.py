"""A program on a host that speaks frames, a shell or the resident: how it is written to, heard and ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

from fleet.errors import Failure, TransportError
from fleet.transports.frames import Reader

# How long the host has to end a script by itself before this side gives up on it, and how long ending it may take.
GRACE = 2.0
END_TIME = 2.5
# Who is left alone this long ends by itself.
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


async def greeting(listener: Listener, patience: float) -> None:
    """Until it said hello, or ended. Raises TransportError after `patience` seconds of silence, or without a host."""
    try:
        async with asyncio.timeout(patience):
            await listener.greeted.wait()
    except TimeoutError as error:
        message = f"the shell said nothing within {patience:g} s"
        hint = "does its login shell's start-up file wait for something?"
        raise TransportError(Failure.TIMEOUT, message, hint) from error
    if not listener.reader.pid and not listener.exited:
        raise TransportError(Failure.LOST, "the connection was lost before the shell answered")


async def end(channel: Channel, listener: Listener) -> None:
    """End what runs on the host (its whole session), then itself. Bounded; another cancel does not stop it."""

    async def all_of_it() -> None:
        try:
            if not listener.ended:  # by itself: then its watchdog has seen to the rest, or will
                with contextlib.suppress(TimeoutError, TransportError, OSError):
                    async with asyncio.timeout(END_TIME):
                        await channel.end(listener.reader.session)
        finally:
            await channel.close()

    await asyncio.shield(asyncio.create_task(all_of_it()))
