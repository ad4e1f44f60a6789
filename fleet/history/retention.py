"""What is old goes; what is still asked for stays: the latest pass of a host, intents whose end nobody knows, audit."""

from __future__ import annotations

import json
from dataclasses import dataclass

import aiosqlite

from fleet.history.read import references
from fleet.model.executed import LONGEST

PASSES = """DELETE FROM passes WHERE ended < :before
    AND id NOT IN (SELECT max(id) FROM passes GROUP BY environment, host)"""
CHANGES = "DELETE FROM changes WHERE status IS NOT NULL AND coalesce(ended, intended) < :before"
EXECS = "DELETE FROM execs WHERE coalesce(ended, intended + :longest) < :before"
RUNS = """DELETE FROM runs WHERE finished IS NOT NULL AND finished < :before
    AND NOT EXISTS (SELECT 1 FROM passes WHERE passes.run = runs.id)
    AND NOT EXISTS (SELECT 1 FROM changes WHERE changes.run = runs.id)
    AND NOT EXISTS (SELECT 1 FROM execs WHERE execs.run = runs.id)"""
KEPT = """SELECT before, after FROM changes WHERE instr(before, '$content') > 0 OR instr(after, '$content') > 0"""
CONTENTS = "DELETE FROM contents WHERE digest NOT IN (SELECT value FROM json_each(:digests))"

NEWEST = """SELECT max(at) AS at FROM (SELECT max(ended) AS at FROM passes UNION ALL SELECT max(looked) FROM looks
    UNION ALL SELECT max(started) FROM runs UNION ALL SELECT max(at) FROM audit)"""


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many of each are gone."""

    runs: int
    passes: int
    changes: int
    execs: int
    contents: int


async def prune(connection: aiosqlite.Connection, before: float) -> Pruned:
    """All of it in the caller's transaction. before: Unix seconds."""
    asked = {"before": before, "longest": LONGEST}
    passes = (await connection.execute(PASSES, asked)).rowcount
    changes = (await connection.execute(CHANGES, asked)).rowcount
    execs = (await connection.execute(EXECS, asked)).rowcount
    runs = (await connection.execute(RUNS, asked)).rowcount
    async with connection.execute(KEPT) as cursor:
        cursor.row_factory = aiosqlite.Row
        kept = references(list(await cursor.fetchall()))
    contents = (await connection.execute(CONTENTS, {"digests": json.dumps(kept)})).rowcount
    return Pruned(runs, passes, changes, execs, contents)
