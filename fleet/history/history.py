"""The record of one controller: intent before, result after, in order, honest about what nobody knows.

`intend` and `start_run` return once they are on disk; results are batched. Several processes may have it open. Reading
writes out first what this process has in hand, so that it sees its own words.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import aiosqlite

from fleet.history import encoding, read, statements
from fleet.history.alive import Locks
from fleet.history.control import Control
from fleet.history.database import connect, open_database, prepare, told
from fleet.history.execs import Execs
from fleet.history.masked import Mask, masked_plan, masked_result
from fleet.history.records import ChangeRecord, Content, PassRecord, RunRecord
from fleet.history.retention import AT_ONCE, NEWEST, Pruned, prune
from fleet.history.who import who
from fleet.history.writer import Limits, Writer
from fleet.model.change import PassResult, Plan
from fleet.model.made import Made

HostKey = tuple[str, str]  # environment, host
KEYED_LIMIT = 20_000  # digests kept under the key, so that a long life does not fill the memory


class History:
    """Implements `Journal`. Use `async with await History.open(path) as history`."""

    def __init__(self, path: Path, writer: Writer, reader: aiosqlite.Connection, locks: Locks, key: bytes) -> None:
        self.path = path
        self._mask: Mask = _as_it_is
        self._writer = writer
        self._reader = reader
        self._locks = locks
        self._key = key
        self._keyed: dict[str, str] = {}  # hosts share most resources, so their digests too
        self.control = Control(writer, self._rows)
        self.execs = Execs(writer, self._rows, locks.alive, self._masked)

    @classmethod
    async def open(cls, path: Path, limits: Limits | None = None, mask: Mask | None = None) -> History:
        """Make or migrate the database at `path`. mask: takes secrets out of plain values. Raises HistoryError: newer
        format, no permission, not a database."""
        async with told(path):
            locks, key = await asyncio.to_thread(prepare, path)
            try:
                connection = await open_database(path, locks)
                try:
                    reader = await connect(path)
                    await reader.execute("PRAGMA query_only = ON")
                except BaseException:
                    await connection.close()
                    raise
            except BaseException:
                locks.close()
                raise
        writer = Writer(connection, path, limits or Limits())
        writer.start()
        history = cls(path, writer, reader, locks, key)
        history._mask = mask or _as_it_is
        return history

    async def __aenter__(self) -> History:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Write what waits and close. Raises HistoryError when that cannot be written."""
        try:
            await self._writer.aclose()
        finally:
            await self._reader.close()
            self._locks.close()

    @property
    def commits(self) -> int:
        """Transactions written since it was opened."""
        return self._writer.commits

    # -- writing ----------------------------------------------------------------------------------------------------

    async def start_run(self, command: str, environment: str, revision: str, trace_id: str) -> int:
        """The run's number. It counts as alive until `finish_run`, or until this process ends."""
        now = time.time()
        async with self._writer.transaction() as connection:
            await connection.execute(statements.REVISION, (revision, now))
            row = await connection.execute_insert(
                statements.START_RUN, (command, environment, revision, now, trace_id, who())
            )
            assert row is not None
            number = int(row[0])
            self._locks.hold(number)  # before the commit: nobody ever sees it without its lock
        return number

    async def intend(self, run: int, plan: Plan, attempt: str) -> None:
        """Returns once every change of the plan is on disk as intended. Raises HistoryError: then change nothing."""
        await self._writer.commit(*statements.intents(run, masked_plan(plan, self._mask), attempt, self._key))

    async def record(self, run: int, result: PassResult, trace_id: str) -> None:
        """What became of one host. Batched: on disk within a quarter of a second, or with the next intent."""
        self._writer.put(*statements.results(run, masked_result(result, self._mask), trace_id, self._key))

    async def finish_run(self, run: int, verdicts: Sequence[str]) -> None:
        """The run ended in order; everything of it is on disk. Intents still without a result are unknown."""
        counted = json.dumps(Counter(map(str, verdicts)), sort_keys=True)
        await self._writer.commit((statements.FINISH_RUN, [(time.time(), counted, run)]))
        self._locks.release(run)

    async def looked(self, environment: str, host: str, in_sync: float | None = None) -> None:
        """It is as its latest pass says: nothing else is kept of a look that found nothing new. Batched."""
        self._writer.put((statements.LOOKED, [(environment, host, time.time(), in_sync)]))

    async def save_facts(self, environment: str, host: str, facts: Mapping[str, Any]) -> None:
        """What a host said about itself; plain values. Batched."""
        text = json.dumps(facts, separators=(",", ":"), sort_keys=True)
        self._writer.put((statements.SAVE_FACTS, [(environment, host, time.time(), text)]))

    async def settle(
        self, environment: str, host: str, digests: Mapping[str, str], withheld: Collection[str] = ()
    ) -> None:
        """Resource id → digest of what a pass found right on this host. Batched; costs nothing when it is the same.
        withheld: resources of which nothing may be shown, whatever a later revision says of them.

        Kept under the key, since a resource's digest covers its secret.
        """
        known: dict[str, Any] = {name: self._under_key(digest) for name, digest in sorted(digests.items())}
        text = json.dumps({**known, read.WITHHELD: sorted(withheld)} if withheld else known)
        self._writer.put((statements.SETTLE, [(environment, host, text)]))

    async def keep_made(self, environment: str, host: str, made: Sequence[Made], gone: Collection[Made] = ()) -> None:
        """Objects that a pass made behind APIs, and those it removed. Batched."""
        self._writer.put((statements.UNMAKE, [(environment, host, one.url, one.place) for one in gone]))
        rows = [
            (environment, host, one.url, one.place, one.resource, json.dumps(dict(one.memento)), one.order)
            for one in made
        ]
        self._writer.put((statements.MAKE, rows))

    def _under_key(self, digest: str) -> str:
        known = self._keyed.get(digest)
        if known is None:
            if len(self._keyed) >= KEYED_LIMIT:
                self._keyed.clear()
            known = self._keyed[digest] = encoding.keyed(self._key, digest)
        return known

    async def prune(self, before: float, at_once: int = AT_ONCE) -> Pruned:
        """Forget what ended before that time (Unix seconds), so many rows at once. Raises HistoryError."""
        await self.flush()
        return await prune(self.path, self._writer.transaction, before, at_once)

    async def newest(self) -> float | None:
        """When something was last written, by the clock of then (Unix seconds); None: never."""
        (row,) = await self._rows(NEWEST, {})
        return None if row["at"] is None else float(row["at"])

    async def flush(self) -> None:
        """Everything written so far is on disk. Raises HistoryError."""
        await self._writer.flush()

    # -- reading ----------------------------------------------------------------------------------------------------

    async def runs(self, limit: int = 20, environment: str = "") -> list[RunRecord]:
        """The latest first."""
        asked = {"environment": environment, "limit": limit}
        rows = await self._rows(statements.latest(statements.RUNS, "runs", asked), asked)
        return read.runs(rows, self._locks)

    async def run(self, number: int) -> RunRecord | None:
        asked = {"id": number, "limit": 1}
        rows = await self._rows(statements.latest(statements.RUNS, "runs", asked), asked)
        return next(iter(read.runs(rows, self._locks)), None)

    async def passes(
        self, run: int | None = None, environment: str = "", host: str = "", limit: int = 1000
    ) -> list[PassRecord]:
        """The latest first; all that is given must hold."""
        asked = {"run": run, "environment": environment, "host": host, "limit": limit}
        sql = statements.latest(statements.PASSES, "passes", asked)
        return [read.one_pass(row) for row in await self._rows(sql, asked)]

    async def last_pass(self, environment: str, host: str) -> PassRecord | None:
        return next(iter(await self.passes(environment=environment, host=host, limit=1)), None)

    async def last_passes(self, environment: str = "") -> dict[HostKey, PassRecord]:
        """(environment, host) → its latest pass, for `status`."""
        asked = {"environment": environment}
        rows = await self._rows(statements.LAST_PASSES, asked)
        looks = {(row[0], row[1]): row[2] for row in await self._rows(statements.LOOKS, asked)}
        found = {(p.environment, p.host): p for p in map(read.one_pass, rows)}
        return {key: replace(p, ended=max(p.ended, looks.get(key, 0.0))) for key, p in found.items()}

    async def changes(
        self, run: int | None = None, environment: str = "", host: str = "", resource: str = "", limit: int = 1000
    ) -> list[ChangeRecord]:
        """The latest first; all that is given must hold."""
        asked = {"run": run, "environment": environment, "host": host, "resource": resource, "limit": limit}
        return await self._changes(statements.latest(statements.CHANGES, "changes", asked), asked)

    async def interrupted(self) -> list[ChangeRecord]:
        """Intents whose process ended without a result, on hosts that were not looked at since. Nobody knows."""
        found = await self._changes(statements.OPEN_INTENTS, {})
        return [change for change in found if change.status == "unknown"]

    async def content(self, digest: str) -> Content | None:
        """What stands behind {"$content": digest}."""
        for row in await self._rows(statements.CONTENTS, {"digests": json.dumps([digest])}):
            return Content(digest, row["size"], bytes(row["data"]))
        return None

    async def load_facts(self, environment: str, host: str) -> dict[str, Any] | None:
        """The last that the host said; None: never."""
        for row in await self._rows(statements.FACTS, {"environment": environment, "host": host}):
            return dict(json.loads(row["facts"]))
        return None

    async def all_facts(self) -> dict[HostKey, dict[str, Any]]:
        """(environment, host) → facts, in one read."""
        rows = await self._rows(statements.FACTS, {"environment": "", "host": ""})
        return {(row["environment"], row["host"]): json.loads(row["facts"]) for row in rows}

    async def settled(self, wanted: Mapping[HostKey, Mapping[str, str]]) -> dict[HostKey, dict[str, str]]:
        """Of what is wanted now (resource id → digest, per host), that which an earlier pass already found right."""
        rows = await self._rows(statements.SETTLED, {})
        return read.settled(rows, wanted, self._key)

    async def withheld(self) -> dict[HostKey, frozenset[str]]:
        """(environment, host) → resources that held a secret when they were last settled."""
        return read.withheld(await self._rows(statements.WITHHELD, {}))

    async def made(self) -> dict[HostKey, list[Made]]:
        """(environment, host) → what fleet made behind APIs there and did not remove since."""
        found: dict[HostKey, list[Made]] = {}
        for row in await self._rows(statements.MADE, {}):
            one = Made(row["url"], row["place"], row["resource"], json.loads(row["memento"]), row["position"])
            found.setdefault((row["environment"], row["host"]), []).append(one)
        return found

    def _masked(self, value: Any) -> Any:
        return self._mask(value)

    async def _changes(self, sql: str, asked: Mapping[str, Any]) -> list[ChangeRecord]:
        rows = await self._rows(sql, asked)
        running = self._locks.alive({row["run"] for row in rows if row["status"] is None})
        kept = await self._rows(statements.CONTENTS, {"digests": json.dumps(read.references(rows))})
        contents = {row["digest"]: bytes(row["data"]) for row in kept if len(row["data"]) == row["size"]}
        return [read.change(row, contents.get, row["run"] in running) for row in rows]

    async def _rows(self, sql: str, asked: Mapping[str, Any]) -> list[aiosqlite.Row]:
        await self._writer.flush()
        async with told(self.path), self._reader.execute(sql, asked) as cursor:
            cursor.row_factory = aiosqlite.Row
            return list(await cursor.fetchall())


def _as_it_is(value: Any) -> Any:
    return value
