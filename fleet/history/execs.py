"""What people ran by hand on hosts: on disk as intended before a byte is sent, its result after, and who asked for it.

A record is told beside the drift of its host until a look that began after it found that host in sync again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import aiosqlite

from fleet.history.control import add_audit
from fleet.history.masked import Mask
from fleet.history.records import ExecRecord
from fleet.history.statements import clean
from fleet.history.writer import Writer
from fleet.model.executed import LONGEST, Ended, Executed, Execution

Rows = Callable[[str, Mapping[str, Any]], Awaitable[list[aiosqlite.Row]]]
Alive = Callable[[set[int]], set[int]]

INTEND = """INSERT INTO execs (run, environment, host, who, reason, command, intended) VALUES (?, ?, ?, ?, ?, ?, ?)"""
RESULT = """UPDATE execs SET ended = ?, status = ?, code = ?, output = ?, truncated = ?, error = ?, seconds = ?
    WHERE run = ? AND environment = ? AND host = ? AND status IS NULL"""
_ASKED = """(:run IS NULL OR run = :run) AND (:environment = '' OR environment = :environment)
    AND (:host = '' OR host = :host)"""
EXECS = f"""SELECT * FROM execs WHERE {_ASKED}
    AND run IN (SELECT DISTINCT run FROM execs WHERE {_ASKED} ORDER BY run DESC LIMIT :calls)
    ORDER BY id DESC"""  # noqa: S608 - constant
NOTHING_RUN = (str(Ended.CONFLICT), str(Ended.UNREACHABLE), str(Ended.SKIPPED))
UNSETTLED = """SELECT execs.* FROM execs LEFT JOIN looks USING (environment, host)
    WHERE (looks.in_sync IS NULL OR coalesce(execs.ended, execs.intended + :longest) >= looks.in_sync)
    AND (execs.status IS NULL OR execs.status NOT IN (SELECT value FROM json_each(:nothing)))
    ORDER BY execs.id DESC LIMIT :limit"""


class Execs:
    """Part of a History. Every method raises HistoryError when the disk refuses. mask: takes secrets out."""

    def __init__(self, writer: Writer, rows: Rows, alive: Alive, mask: Mask) -> None:
        self._writer, self._rows, self._alive, self._mask = writer, rows, alive, mask

    async def intend(self, run: int, one: Execution) -> None:
        """Returns once it is on disk and in the audit: before that nothing may be sent to any host."""
        reason, command, now = self._mask(one.reason), self._mask(one.command), time.time()
        rows = [clean([run, *host, one.who, reason, command, now]) for host in one.hosts]
        hosts = ["/".join(host) for host in one.hosts]
        async with self._writer.transaction() as connection:
            await connection.executemany(INTEND, rows)
            said = {"run": run, "reason": reason, "command": command, "hosts": hosts}
            await add_audit(connection, one.who, "exec", said)

    async def ended(self, run: int, one: Executed) -> None:
        """What became of it on one host. Batched."""
        said = self._mask({"output": one.output, "error": one.error})
        row = [time.time(), str(one.status), one.code, said["output"], one.truncated, said["error"], one.seconds]
        self._writer.put((RESULT, [clean([*row, run, one.environment, one.host])]))

    async def all(
        self, run: int | None = None, environment: str = "", host: str = "", calls: int = 1000
    ) -> list[ExecRecord]:
        """The latest first; all that is given must hold. calls: at most so many, each with all its hosts."""
        asked = {"run": run, "environment": environment, "host": host, "calls": calls}
        return self._read(await self._rows(EXECS, asked))

    async def unsettled(self, limit: int = 1000) -> dict[tuple[str, str], list[ExecRecord]]:
        """(environment, host) → what was run there, or may have been, since it was last found in sync; the latest
        first."""
        asked = {"nothing": json.dumps(NOTHING_RUN), "longest": LONGEST, "limit": limit}
        found: dict[tuple[str, str], list[ExecRecord]] = {}
        for one in self._read(await self._rows(UNSETTLED, asked)):
            found.setdefault((one.environment, one.host), []).append(one)
        return found

    def _read(self, rows: Sequence[aiosqlite.Row]) -> list[ExecRecord]:
        """Who has no result and no process any more: nobody knows."""
        running = self._alive({row["run"] for row in rows if row["status"] is None})
        return [_record(row, row["run"] in running) for row in rows]


def _record(row: aiosqlite.Row, running: bool) -> ExecRecord:
    said = {name: row[name] for name in row.keys()}  # noqa: SIM118 - a Row iterates over its values
    status = said["status"] or ("running" if running else str(Ended.UNKNOWN))
    return ExecRecord(
        **{**said, "status": status, "output": bytes(said["output"]), "truncated": bool(said["truncated"])}
    )
