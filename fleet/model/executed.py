"""What a person ran by hand on one host through fleet, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from fleet.model.change import Verdict

LONGEST = 86_400.0  # seconds that one may take


class Ended(StrEnum):
    """How it ended there. Only of `unreachable`, `conflict` and `skipped` it is certain that nothing was run."""

    OK = "ok"  # exit status 0
    FAILED = "failed"  # another one, or it took too long
    CONFLICT = "conflict"  # the host refused: of another environment, or an apply runs there
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"  # the connection was lost, or it was interrupted: nobody knows
    SKIPPED = "skipped"  # interrupted before its turn came

    @property
    def verdict(self) -> Verdict:
        """The verdict that ends a command in the same exit code."""
        return _VERDICTS[self]


_VERDICTS = {
    Ended.OK: Verdict.CHANGED,
    Ended.FAILED: Verdict.FAILED,
    Ended.CONFLICT: Verdict.CONFLICT,
    Ended.UNREACHABLE: Verdict.UNREACHABLE,
    Ended.UNKNOWN: Verdict.UNKNOWN,
    Ended.SKIPPED: Verdict.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Execution:
    """What is asked for. who: a person, as the system knows them. command: as one would type it into a shell.

    hosts: (environment, name) of all that it is meant for.
    """

    who: str
    reason: str
    command: str
    hosts: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Executed:
    """One host. code: the exit status, None when nobody knows it. output: what it printed, masked; its beginning and
    end where it was too long (truncated). error: why it was not run, or why nobody knows. seconds: that it took, with
    the way there."""

    environment: str
    host: str
    status: Ended
    code: int | None = None
    output: bytes = field(default=b"", repr=False)
    truncated: bool = False
    error: str = ""
    seconds: float = 0.0
