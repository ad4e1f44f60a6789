"""What fleet ends with: verdicts of hosts in, one exit code out. The table stands in `fleet --help`."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from fleet.model.change import Verdict


class ExitCode(IntEnum):
    """Each with its meaning; the order of `PRECEDENCE` decides when several hold."""

    IN_SYNC = 0
    ERROR = 1
    PENDING = 2
    FAILED = 3
    UNREACHABLE = 4
    CONFLICT = 5
    INTERRUPTED = 130


MEANINGS = {
    ExitCode.IN_SYNC: "in sync: nothing to do, or all of it done and verified",
    ExitCode.ERROR: "error in the configuration or in how fleet was called; nothing was changed",
    ExitCode.PENDING: "changes pending: differences, drift that is only to be reported, or what waits for a reboot",
    ExitCode.FAILED: "some hosts failed: a step failed, or something could not be observed",
    ExitCode.UNREACHABLE: "some hosts could not be reached, or were lost meanwhile: their state is unknown",
    ExitCode.CONFLICT: "some hosts refused: changed by someone else meanwhile, or of another environment",
    ExitCode.INTERRUPTED: "interrupted: Ctrl-C or SIGTERM; what was and was not done is said",
}

# When several hold, the first of these wins: what a person must look at soonest.
PRECEDENCE = (
    ExitCode.INTERRUPTED,
    ExitCode.ERROR,
    ExitCode.CONFLICT,
    ExitCode.FAILED,
    ExitCode.UNREACHABLE,
    ExitCode.PENDING,
    ExitCode.IN_SYNC,
)

_OF_VERDICT = {
    Verdict.IN_SYNC: ExitCode.IN_SYNC,
    Verdict.CHANGED: ExitCode.IN_SYNC,
    Verdict.PENDING: ExitCode.PENDING,
    Verdict.WAITING: ExitCode.PENDING,
    Verdict.DRIFTED: ExitCode.PENDING,
    Verdict.FAILED: ExitCode.FAILED,
    Verdict.UNREACHABLE: ExitCode.UNREACHABLE,
    Verdict.UNKNOWN: ExitCode.UNREACHABLE,
    Verdict.CONFLICT: ExitCode.CONFLICT,
}


def exit_code(verdicts: Iterable[Verdict], interrupted: bool = False) -> ExitCode:
    """The one code for a whole run."""
    codes = {_OF_VERDICT[verdict] for verdict in verdicts}
    if interrupted:
        codes.add(ExitCode.INTERRUPTED)
    return next((code for code in PRECEDENCE if code in codes), ExitCode.IN_SYNC)
