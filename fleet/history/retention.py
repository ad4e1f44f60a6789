"""What is old goes; what is still asked for stays: the latest pass of a host, intents whose end nobody knows, audit.

What is to go is found beside everything else, on a connection of its own, and goes in small transactions: an intent, or
a freeze, does not wait until a controller has forgotten a year.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import aiosqlite

from fleet.history.database import connect, told
from fleet.model.executed import LONGEST

# In this order: a run goes after all that was in it.
OLD = {
    "passes": """SELECT id FROM passes WHERE ended < :before
        AND id NOT IN (SELECT max(id) FROM passes GROUP BY environment, host)""",
    "changes": "SELECT id FROM changes WHERE status IS NOT NULL AND coalesce(ended, intended) < :before",
    "execs": "SELECT id FROM execs WHERE coalesce(ended, intended + :longest) < :before",
    "runs": """SELECT id FROM runs WHERE finished IS NOT NULL AND finished < :before
        AND NOT EXISTS (SELECT 1 FROM passes WHERE passes.run = runs.id)
        AND NOT EXISTS (SELECT 1 FROM changes WHERE changes.run = runs.id)
        AND NOT EXISTS (SELECT 1 FROM execs WHERE execs.run = runs.id)""",
}
FORGET = "DELETE FROM {table} WHERE id IN (SELECT value FROM json_each(:gone))"
# See encoding.py: a reference is an object with one of these keys, which no key of a user's is.
WANTED = """SELECT found.atom FROM changes, json_tree(changes.before) AS found
        WHERE changes.id > :after AND (instr(changes.before, '"$content"') OR instr(changes.before, '"$text"'))
        AND found.type = 'text' AND found.key IN ('$content', '$text')
    UNION
    SELECT found.atom FROM changes, json_tree(changes.after) AS found
        WHERE changes.id > :after AND (instr(changes.after, '"$content"') OR instr(changes.after, '"$text"'))
        AND found.type = 'text' AND found.key IN ('$content', '$text')"""
CONTENTS = "SELECT digest FROM contents WHERE digest NOT IN ({wanted})"
FORGET_CONTENTS = """DELETE FROM contents
    WHERE digest IN (SELECT value FROM json_each(:gone)) AND digest NOT IN ({wanted})"""

NEWEST = """SELECT max(at) AS at FROM (SELECT max(ended) AS at FROM passes UNION ALL SELECT max(looked) FROM looks
    UNION ALL SELECT max(started) FROM runs UNION ALL SELECT max(at) FROM audit)"""

AT_ONCE = 2000  # rows in one transaction
Transaction: TypeAlias = Callable[[], AbstractAsyncContextManager[aiosqlite.Connection]]


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many of each are gone."""

    runs: int
    passes: int
    changes: int
    execs: int
    contents: int


async def prune(path: Path, transaction: Transaction, before: float, at_once: int = AT_ONCE) -> Pruned:
    """before: Unix seconds. Where it is interrupted, the next time goes on. Raises HistoryError."""

    async def forget(sql: str, keys: Sequence[Any], after: int = 0) -> int:
        count = 0
        for start in range(0, len(keys), at_once):
            async with transaction() as connection:
                gone = {"gone": json.dumps(keys[start : start + at_once]), "after": after}
                count += (await connection.execute(sql, gone)).rowcount
        return count

    async with _reading(path) as found:
        asked = {"before": before, "longest": LONGEST}
        gone = {
            table: await forget(FORGET.format(table=table, key="id"), await found(old, asked))
            for table, old in OLD.items()
        }
        # A change that comes later is younger than `newest`, and may want a content that none before it wanted.
        (newest,) = await found("SELECT coalesce(max(id), 0) FROM changes", {})
        unwanted = await found(CONTENTS.format(wanted=WANTED), {"after": 0}) if gone["changes"] else ()
        return Pruned(**gone, contents=await forget(FORGET_CONTENTS.format(wanted=WANTED), unwanted, newest))


@asynccontextmanager
async def _reading(path: Path) -> AsyncIterator[Callable[[str, Mapping[str, float]], Awaitable[list[Any]]]]:
    """What a question finds: the first column of its rows."""
    async with told(path):
        connection = await connect(path)
        try:
            await connection.execute("PRAGMA query_only = ON")

            async def found(sql: str, asked: Mapping[str, float]) -> list[Any]:
                return [row[0] for row in await connection.execute_fetchall(sql, asked)]

            yield found
        finally:
            await connection.close()
