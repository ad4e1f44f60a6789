"""Whose turn it is: flows take turns, so that one with a thousand in line does not make the others wait for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Fair(Generic[T]):
    """First come, first served within a flow; one of each flow after the other."""

    def __init__(self) -> None:
        self._flows: dict[Hashable, deque[T]] = {}  # in the order of their turns; none is empty

    def put(self, flow: Hashable, item: T) -> None:
        self._flows.setdefault(flow, deque()).append(item)

    def flows(self) -> list[Hashable]:
        """Who waits, in the order of their turns."""
        return list(self._flows)

    def take(self, flow: Hashable | None = None) -> T:
        """The next; of that flow, when its turn comes first. Raises LookupError when nobody waits."""
        if not self._flows:
            raise LookupError("nobody waits")
        flow = next(iter(self._flows)) if flow is None else flow
        items = self._flows.pop(flow)
        item = items.popleft()
        if items:
            self._flows[flow] = items  # to the end of the line
        return item

    def discard(self, flow: Hashable, item: T) -> None:
        """Who does not want to wait any longer."""
        items = self._flows.get(flow)
        if items is not None and item in items:
            items.remove(item)
            if not items:
                del self._flows[flow]

    def __len__(self) -> int:
        return sum(map(len, self._flows.values()))
