"""Plans and results with every secret taken out that a host put in: the record's own guard. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fleet.errors import FleetError
from fleet.model.change import Change, PassResult, Plan, Unreadable

Mask = Callable[[Any], Any]


def masked_plan(plan: Plan, mask: Mask) -> Plan:
    """The very same when there is nothing in it."""
    if not plan.changes and not plan.unreadable:
        return plan
    unreadable = {one: Unreadable(mask(why.reason)) for one, why in plan.unreadable.items()}
    return replace(plan, changes=tuple(_change(change, mask) for change in plan.changes), unreadable=unreadable)


def masked_result(result: PassResult, mask: Mask) -> PassResult:
    return replace(
        result,
        plan=None if result.plan is None else masked_plan(result.plan, mask),
        outcomes={name: replace(one, output=mask(one.output)) for name, one in result.outcomes.items()},
        remaining=mask(dict(result.remaining)),
        error=None if result.error is None else FleetError(mask(str(result.error))),
    )


def _change(change: Change, mask: Mask) -> Change:
    """What was seen. What should be comes from the repository, where secrets are only named."""
    before = change.before
    if before is None:
        return change
    said = mask(dict(before))
    if "content" in said and before.get("size") == len(before["content"]):
        said["size"] = len(said["content"])  # it is still the whole of it
    return replace(change, before=said)
