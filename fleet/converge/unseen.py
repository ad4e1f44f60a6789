"""What an API said it made, and nobody can find since: a PassResult in, resources out that must not be made once more.

A `match` that does not fit what the API answers (5 is not "5") would else make another object with each retry.
"""

from __future__ import annotations

from collections.abc import Mapping

from fleet.model.change import PassResult
from fleet.model.host import HostSpec
from fleet.model.kind import Kind
from fleet.model.step import Status

WORDS = b"it was made before, and cannot be found since: does `match` fit what the API answers? not made once more"
ABSENT = "is still absent"


def unseen(last: PassResult | None, spec: HostSpec, kinds: Mapping[str, Kind]) -> frozenset[str]:
    """Ids; of what Git says the same of since. last: the pass before."""
    if last is None or last.plan is None or not last.outcomes:
        return frozenset()
    now = {one.id: one.digest for one in spec.resources}
    return frozenset(
        one.resource.id
        for one in last.plan.changes
        if one.action == "create"
        and one.resource.digest == now.get(one.resource.id)
        and kinds[one.resource.kind].over == "api"
        and _not_found(last, one.resource.id)
    )


def _not_found(last: PassResult, name: str) -> bool:
    done = last.outcomes.get(name)
    if done is None:
        return False
    made = done.status is Status.OK and last.remaining.get(name) == ABSENT
    return made or (done.status is Status.CONFLICT and done.output == WORDS)
