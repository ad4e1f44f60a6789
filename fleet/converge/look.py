"""Join the probes of all kinds into few tasks, and read their outcomes: resources in, Observation out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from fleet.model.change import Observed, Unreadable
from fleet.model.host import Resource
from fleet.model.kind import Kind, Probe
from fleet.model.step import Outcome, Script, Status, Task

# The host's side of fleet's memory: whose host it is, the last token, and what is still due. No forks.
STATE_TASK = "look:state"
# Whose identity proves that nothing of it changed, but for the words in a mark that stands.
STATE_PATHS = ("/var/lib/fleet/environment", "/var/lib/fleet/fence", "/var/lib/fleet/due")
STATE_TEXT = """\
d=/var/lib/fleet s= nl='
'
for f in environment fence; do
  if [ -r "$d/$f" ]; then IFS= read -r v <"$d/$f" || :; s="$s$f $v$nl"; fi
done
for f in "$d"/due/*; do
  if [ -f "$f" ]; then IFS= read -r v <"$f" || :; s="${s}due $v$nl"; fi
done
printf %s "$s"
"""


@dataclass(frozen=True, slots=True)
class HostState:
    """What `/var/lib/fleet` on the host says. environment "": no apply has claimed it yet. fence 0: never written."""

    environment: str = ""
    fence: int = 0
    due: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Look:
    """A look that has not happened yet: tasks to send, and who reads which outcome."""

    resources: tuple[Resource, ...]
    tasks: tuple[Task, ...]
    readers: tuple[tuple[str, Probe, tuple[Resource, ...]], ...]

    def read(self, outcomes: Mapping[str, Outcome]) -> dict[str, Observed]:
        """Every resource looked at → what was seen. A host's nonsense makes its own resources unreadable, no more."""
        seen: dict[str, Observed] = {}
        for task_id, probe, resources in self.readers:
            found = _answer(probe, resources, outcomes.get(task_id))
            for resource in resources:
                seen[resource.id] = found.get(resource.id, Unreadable("the host's answer does not mention it"))
        return seen

    def vouched(self, outcomes: Mapping[str, Outcome]) -> dict[str, tuple[str, ...]]:
        """Resource id → paths that prove what was seen, as far as the host says which."""
        found: dict[str, tuple[str, ...]] = {}
        for task_id, probe, _ in self.readers:
            outcome = outcomes.get(task_id)
            if outcome is not None and outcome.status is Status.OK and not outcome.truncated:
                with contextlib.suppress(ValueError, LookupError, TypeError):  # nonsense proves nothing
                    found |= probe.vouch(outcome)
        return found


def look(resources: Iterable[Resource], kinds: Mapping[str, Kind]) -> Look:
    """One probe per kind; those with the same text become one task over the union of their arguments, those that ask
    an API one task each."""
    wanted = tuple(resources)
    by_text: dict[str, list[tuple[Probe, tuple[Resource, ...]]]] = {}
    asking: list[tuple[Probe, tuple[Resource, ...]]] = []
    for kind, members in groupby(sorted(wanted, key=lambda r: r.kind), key=lambda r: r.kind):
        group = tuple(members)
        probe = kinds[kind].observe(group)
        if probe.requests:
            asking.append((probe, group))
            continue
        by_text.setdefault(probe.script.text, []).append((probe, group))
    tasks: list[Task] = []
    readers: list[tuple[str, Probe, tuple[Resource, ...]]] = []
    for number, (text, probes) in enumerate(by_text.items()):
        task_id = f"look:{number}"
        args = tuple(dict.fromkeys(arg for probe, _ in probes for arg in probe.script.args))
        tasks.append(Task(task_id, (Script(text, args),)))
        readers.extend((task_id, probe, group) for probe, group in probes)
    for number, (probe, group) in enumerate(asking, len(tasks)):
        tasks.append(Task(f"look:{number}", probe.requests))
        readers.append((f"look:{number}", probe, group))
    return Look(wanted, tuple(tasks), tuple(readers))


def state_task() -> Task:
    return Task(STATE_TASK, (Script(STATE_TEXT),))


def read_state(outcome: Outcome | None) -> HostState:
    """Lines that are not ours are ignored: the directory is the host's, and a host may say anything."""
    environment, fence, due = "", 0, dict[str, str]()
    text = (outcome.output if outcome else b"").decode(errors="backslashreplace")
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "environment":
            environment = rest.strip()
        elif word == "fence" and rest.strip().isdecimal():
            fence = int(rest)
        elif word == "due":
            action, _, resource_id = rest.partition(" ")
            due[resource_id] = action
    return HostState(environment, fence, due)


def _answer(probe: Probe, resources: Iterable[Resource], outcome: Outcome | None) -> Mapping[str, Observed]:
    if outcome is None or outcome.status is Status.UNKNOWN:
        return {}
    if outcome.truncated:
        return dict.fromkeys((r.id for r in resources), Unreadable("the host said more than may be kept of one look"))
    try:
        return probe.read(outcome)
    except ValueError as error:
        return dict.fromkeys((r.id for r in resources), Unreadable(str(error)))
    except (LookupError, TypeError):
        # A reader that trips over bytes no sane host sends: its resources stay unreadable, the others are unharmed.
        return {}
