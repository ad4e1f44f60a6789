"""What is written and asked, as SQL with its rows. Pure but for the clock; the text of a statement never varies."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from fleet.history.encoding import Contents, clip, encode_change, plan_digest
from fleet.history.writer import Work
from fleet.model.change import Change, PassResult, Plan, Verdict
from fleet.model.step import Outcome

REVISION = "INSERT OR IGNORE INTO revisions (revision, first_seen) VALUES (?, ?)"
START_RUN = "INSERT INTO runs (command, environment, revision, started, trace_id, who) VALUES (?, ?, ?, ?, ?, ?)"
FINISH_RUN = "UPDATE runs SET finished = ?, verdicts = ? WHERE id = ?"
SAVE_CONTENT = "INSERT OR IGNORE INTO contents (digest, size, data) VALUES (?, ?, ?)"
SAVE_FACTS = """INSERT INTO facts (environment, host, gathered, facts) VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET gathered = excluded.gathered, facts = excluded.facts"""
SETTLE = """INSERT INTO settled (environment, host, digests) VALUES (?, ?, ?)
    ON CONFLICT DO UPDATE SET digests = excluded.digests WHERE digests <> excluded.digests"""

LOOKED = """INSERT INTO looks (environment, host, looked, in_sync) VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET looked = excluded.looked, in_sync = coalesce(excluded.in_sync, in_sync)"""
LOOKS = "SELECT environment, host, looked FROM looks WHERE :environment = '' OR environment = :environment"
TAKE = """INSERT INTO taken (environment, revision, before, since, rollout) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET revision = excluded.revision, before = excluded.before, since = excluded.since,
    rollout = excluded.rollout"""
LEAVE = "DELETE FROM taken WHERE environment = ?"
TAKEN = "SELECT environment, revision, before, since, rollout FROM taken"
ORDER = """INSERT INTO orders (scope, who, reason, since) VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET who = excluded.who, reason = excluded.reason"""
LIFT = "DELETE FROM orders WHERE scope = ?"
ORDERS = "SELECT scope, who, reason, since FROM orders ORDER BY since"
LAST_AUDIT = "SELECT chain FROM audit ORDER BY id DESC LIMIT 1"
AUDIT = "INSERT INTO audit (at, who, action, said, chain) VALUES (?, ?, ?, ?, ?)"
AUDITED = "SELECT id, at, who, action, said, chain FROM audit ORDER BY id"

RIGHT = (Verdict.IN_SYNC, Verdict.CHANGED)  # nothing of what was done to the host before is left

_COLUMNS = """run, environment, host, resource, action, due, attributes, before, after, origin, role,
    plan_digest, attempt, intended"""
INTEND = f"INSERT INTO changes ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - constant
# A change that was never sent (what it needs failed) has no intent, but it has its place in the record.
SKIPPED = f"""INSERT INTO changes ({_COLUMNS}) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
    WHERE NOT EXISTS (SELECT 1 FROM changes WHERE run = ? AND environment = ? AND host = ? AND resource = ?
    AND status IS NULL)"""  # noqa: S608
RESULT = """UPDATE changes SET ended = ?, status = ?, code = ?, step = ?, seconds = ?, output = ?, output_size = ?,
    remaining = ?, cause = ? WHERE run = ? AND environment = ? AND host = ? AND resource = ? AND status IS NULL"""
RECORD = """INSERT INTO passes (run, environment, host, verdict, began, ended, seconds, round_trips, plan_digest,
    found, remaining, error, trace_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""

RUNS = "SELECT * FROM runs"
PASSES = "SELECT passes.*, runs.revision FROM passes LEFT JOIN runs ON runs.id = passes.run"
CHANGES = "SELECT changes.*, runs.revision, runs.trace_id FROM changes LEFT JOIN runs ON runs.id = changes.run"
LAST_PASSES = f"""{PASSES} WHERE passes.id IN (
    SELECT max(id) FROM passes WHERE :environment = '' OR environment = :environment GROUP BY environment, host)"""  # noqa: S608
OPEN_INTENTS = f"""{CHANGES} WHERE changes.status IS NULL AND NOT EXISTS (SELECT 1 FROM passes
    WHERE passes.environment = changes.environment AND passes.host = changes.host AND passes.run <> changes.run
    AND passes.began > changes.intended AND passes.verdict NOT IN ('unknown', 'unreachable'))
    ORDER BY +changes.id"""  # noqa: S608 - +: few are open, so their index serves better than the order
CONTENTS = "SELECT digest, size, data FROM contents WHERE digest IN (SELECT value FROM json_each(:digests))"
FACTS = """SELECT environment, host, facts FROM facts
    WHERE :host = '' OR (environment = :environment AND host = :host)"""
MAKE = """INSERT INTO made (environment, host, url, place, resource, memento, position) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (environment, host, url, place) DO UPDATE SET
    resource = excluded.resource, memento = excluded.memento, position = excluded.position"""
UNMAKE = "DELETE FROM made WHERE environment = ? AND host = ? AND url = ? AND place = ?"
MADE = "SELECT environment, host, url, place, resource, memento, position FROM made"
SETTLED = "SELECT environment, host, digests FROM settled"
# Hosts with something withheld: JSON with an empty key, which no resource has.
WITHHELD = """SELECT environment, host, digests FROM settled WHERE instr(digests, '"": [') > 0"""


def latest(select: str, table: str, asked: Mapping[str, Any]) -> str:
    """The rows where all that is asked holds, the latest first; what is None or "" is not asked.

    So an index is used, as it would not be with `:x IS NULL OR …`. Names are ours, values are bound.
    """
    conditions = [
        f"{table}.{name} = :{name}" for name, value in asked.items() if name != "limit" and value not in ("", None)
    ]
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"{select}{where} ORDER BY {table}.id DESC LIMIT :limit"


def intents(run: int, plan: Plan, attempt: str, key: bytes) -> tuple[Work, ...]:
    """Everything about each change that is known before it is sent."""
    contents: dict[str, tuple[int, bytes]] = {}
    now = time.time()
    rows = [clean([*_change(run, plan, change, contents, key), attempt, now]) for change in plan.changes]
    return (_saved(contents), (INTEND, rows))


def results(run: int, result: PassResult, trace_id: str, key: bytes) -> tuple[Work, ...]:
    """The pass, what became of each change, and the changes that were never sent."""
    now = time.time()
    plan = result.plan or Plan(result.host, environment=result.environment)
    contents: dict[str, tuple[int, bytes]] = {}
    done = [(c, result.outcomes[c.resource.id]) for c in plan.changes if c.resource.id in result.outcomes]
    skipped = [
        clean([*_change(run, plan, c, contents, key), "", None, run, plan.environment, plan.host, c.resource.id])
        for c, outcome in done
        if outcome.status in ("skipped", "conflict")  # of a conflict on the host there is an intent
    ]
    ended = [_result(run, result, change, outcome, now) for change, outcome in done]
    found = [(c.resource.id, c.action, c.attributes) for c in plan.changes]
    began = now - sum(result.seconds.values())
    one = [
        run, result.environment, result.host, str(result.verdict), began, now,
        json.dumps(dict(result.seconds)), result.round_trips, plan_digest(plan, key) if result.plan else "",
        json.dumps(found), json.dumps(dict(result.remaining)), str(result.error or ""), trace_id,
    ]  # fmt: skip
    right = [[result.environment, result.host, now, began]] if result.verdict in RIGHT else []
    return (_saved(contents), (SKIPPED, skipped), (RESULT, ended), (RECORD, [clean(one)]), (LOOKED, right))


def _change(run: int, plan: Plan, change: Change, contents: Contents, key: bytes) -> list[Any]:
    resource = change.resource
    before, after = encode_change(change, key, contents)
    return [
        run, plan.environment, plan.host, resource.id, change.action, change.due, json.dumps(change.attributes),
        before, after, str(resource.origin), resource.role, plan_digest(plan, key),
    ]  # fmt: skip


def _result(run: int, result: PassResult, change: Change, outcome: Outcome, now: float) -> Sequence[Any]:
    resource = change.resource
    # What a command says about a secret may well be the secret.
    kept = b"[not kept: sensitive]" if resource.sensitive and outcome.output else outcome.output
    return clean([
        now, str(outcome.status), outcome.code, outcome.step, outcome.seconds, clip(kept), len(kept),
        result.remaining.get(resource.id, ""), result.causes.get(resource.id, ""),
        run, result.environment, result.host, resource.id,
    ])  # fmt: skip


def _saved(contents: Contents) -> Work:
    return (SAVE_CONTENT, [(digest, size, data) for digest, (size, data) in contents.items()])


def clean(row: Sequence[Any]) -> list[Any]:
    """A name or a host's words in an error may hold what is no valid text; that is escaped, so that it can be kept."""
    return [v.encode(errors="backslashreplace").decode() if isinstance(v, str) else v for v in row]
