"""What a verdict makes of a host in a rollout."""

from __future__ import annotations

from enum import StrEnum

from fleet.model.change import Verdict


class Progress(StrEnum):
    """Of a host that has had its turn."""

    UNDER_WAY = "under way"
    CONVERGED = "converged"
    FAILED = "failed"
    UNREACHABLE = "unreachable"


# DRIFTED: what the revision brings is there, and what somebody else changed is only to be reported.
CONVERGED = (Verdict.IN_SYNC, Verdict.CHANGED, Verdict.WAITING, Verdict.DRIFTED)


def becomes(was: Progress, verdict: Verdict, lately: bool) -> Progress:
    """lately: it came to be as it is a short while ago. Whatever is not certain is a failure."""
    if verdict in CONVERGED:
        return Progress.CONVERGED
    if verdict is not Verdict.UNREACHABLE or was is Progress.FAILED:
        return Progress.FAILED  # silence does not undo a failure
    if was is Progress.CONVERGED and lately:
        return Progress.FAILED  # a host that falls silent right after a change did not take it well
    return Progress.UNREACHABLE
