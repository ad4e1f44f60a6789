"""What is remembered of a host between passes, and what of it still holds: a sweep asks only for the rest.

An observation is remembered with the witnesses that were taken before it and the paths that prove it. A sweep that
found nothing is remembered whole: the same answer to the same question means the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fleet.converge.look import STATE_PATHS, HostState, Look
from fleet.converge.witness import WITNESS_TASK, Witnesses, hold, read_witnesses, witness_task
from fleet.model.change import Observed, Plan, Unreadable, Waiting
from fleet.model.host import HostSpec, Resource
from fleet.model.kind import Kind
from fleet.model.step import Outcome, Task


@dataclass(frozen=True, slots=True)
class Seen:
    """What was observed of a resource of that digest, and the witnesses taken before. paths: what proves it; None:
    nothing does."""

    digest: str
    observed: Observed
    then: Witnesses
    paths: tuple[str, ...] | None

    @property
    def provable(self) -> bool:
        """Whether what proves it was asked for before it was looked at, as it cannot be where only the look says what
        that is."""
        return self.paths is not None and self.then.asked.issuperset(self.paths)

    def holds(self, now: Witnesses) -> bool:
        return self.provable and hold(self.paths or (), self.then, now)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a sweep asks of a host: `digest` of its HostSpec, tasks, and what no witness vouches for."""

    digest: str
    tasks: tuple[Task, ...]
    looked: Look

    @classmethod
    def about(cls, spec: HostSpec, looked: Look, paths: Iterable[str]) -> Asked:
        witnesses = () if spec.target.type == "http" else (witness_task(paths),)
        return cls(spec.digest, (*witnesses, *looked.tasks), looked)

    @property
    def witnessed(self) -> bool:
        """Whether there is anything that vouches for anything."""
        return len(self.tasks) > len(self.looked.tasks)

    def answers(self, outcomes: Mapping[str, Outcome]) -> tuple[object, ...]:
        """What was said of what no witness vouches for: all that its readers see."""
        found = [outcomes[task.id] for task in self.looked.tasks]
        return tuple((one.status, one.code, one.output, one.answers, one.truncated) for one in found)


@dataclass(frozen=True, slots=True)
class Nothing:
    """A sweep that found nothing to do, and what it was told. said: the answer of `stat`."""

    asked: Asked
    said: bytes
    answers: tuple[object, ...]
    observed: Mapping[str, Observed]
    plan: Plan


@dataclass(slots=True)
class Memory:
    """What is remembered of one host between passes. Belongs to the caller; forget it after any doubt.

    seen: by resource id. state: what fleet keeps on the host, likewise. nothing: the last sweep that found nothing.
    """

    seen: dict[str, Seen] = field(default_factory=dict)
    last: Witnesses | None = None
    state: tuple[HostState, Witnesses] | None = None
    nothing: Nothing | None = None

    def witnesses(self, tasks: Iterable[Task], outcomes: Mapping[str, Outcome]) -> Witnesses | None:
        """What this look says of witnesses; None when that proves nothing."""
        asked = next((task for task in tasks if task.id == WITNESS_TASK), None)
        self.last = None if asked is None else read_witnesses(asked, outcomes.get(WITNESS_TASK), self.last)
        return self.last

    def paths(self, resources: Iterable[Resource], kinds: Mapping[str, Kind]) -> tuple[str, ...]:
        """All that proves anything of these, as far as it is known."""
        return tuple(path for one in resources for path in self._proof(one, kinds) or ())

    def unproven(self, resources: Iterable[Resource]) -> list[Resource]:
        """Those that must be looked at whatever the witnesses say."""
        return [one for one in resources if one.id not in self.seen or not self.seen[one.id].provable]

    def _proof(self, resource: Resource, kinds: Mapping[str, Kind]) -> tuple[str, ...] | None:
        seen = self.seen.get(resource.id)
        return kinds[resource.kind].witness(resource) if seen is None or seen.paths is None else seen.paths

    def asked_before(self, spec: HostSpec) -> Asked | None:
        """The very question of the last sweep, when it found nothing and Git says the same since."""
        return None if self.nothing is None or self.nothing.asked.digest != spec.digest else self.nothing.asked

    def same(self, asked: Asked, outcomes: Mapping[str, Outcome]) -> Nothing | None:
        """The last sweep that found nothing, when this answer is the very same: then it means the same."""
        then, now = self.nothing, self.last
        if then is None or then.asked is not asked:
            return None
        if asked.witnessed and (now is None or now.said != then.said):
            return None
        return then if asked.answers(outcomes) == then.answers else None

    def remember(
        self, asked: Asked, outcomes: Mapping[str, Outcome], observed: Mapping[str, Observed], plan: Plan
    ) -> None:
        """Where something is so young that it may have changed in the very second, the next sweep reads it all; where
        there is proof now for what was looked at, it asks for that instead."""
        now = self.last
        quiet = not (plan.changes or plan.unreadable or plan.waiting)
        if len(self.unproven(asked.looked.resources)) < len(asked.looked.resources):
            self.nothing = None
            return
        proven = not asked.witnessed or (now is not None and now.youngest < now.second)
        said = now.said if now is not None else b""
        found = Nothing(asked, said, asked.answers(outcomes), dict(observed), plan)
        self.nothing = found if quiet and proven else None

    def keep_state(self, state: HostState, then: Witnesses | None) -> None:
        """A mark says what is due in its content, which its directory does not witness: then it is read each time."""
        self.state = None if then is None or state.due else (state, then)

    def recall_state(self, now: Witnesses | None) -> HostState | None:
        """What fleet keeps on the host, when it still holds."""
        if self.state is None or now is None or not hold(STATE_PATHS, self.state[1], now):
            return None
        return self.state[0]

    def keep(
        self,
        resources: Iterable[Resource],
        observed: Mapping[str, Observed],
        proof: Mapping[str, tuple[str, ...] | None],
        then: Witnesses | None,
    ) -> None:
        """Remember a look whose witnesses were taken before it; without witnesses there is nothing to rely on later."""
        for resource in resources:
            seen = observed.get(resource.id, Unreadable(""))
            if then is None or isinstance(seen, Unreadable | Waiting):
                self.seen.pop(resource.id, None)
            else:
                self.seen[resource.id] = Seen(resource.digest, seen, then, proof.get(resource.id))

    def recall(self, resources: Iterable[Resource], now: Witnesses | None) -> dict[str, Observed]:
        """The observations that still hold. Everything else must be looked at."""
        found: dict[str, Observed] = {}
        for resource in resources:
            seen = self.seen.get(resource.id)
            if now is not None and seen is not None and seen.digest == resource.digest and seen.holds(now):
                found[resource.id] = seen.observed
        return found
