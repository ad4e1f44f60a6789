"""The ledger of what fleet made behind APIs: kept in the record, since an API has no place of its own for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Made:
    """One object. url: of its API. place, memento: as its kind says them (model/kind.py: Removal). resource: its id
    when it was made. order: when it came in its pass; what came last is removed first."""

    url: str
    place: str
    resource: str
    memento: Mapping[str, Any] = field(default_factory=dict, compare=False)
    order: int = field(default=0, compare=False)
