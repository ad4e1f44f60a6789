"""Messages of Git servers that were heard before: who sends one again learns nothing and costs nothing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping

from fleet.web.hooks import verified


class Deliveries:
    """The marks of the messages that were heard last. limit: how many; beyond it the oldest are forgotten."""

    def __init__(self, limit: int = 1024) -> None:
        self._limit = limit
        self._heard: OrderedDict[str, None] = OrderedDict()

    def known(self, mark: str) -> bool:
        """Whether it was heard before; from now on it was."""
        if mark in self._heard:
            self._heard.move_to_end(mark)
            return True
        self._heard[mark] = None
        if len(self._heard) > self._limit:
            self._heard.popitem(last=False)
        return False


def listener(
    secrets: Collection[bytes], wall: Callable[[], float]
) -> Callable[[Mapping[str, str], bytes], bool | None]:
    """For each message: whether it says something new; None: nobody we know made it. wall: Unix seconds."""
    heard = Deliveries()

    def listen(headers: Mapping[str, str], body: bytes) -> bool | None:
        found = verified(headers, body, secrets, wall())
        return None if found is None else not heard.known(found.mark)

    return listen
