"""What sort of trouble there is with the branch that is followed: notifications tell them apart."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from fleet.controller.events import Events
from fleet.controller.following import Following
from fleet.controller.loop import clock_moment
from fleet.desired.mirror import Mirror
from fleet.errors import FleetError, GitError, RewrittenError, UsageError

REWRITTEN = RewrittenError("ops.git", "1" * 40, "2" * 40)


class Remote:
    """As much of a Mirror as is asked. says: a commit, or what goes wrong."""

    def __init__(self) -> None:
        self.says: str | GitError = "a" * 40

    async def fetch(self) -> str:
        if isinstance(self.says, GitError):
            raise self.says
        return self.says


@pytest.mark.parametrize(
    ("says", "takes", "trouble"),
    [
        ("a" * 40, None, ""),
        (GitError("no route"), None, "git"),
        (REWRITTEN, None, "rewritten"),
        ("b" * 40, UsageError("no environments/"), "refused"),
        ("b" * 40, ValueError("surprise"), "refused"),
    ],
)
def test_each_trouble_has_its_sort_and_ends_with_the_next_good_answer(
    says: str | GitError, takes: FleetError | None, trouble: str
) -> None:
    async def work() -> tuple[str, str]:
        remote, wrong = Remote(), takes

        async def take(commit: str) -> None:
            if wrong is not None:
                raise wrong

        events = Events(lambda: 1.0, lambda said: said)
        following = Following(cast(Mirror, remote), events, clock_moment(lambda: 0.5), take, lambda: None)
        remote.says = says
        await following.once()
        found: Any = following.trouble
        remote.says, wrong = "c" * 40, None
        await following.once()
        return found, following.trouble

    assert asyncio.run(work()) == (trouble, "")
