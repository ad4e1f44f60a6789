"""Model values as the documents that --json prints; the keys are described in json_output.md and stay. Pure.

What a sensitive resource holds is left out; bytes are UTF-8 with \\xNN for what is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fleet.converge.shown import HARMLESS
from fleet.errors import FleetError, Origin, TransportError
from fleet.model import sealed
from fleet.model.change import Change, PassResult, Plan
from fleet.model.host import HostSpec
from fleet.model.step import Outcome
from fleet.model.value import State

# Contents are told by digest; a document of hundreds of hosts need not carry them.
_LEFT_OUT = ("content",)


def results_document(results: Sequence[PassResult]) -> dict[str, Any]:
    """The keys `summary`, `plans` and `hosts` of plan and apply. A plan that many hosts share stands there once."""
    counts: dict[str, int] = {}
    plans: dict[str, Any] = {}
    for result in results:
        counts[str(result.verdict)] = counts.get(str(result.verdict), 0) + 1
        if result.plan is not None and result.plan.digest not in plans:
            plans[result.plan.digest] = plan_document(result.plan)
    ordered = sorted(results, key=lambda r: (r.environment, r.host))
    return {"summary": counts, "plans": plans, "hosts": [result_document(result) for result in ordered]}


def result_document(result: PassResult) -> dict[str, Any]:
    """One host of a run; `plan` is a key of `plans`."""
    return {
        "host": result.host,
        "environment": result.environment,
        "verdict": str(result.verdict),
        "plan": result.plan.digest if result.plan is not None else None,
        "outcomes": [outcome_document(o, _sensitive(result, one)) for one, o in result.outcomes.items()],
        "remaining": dict(result.remaining),
        "error": error_document(result.error) if result.error is not None else None,
        "seconds": {stage: round(taken, 4) for stage, taken in result.seconds.items()},
        "round_trips": result.round_trips,
    }


def plan_document(plan: Plan) -> dict[str, Any]:
    """All changes of the hosts that share this plan."""
    return {
        "changes": [change_document(change, plan) for change in plan.changes],
        "waiting": dict(plan.waiting),
        "unreadable": {name: why.reason for name, why in plan.unreadable.items()},
    }


def change_document(change: Change, plan: Plan) -> dict[str, Any]:
    resource = change.resource
    return {
        "resource": resource.id,
        "action": change.action,
        "attributes": list(change.attributes),
        "before": state_document(change.before, resource.sensitive),
        "after": state_document(change.after, resource.sensitive),
        "due": change.due,
        "provisional": resource.id in plan.provisional,
        "sensitive": resource.sensitive,
        "secrets": sorted({token.name for token in sealed.every_leaf(resource.secrets)}),
        "origin": origin_document(resource.origin),
    }


def state_document(state: State | None, sensitive: bool) -> dict[str, Any] | None:
    if state is None:
        return None
    return {
        name: value
        for name, value in state.items()
        if name not in _LEFT_OUT and not name.startswith("@") and (not sensitive or name in HARMLESS)
    }  # fmt: skip


def outcome_document(outcome: Outcome, sensitive: bool) -> dict[str, Any]:
    return {
        "resource": outcome.id,
        "status": str(outcome.status),
        "code": outcome.code,
        "output": None if sensitive else outcome.output,
        "truncated": outcome.truncated,
        "seconds": round(outcome.seconds, 4),
    }


def error_document(error: FleetError) -> dict[str, Any]:
    if isinstance(error, TransportError):
        said = {"type": "transport", "failure": str(error.failure), "message": error.message, "hint": error.hint}
        return {**said, "retryable": error.failure.retryable}
    return {"type": type(error).__name__.removesuffix("Error").lower(), "message": str(error)}


def host_document(spec: HostSpec) -> dict[str, Any]:
    """One host of `fleet hosts`."""
    return {
        "host": spec.name,
        "environment": spec.environment,
        "type": spec.target.type,
        "address": spec.target.address,
        "port": spec.target.port,
        "user": spec.target.user,
        "roles": list(spec.roles),
        "labels": dict(spec.labels),
        "resources": len(spec.resources),
        "digest": spec.digest,
        "origin": origin_document(spec.origin),
    }


def origin_document(origin: Origin) -> dict[str, Any]:
    return {"file": origin.file, "line": origin.line, "column": origin.column}


def _sensitive(result: PassResult, resource: str) -> bool:
    changes = result.plan.changes if result.plan is not None else ()
    return any(change.resource.sensitive for change in changes if change.resource.id == resource)
