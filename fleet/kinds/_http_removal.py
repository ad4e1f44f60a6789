"""What must be remembered of an object to remove it when nobody names it any more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fleet.model import sealed
from fleet.model.host import Resource


def place(resource: Resource) -> str:
    """Which object of its API it is, whatever it is called here."""
    read = resource.spec.read
    return json.dumps([read.path, dict(read.match)], sort_keys=True)


def rough(place: str) -> str:
    """Without the query, which may be a page size only."""
    path, match = json.loads(place)
    return json.dumps(["roughly", path.partition("?")[0].rstrip("/"), match], sort_keys=True)


def memento(resource: Resource) -> Mapping[str, Any] | None:
    """Plain values; None when it could not be removed by these alone."""
    spec = resource.spec
    if spec.delete is None or sealed.holds(spec.delete.body):
        return None
    return {"read": spec.read.model_dump(mode="json"), "delete": spec.delete.model_dump(mode="json")}
