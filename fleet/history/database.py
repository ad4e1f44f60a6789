"""Open the file: private to its owner, in WAL mode, migrated, and every error of SQLite told as a HistoryError."""

from __future__ import annotations

import asyncio
import os
import secrets
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite

from fleet.errors import HistoryError
from fleet.history.alive import Locks
from fleet.history.schema import MIGRATIONS

BUSY_SECONDS = 10.0
KEY_BYTES = 32


@asynccontextmanager
async def told(path: Path) -> AsyncIterator[None]:
    """SQLite's and the system's words become a HistoryError that names the file and what to do."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise HistoryError(f"the record {path} cannot be used: {error}; {_advice(error)}") from error


def _advice(error: Exception) -> str:
    text = str(error).lower()
    if "full" in text or "space" in text:
        return "nothing is changed on hosts without a record: make room and run again"
    if "locked" in text:
        return f"another process kept it for {BUSY_SECONDS:.0f} s: run again once that is done"
    if "not a database" in text or "malformed" in text:
        return "move it away to begin a new one, or put a backup in its place"
    if any(word in text for word in ("readonly", "read-only", "permission", "unable to open")):
        return "it must be writable for this user: name another place with FLEET_STATE_DIR"
    if isinstance(error, FileNotFoundError | NotADirectoryError | FileExistsError):
        return "its directory cannot be made there: name another place with FLEET_STATE_DIR"
    return "run again; if it stays, move the file away to begin a new one"


def prepare(path: Path) -> tuple[Locks, bytes]:
    """Directory and files for their owner only; the locks and the key of this database. Blocks."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _private(path)
    return Locks(path.with_suffix(".lock")), _key(path.with_suffix(".key"))


def _private(path: Path) -> None:
    """SQLite gives its journals the mode of the database, so that is what must be right from the first byte."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.fstat(descriptor).st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def _key(path: Path) -> bytes:
    """The key of the digests of secrets, beside the database and not in it: a copy of the database tells no guesses.

    Whoever comes first makes it, whole or not at all. A lost key costs only that old digests compare with no new one.
    """
    if not path.exists():
        own = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        try:
            with os.fdopen(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            os.link(own, path)
        except FileExistsError:
            pass
        finally:
            own.unlink(missing_ok=True)
    return path.read_bytes()


async def connect(path: Path) -> aiosqlite.Connection:
    """A connection that commits when it is told to, waits for other processes, and syncs every commit."""
    connection = await aiosqlite.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        await connection.execute("PRAGMA journal_mode = WAL")
        await connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        await connection.close()
        raise
    return connection


async def open_database(
    path: Path, locks: Locks, migrations: Sequence[Sequence[str]] = MIGRATIONS
) -> aiosqlite.Connection:
    """Connect and migrate while no other process does the same (the switch to WAL does not wait by itself)."""
    await asyncio.to_thread(locks.__enter__)
    try:
        connection = await connect(path)
        try:
            await migrate(connection, path, migrations)
        except BaseException:
            await connection.close()
            raise
        return connection
    finally:
        locks.__exit__(None, None, None)


async def migrate(connection: aiosqlite.Connection, path: Path, migrations: Sequence[Sequence[str]]) -> None:
    """Each missing migration once, in a transaction of its own. Raises HistoryError for a newer database."""
    version = await _version(connection)
    if version > len(migrations):
        raise HistoryError(
            f"the record {path} has format {version}, and this fleet knows formats up to {len(migrations)}: "
            "use the fleet that wrote it, or a newer one"
        )
    for number in range(version, len(migrations)):
        await connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in migrations[number]:
                await connection.execute(statement)
            await connection.execute(f"PRAGMA user_version = {number + 1:d}")
            await connection.execute("COMMIT")
        except BaseException:
            await connection.rollback()
            raise


async def _version(connection: aiosqlite.Connection) -> int:
    async with connection.execute("PRAGMA user_version") as cursor:
        row = await cursor.fetchone()
    return int(row[0]) if row else 0
