"""Which observations still hold, by the identity of files: the rule of Git's index, racy timestamps included.

A full look is preceded by one `stat` of every witness; a sweep is that `stat` alone. An observation holds while each of
its witnesses has the same device, inode, size, mtime, ctime, owner, group and mode, and each ctime is older than the
second in which the look began (a file changed twice within one second would otherwise look untouched). A file of the
kernel, below /proc or /sys, is known by what it says.
See Documentation/technical/racy-git in Git's sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from fleet.converge.look import STATE_PATHS
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

    asked: what the question was; said: the answer but for the clock; youngest: the latest ctime in it, in seconds.
    """

    second: int
    identities: Mapping[str, Identity]
    asked: frozenset[str] = frozenset()
    said: bytes = b""
    youngest: int = 0


def witness_task(paths: Iterable[str] = ()) -> Task:
    """One question about all witnesses, and about what fleet itself keeps on the host."""
    paths = dict.fromkeys((*STATE_PATHS, *paths))
    files = tuple(path for path in paths if not path.startswith(KERNEL))
    return Task(WITNESS_TASK, (Witness(files, tuple(path for path in paths if path.startswith(KERNEL))),))


def read_witnesses(task: Task, outcome: Outcome | None, last: Witnesses | None = None) -> Witnesses | None:
    """None when the outcome proves nothing. last: an answer before; the same again need not be read again."""
    if outcome is None or outcome.status is not Status.OK or outcome.truncated:
        return None
    first, _, rest = outcome.output.partition(b"\n")
    clock = first.partition(b" ")[0] if first.endswith(b" " + Witness.CLOCK.encode()) else b""
    second = int(clock) if clock.isdigit() else 0
    if not second:  # without the host's clock nobody can tell what is young
        return None
    (step,) = task.steps
    assert isinstance(step, Witness)
    asked = frozenset((*step.paths, *step.contents))
    if last is not None and last.said == rest:
        return replace(last, second=second, asked=asked)
    identities: dict[str, Identity] = {}
    for line in rest.decode(errors="surrogateescape").split("\n"):
        parts = line.split(" ", 8)
        if line.startswith(KERNEL):
            path, _, content = line.partition(":")
            identities[path] = (*identities.get(path, _AGELESS), content)
        elif len(parts) == 9:
            identities[parts[8]] = tuple(parts[:8])
    changed = [int(identity[0]) for identity in identities.values() if identity[0].isdecimal()]
    return Witnesses(second, identities, asked, rest, max(changed, default=0))


def hold(paths: Iterable[str], then: Witnesses, now: Witnesses) -> bool:
    """Whether all of `paths` are now the very files that they were then."""
    if not now.asked.issuperset(paths):
        return False
    if then.identities is now.identities and then.youngest < then.second:
        return True  # the very same answer, and nothing in it was young then
    return all(_same(then, now, path.encode().decode(errors="surrogateescape")) for path in paths)


def _same(then: Witnesses, now: Witnesses, path: str) -> bool:
    before = then.identities.get(path)
    if before != now.identities.get(path):
        return False
    # An absent path has no ctime to be racy with; its creation later shows as an identity.
    return before is None or (before[0].isdecimal() and int(before[0]) < then.second)
