"""Rows into records."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence

import aiosqlite

from fleet.history.alive import Locks
from fleet.history.encoding import decode, keyed
from fleet.history.records import ChangeRecord, PassRecord, RunRecord

WITHHELD = ""  # beside resource ids, none of which is empty


def runs(rows: Sequence[aiosqlite.Row], locks: Locks) -> list[RunRecord]:
    alive = locks.alive({row["id"] for row in rows if row["finished"] is None})
    return [
        RunRecord(
            id=row["id"],
            command=row["command"],
            environment=row["environment"],
            revision=row["revision"],
            started=row["started"],
            finished=row["finished"],
            trace_id=row["trace_id"],
            who=row["who"],
            verdicts=json.loads(row["verdicts"]),
            alive=row["id"] in alive,
        )
        for row in rows
    ]


def one_pass(row: aiosqlite.Row) -> PassRecord:
    return PassRecord(
        id=row["id"],
        run=row["run"],
        environment=row["environment"],
        host=row["host"],
        verdict=row["verdict"],
        began=row["began"],
        ended=row["ended"],
        seconds=json.loads(row["seconds"]),
        round_trips=row["round_trips"],
        plan_digest=row["plan_digest"],
        found=tuple((name, action, tuple(attributes)) for name, action, attributes in json.loads(row["found"])),
        remaining=json.loads(row["remaining"]),
        error=row["error"],
        trace_id=row["trace_id"],
        revision=row["revision"] or "",
    )


def change(row: aiosqlite.Row, content: Callable[[str], bytes | None], running: bool) -> ChangeRecord:
    return ChangeRecord(
        id=row["id"],
        run=row["run"],
        environment=row["environment"],
        host=row["host"],
        resource=row["resource"],
        action=row["action"],
        due=row["due"],
        attributes=tuple(json.loads(row["attributes"])),
        before=decode(row["before"], content),
        after=decode(row["after"], content),
        origin=row["origin"],
        role=row["role"],
        plan_digest=row["plan_digest"],
        attempt=row["attempt"],
        intended=row["intended"],
        ended=row["ended"],
        status=row["status"] or ("running" if running else "unknown"),
        code=row["code"],
        step=row["step"],
        seconds=row["seconds"],
        output=bytes(row["output"]),
        output_size=row["output_size"],
        remaining=row["remaining"],
        revision=row["revision"] or "",
        trace_id=row["trace_id"] or "",
        cause=row["cause"],
    )


def references(rows: Sequence[aiosqlite.Row]) -> list[str]:
    """Digests of all contents that these changes refer to, each once."""
    found: dict[str, None] = {}

    def note(digest: str) -> None:
        found[digest] = None

    for row in rows:
        for column in ("before", "after"):
            decode(row[column], note)
    return list(found)


def withheld(rows: Iterable[aiosqlite.Row]) -> dict[tuple[str, str], frozenset[str]]:
    known = {(row["environment"], row["host"]): json.loads(row["digests"]).get(WITHHELD, ()) for row in rows}
    return {host: frozenset(ids) for host, ids in known.items() if ids}


def settled(
    rows: Iterable[aiosqlite.Row], wanted: Mapping[tuple[str, str], Mapping[str, str]], key: bytes
) -> dict[tuple[str, str], dict[str, str]]:
    """Hosts share most of their resources, so each digest goes through the key once."""
    under_key: dict[str, str] = {}
    found = {}
    for row in rows:
        host = (row["environment"], row["host"])
        then = json.loads(row["digests"])
        same = {}
        for name, digest in wanted.get(host, {}).items():
            if digest not in under_key:
                under_key[digest] = keyed(key, digest)
            if then.get(name) == under_key[digest]:
                same[name] = digest
        found[host] = same
    return {host: same for host, same in found.items() if same}
