"""What is told of a pass that ended: how it came out, how much it did, and where more of it can be found. Pure."""

from __future__ import annotations

from typing import Any

from fleet.model.change import PassResult
from fleet.model.step import Status

LONGEST = 500  # characters of why


def told(was: str, result: PassResult, revision: str) -> dict[str, Any]:
    """was: the verdict before it. revision: that the host follows. changed: what was done; all else is left out where
    there is none of it."""
    statuses = [one.status for one in result.outcomes.values()]
    bad = sum(status in (Status.FAILED, Status.CONFLICT, Status.UNKNOWN) for status in statuses)
    left = 0 if result.plan is None or result.outcomes else len(result.plan.changes)
    more = {
        "was": was if was != result.verdict else "",
        "failed": bad,
        "drift": left,
        "error": _why(result),
        "revision": revision,
        "run": result.run,
        "pass": result.id,
        "trace_id": result.trace_id,
    }
    return {"verdict": str(result.verdict), "changed": statuses.count(Status.OK)} | {k: v for k, v in more.items() if v}


def _why(result: PassResult) -> str:
    if result.error is not None:
        return str(result.error)[:LONGEST]
    unreadable = result.plan.unreadable if result.plan is not None else {}
    found = result.remaining or {name: one.reason for name, one in unreadable.items()}
    return "; ".join(f"{name}: {why}" for name, why in found.items())[:LONGEST]
