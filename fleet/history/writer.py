"""One task writes. What may wait is gathered; what must be on disk is written at once, with all that waited.

So two hundred hosts that intend at the same moment share a few syncs instead of paying for two hundred. Every commit is
a synced one. What could not be written is kept and tried again; an intent that could not be written is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import aiosqlite

from fleet.errors import HistoryError
from fleet.history.database import told

# One statement and the rows to run it for.
Work: TypeAlias = tuple[str, Sequence[Sequence[Any]]]


@dataclass(slots=True)
class _Item:
    work: Sequence[Work]
    done: asyncio.Future[None] | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """When a batch is written: this many items, or this many seconds after its first. backlog: items kept at most while
    the disk refuses them; retry: seconds until it is asked again."""

    items: int = 200
    seconds: float = 0.25
    backlog: int = 20_000
    retry: float = 2.0


class Writer:
    """Owns the connection that writes. Open it with `start`, end it with `aclose`."""

    def __init__(self, connection: aiosqlite.Connection, path: Path, limits: Limits) -> None:
        self._connection = connection
        self._path = path
        self._limits = limits
        self._pending: list[_Item] = []
        self._some = asyncio.Event()
        self._now = asyncio.Event()
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._broken: HistoryError | None = None
        self.commits = 0

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="history writer")

    def put(self, *work: Work) -> None:
        """Written with the next batch. Raises HistoryError when the disk has refused too much already."""
        self._refuse_if_broken()
        if len(self._pending) >= self._limits.backlog:
            raise HistoryError(f"the record {self._path} is {len(self._pending)} entries behind: is its disk full?")
        self._pending.append(_Item(work))
        self._some.set()
        if len(self._pending) % self._limits.items == 0:
            self._now.set()

    async def commit(self, *work: Work) -> None:
        """Returns once this, and all that was put before it, is on disk. Raises HistoryError: `work` is refused."""
        self._refuse_if_broken()
        item = _Item(work, asyncio.get_running_loop().create_future())
        assert item.done is not None
        self._pending.append(item)
        self._some.set()
        self._now.set()
        await item.done

    def _refuse_if_broken(self) -> None:
        if self._broken is not None:
            raise self._broken
        if self._task is None or self._task.done():
            raise HistoryError(f"the record {self._path} is closed")

    async def flush(self) -> None:
        """All that was put is on disk. Raises HistoryError."""
        if self._pending or self._lock.locked() or self._broken is not None:
            await self.commit()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        """One transaction, on disk when the block ends, undone when it raises."""
        async with self._lock, told(self._path):
            try:
                await self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                await self._connection.execute("COMMIT")
                self.commits += 1
            except BaseException:
                # SQLite may have rolled back by itself (disk full); then there is nothing to undo.
                with suppress(aiosqlite.Error):
                    await asyncio.shield(self._connection.rollback())
                raise

    async def aclose(self) -> None:
        """Write what waits and close. Raises HistoryError when that cannot be written."""
        try:
            await self.flush()
        finally:
            if self._task is not None:
                self._task.cancel()
                with suppress(asyncio.CancelledError):
                    await self._task
            await self._connection.close()

    async def _run(self) -> None:
        while True:
            await self._some.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._limits.seconds):
                    await self._now.wait()
            batch, self._pending = self._pending, []
            self._some.clear()
            self._now.clear()
            if not await self._write(batch):
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._limits.retry):
                        await self._now.wait()

    async def _write(self, batch: list[_Item]) -> bool:
        try:
            async with self.transaction() as connection:
                for sql, rows in _joined(batch):
                    await connection.executemany(sql, rows)
        except HistoryError as error:
            kept = [item for item in batch if item.done is None]
            self._pending[:0] = kept
            if self._pending:
                self._some.set()
            _tell(batch, error)
            return False
        except Exception as error:
            # A mistake of ours, not of the disk: repeating it helps nobody, and nothing may go on without a record.
            self._broken = HistoryError(f"the record {self._path} cannot be written: {error!r}")
            self._broken.__cause__ = error
            _tell(batch, self._broken)
            return False
        _tell(batch, None)
        return True


def _joined(batch: list[_Item]) -> list[Work]:
    """The rows of all items by statement, statements in the order in which they first came."""
    joined: dict[str, list[Sequence[Any]]] = {}
    for item in batch:
        for sql, rows in item.work:
            joined.setdefault(sql, []).extend(rows)
    return [(sql, rows) for sql, rows in joined.items() if rows]


def _tell(batch: list[_Item], error: HistoryError | None) -> None:
    for item in batch:
        if item.done is None or item.done.done():
            continue
        if error is None:
            item.done.set_result(None)
        else:
            item.done.set_exception(error)
