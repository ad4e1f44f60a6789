"""What a verdict makes of a host in a rollout."""

from __future__ import annotations

from enum import StrEnum

from fleet.model.change import Verdict


class Standing(StrEnum):
    """Of a host that has had its turn."""

    UNDER_WAY = "under way"
    CONVERGED = "converged"
    FAILED = "failed"
    UNREACHABLE = "unreachable"


# DRIFTED: what the revision brings is there, and what somebody else changed is only to be reported.
CONVERGED = (Verdict.IN_SYNC, Verdict.CHANGED, Verdict.WAITING, Verdict.DRIFTED)


def becomes(was: Standing, verdict: Verdict, lately: bool) -> Standing:
    """lately: it came to be as it is a short while ago. Whatever is not certain is a failure."""
    if verdict in CONVERGED:
        return Standing.CONVERGED
    if verdict is not Verdict.UNREACHABLE or was is Standing.FAILED:
        return Standing.FAILED  # silence does not undo a failure
    if was is Standing.CONVERGED and lately:
        return Standing.FAILED  # a host that falls silent right after a change did not take it well
    return Standing.UNREACHABLE
