"""Which observations still hold, by the identity of files: the rule of Git's index, racy timestamps included.

A full look is preceded by one `stat` of every witness; a sweep is that `stat` alone. An observation holds while each of
its witnesses has the same device, inode, size, mtime, ctime, owner, group and mode, and each ctime is older than the
second in which the look began (a file changed twice within one second would otherwise look untouched). A file of the
kernel, below /proc or /sys, is known by what it says.
See Documentation/technical/racy-git in Git's sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from fleet.converge.look import STATE_PATHS, HostState, Look
from fleet.model.change import Observed, Plan, Unreadable, Waiting
from fleet.model.host import HostSpec, Resource
from fleet.model.kind import Kind
from fleet.model.step import Outcome, Status, Task, Witness

WITNESS_TASK = "look:witness"
# Where files are the kernel's, made up whenever they are asked for.
KERNEL = ("/proc/", "/sys/")

# ctime, device, inode, size, mtime, uid, gid, mode; of a file of the kernel _AGELESS and its lines.
Identity = tuple[str, ...]
_AGELESS = ("0",)


@dataclass(frozen=True, slots=True)
class Witnesses:
    """What one `stat` said. second: the host's clock. A path without an entry is absent.

    said: the answer but for the clock; youngest: the latest ctime in it, in seconds.
    """

    second: int
    identities: Mapping[str, Identity]
    said: bytes = b""
    youngest: int = 0


def witness_task(resources: Iterable[Resource], kinds: Mapping[str, Kind]) -> Task:
    """One question about the witnesses of all resources, and of what fleet itself keeps on the host."""
    paths = dict.fromkeys([*STATE_PATHS, *(path for r in resources for path in kinds[r.kind].witness(r) or ())])
    files = tuple(path for path in paths if not path.startswith(KERNEL))
    return Task(WITNESS_TASK, (Witness(files, tuple(path for path in paths if path.startswith(KERNEL))),))


def read_witnesses(outcome: Outcome | None, last: Witnesses | None = None) -> Witnesses | None:
    """None when the outcome proves nothing. last: an answer before; the same again need not be read again."""
    if outcome is None or outcome.status is not Status.OK or outcome.truncated:
        return None
    first, _, rest = outcome.output.partition(b"\n")
    clock = first.partition(b" ")[0] if first.endswith(b" " + Witness.CLOCK.encode()) else b""
    second = int(clock) if clock.isdigit() else 0
    if not second:  # without the host's clock nobody can tell what is young
        return None
    if last is not None and last.said == rest:
        return replace(last, second=second)
    identities: dict[str, Identity] = {}
    for line in rest.decode(errors="surrogateescape").split("\n"):
        parts = line.split(" ", 8)
        if line.startswith(KERNEL):
            path, _, content = line.partition(":")
            identities[path] = (*identities.get(path, _AGELESS), content)
        elif len(parts) == 9:
            identities[parts[8]] = tuple(parts[:8])
    changed = [int(identity[0]) for identity in identities.values() if identity[0].isdecimal()]
    return Witnesses(second, identities, rest, max(changed, default=0))


def holds(resource: Resource, kinds: Mapping[str, Kind], then: Witnesses, now: Witnesses) -> bool:
    """Whether what was observed of `resource` at `then` still stands at `now`."""
    paths = kinds[resource.kind].witness(resource)
    return paths is not None and _hold(paths, then, now)


def _hold(paths: Iterable[str], then: Witnesses, now: Witnesses) -> bool:
    if then.identities is now.identities and then.youngest < then.second:
        return True  # the very same answer, and nothing in it was young then
    return all(_same(then, now, path.encode().decode(errors="surrogateescape")) for path in paths)


def _same(then: Witnesses, now: Witnesses, path: str) -> bool:
    before = then.identities.get(path)
    if before != now.identities.get(path):
        return False
    # An absent path has no ctime to be racy with; its creation later shows as an identity.
    return before is None or (before[0].isdecimal() and int(before[0]) < then.second)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a sweep asks of a host: `digest` of its HostSpec, tasks, and what no witness vouches for."""

    digest: str
    tasks: tuple[Task, ...]
    looked: Look

    @classmethod
    def about(cls, spec: HostSpec, looked: Look, kinds: Mapping[str, Kind]) -> Asked:
        witnesses = () if spec.target.type == "http" else (witness_task(spec.resources, kinds),)
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

    seen: resource id → digest of the resource it was looked at for, what was observed, and the witnesses taken before.
    state: what fleet keeps on the host, likewise. nothing: the last sweep that found nothing.
    """

    seen: dict[str, tuple[str, Observed, Witnesses]] = field(default_factory=dict)
    last: Witnesses | None = None
    state: tuple[HostState, Witnesses] | None = None
    nothing: Nothing | None = None

    def witnesses(self, outcome: Outcome | None) -> Witnesses | None:
        """What the `stat` of this look says; None when that proves nothing."""
        self.last = read_witnesses(outcome, self.last)
        return self.last

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
        """Where something is so young that it may have changed in the very second, the next sweep reads it all."""
        now = self.last
        quiet = not (plan.changes or plan.unreadable or plan.waiting)
        proven = not asked.witnessed or (now is not None and now.youngest < now.second)
        said = now.said if now is not None else b""
        found = Nothing(asked, said, asked.answers(outcomes), dict(observed), plan)
        self.nothing = found if quiet and proven else None

    def keep_state(self, state: HostState, then: Witnesses | None) -> None:
        """A mark says what is due in its content, which its directory does not witness: then it is read each time."""
        self.state = None if then is None or state.due else (state, then)

    def recall_state(self, now: Witnesses | None) -> HostState | None:
        """What fleet keeps on the host, when it still holds."""
        if self.state is None or now is None or not _hold(STATE_PATHS, self.state[1], now):
            return None
        return self.state[0]

    def keep(self, resources: Iterable[Resource], observed: Mapping[str, Observed], then: Witnesses | None) -> None:
        """Remember a look whose witnesses were taken before it; without witnesses there is nothing to rely on later."""
        for resource in resources:
            seen = observed.get(resource.id, Unreadable(""))
            if then is None or isinstance(seen, Unreadable | Waiting):
                self.seen.pop(resource.id, None)
            else:
                self.seen[resource.id] = (resource.digest, seen, then)

    def recall(
        self, resources: Iterable[Resource], kinds: Mapping[str, Kind], now: Witnesses | None
    ) -> dict[str, Observed]:
        """The observations that still hold. Everything else must be looked at."""
        found: dict[str, Observed] = {}
        if now is None:
            return found
        for resource in resources:
            digest, observed, then = self.seen.get(resource.id, ("", None, None))
            if then is not None and digest == resource.digest and holds(resource, kinds, then, now):
                found[resource.id] = observed
        return found
