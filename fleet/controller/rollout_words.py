"""What a rollout says of itself, in sentences that name hosts."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice

from fleet.model.duration import spelt
from fleet.model.rollout import RolloutPolicy

_NAMED = 5


def pausing(wave: int, waves: int, policy: RolloutPolicy) -> str:
    """Why nothing starts although nothing is wrong."""
    asked = [f"stays so for {spelt(policy.stable_for)}"] if policy.stable_for else []
    if policy.pause and wave < waves:
        asked.append(f"another {spelt(policy.pause)} pass" if asked else f"{spelt(policy.pause)} have passed")
    after = f"wave {wave + 1} of {waves} follows" if wave < waves else "the rollout is done"
    return f"wave {wave} of {waves} is through; {after} when {'it ' if policy.stable_for else ''}{' and '.join(asked)}"


def waiting(hosts: Collection[str]) -> str:
    return f"nobody has approved it yet; it changes {listed(hosts)}"


def too_many(names: Collection[str], did: str, most: int) -> str:
    may = str(most) if most else "none"
    return f"{len(names)} host{'s' * (len(names) > 1)} {did} where {may} may: {listed(names)}"


def unproven(failed: Collection[str]) -> str:
    return f"no host has converged on it, and {listed(failed)} failed"


def left(failed: Collection[str], unreachable: Collection[str]) -> str:
    """Who does not have it although the rollout is done."""
    said = [f"failed: {listed(failed)}"] if failed else []
    said += [f"not reached yet: {listed(unreachable)}"] if unreachable else []
    return "; ".join(said)


def listed(names: Collection[str]) -> str:
    few = ", ".join(islice(names, _NAMED))
    return few if len(names) <= _NAMED else f"{few} and {len(names) - _NAMED} more"
