"""What a host is, as far as templates may ask: one probe of few forks, read from files wherever that is possible."""

from __future__ import annotations

from typing import Any

from fleet.errors import Failure, TransportError
from fleet.model import sealed
from fleet.model.port import Session
from fleet.model.step import Batch, Outcome, Script, Status, Task

FACTS_TASK = "look:facts"
FACTS_TEXT = """\
for f in /etc/os-release /usr/lib/os-release; do
  [ -r "$f" ] || continue
  while IFS='=' read -r k v || [ -n "$k" ]; do
    case $k in ID|VERSION_ID|VERSION_CODENAME|ID_LIKE) printf 'os.%s=%s\\n' "$k" "$v" ;; esac
  done <"$f"
  break
done
printf 'uname=%s\\n' "$(uname -s -r -m)"
if [ -r /proc/sys/kernel/hostname ]; then IFS= read -r h </proc/sys/kernel/hostname; printf 'hostname=%s\\n' "$h"; fi
if [ -r /proc/meminfo ]; then
  while read -r k v _; do case $k in MemTotal:) printf 'memory_kb=%s\\n' "$v"; break ;; esac; done </proc/meminfo
fi
printf 'cpus=%s\\n' "$(nproc 2>/dev/null || echo 1)"
if [ -d /run/systemd/system ]; then printf 'init=systemd\\n'; fi
"""

_OS = {"ID": "id", "VERSION_ID": "version", "VERSION_CODENAME": "codename", "ID_LIKE": "like"}


async def gather(session: Session, deadline: float) -> dict[str, Any]:
    """Facts of one host: os {id, version, codename, like}, kernel, architecture, hostname, memory_mb, cpus, init.

    Raises TransportError when the host cannot say.
    """
    task = Task(FACTS_TASK, (Script(FACTS_TEXT),))
    outcomes = await session.perform(Batch((task,), deadline=deadline))
    outcome = outcomes[FACTS_TASK]
    if outcome.status is not Status.OK:
        raise TransportError(Failure.LOST, "the connection was lost, or the time was up, while gathering facts")
    return read_facts(outcome)


def read_facts(outcome: Outcome) -> dict[str, Any]:
    """Plain values only; a host's words are data and are never rendered."""
    found: dict[str, Any] = {"os": dict.fromkeys(_OS.values(), ""), "init": "", "cpus": 1, "memory_mb": 0}
    found |= {"kernel": "", "architecture": "", "hostname": ""}
    for line in outcome.output.decode(errors="backslashreplace").splitlines():
        name, _, value = line.partition("=")
        value = value.strip().strip("\"'")
        if sealed.holds(value):
            continue  # what would be taken for a secret's place is no fact
        if name.startswith("os.") and name[3:] in _OS:
            found["os"][_OS[name[3:]]] = value
        elif name == "uname":
            words = value.split()
            found["kernel"], found["architecture"] = " ".join(words[:-1]), words[-1] if words else ""
        elif name in ("hostname", "init"):
            found[name] = value
        elif name == "memory_kb" and value.isdecimal():
            found["memory_mb"] = int(value) // 1024
        elif name == "cpus" and value.isdecimal():
            found["cpus"] = int(value)
    return found
