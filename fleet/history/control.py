"""What a controller must remember from one life to the next: which revision each environment is at, what people
ordered, and who asked for what. Everything here is on disk when the call returns."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiosqlite

from fleet.errors import HistoryError
from fleet.history import statements
from fleet.history.records import Audited, Ordered, Taken
from fleet.history.writer import Writer

Rows = Callable[[str, Mapping[str, Any]], Awaitable[list[aiosqlite.Row]]]


class Control:
    """Part of a History. Every method raises HistoryError when the disk refuses."""

    def __init__(self, writer: Writer, rows: Rows) -> None:
        self._writer, self._rows = writer, rows

    async def take(self, one: Taken) -> None:
        row = (one.environment, one.revision, one.before, one.since, one.rollout)
        await self._writer.commit((statements.TAKE, [row]))

    async def leave(self, environment: str) -> None:
        """There is no such environment any more."""
        await self._writer.commit((statements.LEAVE, [(environment,)]))

    async def taken(self) -> dict[str, Taken]:
        """By environment."""
        rows = await self._rows(statements.TAKEN, {})
        return {row["environment"]: Taken(*row) for row in rows}

    async def order(self, one: Ordered) -> None:
        """Said twice, the first time stays."""
        async with self._writer.transaction() as connection:
            await connection.execute(statements.ORDER, (one.scope, one.who, one.reason, one.since))
            await add_audit(connection, one.who, "order", {"scope": one.scope, "reason": one.reason})

    async def lift(self, scope: str, who: str) -> None:
        async with self._writer.transaction() as connection:
            await connection.execute(statements.LIFT, (scope,))
            await add_audit(connection, who, "lift", {"scope": scope})

    async def orders(self) -> list[Ordered]:
        """Those that hold, the oldest first."""
        return [Ordered(*row) for row in await self._rows(statements.ORDERS, {})]

    async def audit(self, who: str, action: str, said: Mapping[str, Any]) -> None:
        async with self._writer.transaction() as connection:
            await add_audit(connection, who, action, said)

    async def audited(self) -> list[Audited]:
        """Everything, the oldest first. Raises HistoryError naming the first entry that the chain does not bear out."""
        found, chain = [], ""
        for row in await self._rows(statements.AUDITED, {}):
            chain = _chained(chain, row["at"], row["who"], row["action"], row["said"])
            if chain != row["chain"]:
                raise HistoryError(f"entry {row['id']} of the audit, or the one before it, is not as it was written")
            found.append(Audited(row["id"], row["at"], row["who"], row["action"], json.loads(row["said"]), chain))
        return found


async def add_audit(connection: aiosqlite.Connection, who: str, action: str, said: Mapping[str, Any]) -> None:
    """One more entry, within the caller's transaction."""
    last = await connection.execute_fetchall(statements.LAST_AUDIT)
    text, now = json.dumps(said, sort_keys=True), time.time()
    before = next(iter(last))[0] if last else ""
    row = statements.clean([now, who, action, text, _chained(before, now, who, action, text)])
    await connection.execute(statements.AUDIT, row)


def _chained(before: str, *said: object) -> str:
    """Lengths stand before texts, so that no two entries read alike."""
    texts = [before, *(repr(one) if isinstance(one, float) else str(one) for one in said)]
    whole = "".join(f"{len(text)}:{text}" for text in texts)
    return hashlib.sha256(whole.encode(errors="backslashreplace")).hexdigest()
