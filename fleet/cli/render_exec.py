"""What people ran by hand as text: hosts that answered the same told once, and records beside drift. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from fleet.cli.printable import one_line, printable
from fleet.cli.ranges import by_environment, compress
from fleet.cli.times import ago, iso, moment
from fleet.cli.words import count
from fleet.model.executed import Ended, Executed

if TYPE_CHECKING:
    from fleet.history import ExecRecord

COLORS = {
    "ok": "green",
    "failed": "red",
    "conflict": "red",
    "unreachable": "magenta",
    "unknown": "magenta",
    "skipped": "magenta",
    "running": "cyan",
}
# What matters most comes last, where the reader's eye is.
_ORDER = (Ended.OK, Ended.FAILED, Ended.SKIPPED, Ended.UNREACHABLE, Ended.UNKNOWN, Ended.CONFLICT)
_SAID = {
    Ended.CONFLICT: "refused; not run",
    Ended.UNREACHABLE: "unreachable; not run",
    Ended.UNKNOWN: "unknown: nobody knows how it ended",
    Ended.SKIPPED: "not begun",
}
Record = Mapping[str, Any]  # who, at (Unix seconds), command, reason, status, code


def render(results: Iterable[Executed], width: int) -> str:
    """Hosts with the same end and the same output together, the largest group of each end first."""
    groups: dict[tuple[Ended, int | None, bytes, str, bool], list[tuple[str, str]]] = {}
    for one in results:
        said = (one.status, one.code, one.output, one.error, one.truncated)
        groups.setdefault(said, []).append((one.environment, one.host))
    several = len({environment for hosts in groups.values() for environment, _ in hosts}) > 1
    ordered = sorted(groups.items(), key=lambda g: (_ORDER.index(g[0][0]), -len(g[1]), sorted(g[1])))
    blocks = []
    for (status, code, output, error, truncated), hosts in ordered:
        names = one_line(by_environment(hosts) if several else compress(name for _, name in hosts), 100_000)
        end = f"exit {code}" if status in (Ended.OK, Ended.FAILED) and code is not None else _SAID.get(status, "failed")
        head = textwrap.wrap(f"{count(len(hosts), 'host')}: {names}", width - 4, subsequent_indent="    ")
        lines = [*head[:-1], head[-1] + "  " + click.style(end, fg=COLORS[status], bold=True)]
        lines += [f"    {click.style(one_line(error, 400), fg=COLORS[status])}"] if error else []
        lines += _output(output)
        lines += [click.style("    (its beginning and its end only; the record has no more)", dim=True)] * truncated
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def closing(results: Sequence[Executed]) -> str:
    """Counts of hosts by how it ended."""
    counts = {status: sum(one.status is status for one in results) for status in _ORDER}
    parts = [click.style(f"{number:,} {status}", fg=COLORS[status]) for status, number in counts.items() if number]
    return f"{count(len(results), 'host')}: {', '.join(parts)}"


def document(one: Executed) -> dict[str, Any]:
    return {
        "host": one.host,
        "environment": one.environment,
        "status": str(one.status),
        "code": one.code,
        "output": one.output,
        "truncated": one.truncated,
        "error": one.error,
        "seconds": round(one.seconds, 3),
    }


def record_document(one: ExecRecord) -> dict[str, Any]:
    """The keys of one record under --json."""
    return {
        "run": one.run,
        "environment": one.environment,
        "host": one.host,
        "who": one.who,
        "reason": one.reason,
        "command": one.command,
        "intended": iso(one.intended),
        "ended": iso(one.ended),
        "status": one.status,
        "code": one.code,
        "output": one.output,
        "truncated": one.truncated,
        "error": one.error,
        "seconds": round(one.seconds, 3),
    }


def records_text(records: Sequence[ExecRecord], output: bool) -> str:
    """Each call with its hosts, those that ended alike together. output: what they printed as well."""
    lines: list[str] = []
    said: dict[tuple[int, str, str, str], list[ExecRecord]] = {}
    for one in records:
        said.setdefault((one.run, one.who, one.command, one.reason), []).append(one)
    for (run, who, command, reason), ones in said.items():
        what = f"{one_line(who, 80)}: {one_line(command)} ({one_line(reason)})"
        lines.append(f"{run:>5}  {moment(ones[-1].intended)}  {what}")
        groups: dict[tuple[str, int | None, bytes, str], list[tuple[str, str]]] = {}
        for one in ones:
            end = (one.status, one.code, one.output if output else b"", one.error if output else "")
            groups.setdefault(end, []).append((one.environment, one.host))
        for (status, code, printed, error), hosts in groups.items():
            exited = f"{status}, exit {code}" if code else status
            names = one_line(by_environment(hosts), 2000)
            lines.append(f"       {names}  {click.style(exited, fg=COLORS.get(status))}")
            lines += [f"           {one_line(error, 400)}"] if error else []
            lines += [f"       {line}" for line in _output(printed)]
    return "\n".join(lines) or "nobody ran anything by hand"


def beside(hosts: Iterable[tuple[tuple[str, str], Sequence[Record]]], now: float, most: int = 5) -> Iterator[str]:
    """What was run by hand on hosts that drifted, the latest first; each call once. most: of them are told."""
    calls: dict[tuple[int, str, float, str, str, str], list[tuple[str, str]]] = {}
    for host, records in hosts:
        for one in records:
            end = "" if one["status"] == "ok" else f"exit {one['code']}" if one["code"] else one["status"]
            said = (one["run"], one["who"], one["at"], one["command"], one["reason"], end)
            calls.setdefault(said, []).append(host)
    told = sorted(calls.items(), key=lambda one: -one[0][0])
    if told:
        yield "run there by hand since these hosts were last in sync (`fleet history RUN` has what it printed):"
    for (run, who, at, command, reason, end), names in told[:most]:
        ended = f", {end}" if end else ""
        yield f"  {one_line(by_environment(names), 2000)}"
        what = f"{one_line(who, 80)}, {ago(at, now)}: {one_line(command)} ({one_line(reason)}){ended}"
        yield click.style(f"      {what}  run {run}", fg="yellow")
    if len(told) > most:
        yield f"  and {count(len(told) - most, 'call')} before; see `fleet history --exec`"


def _output(output: bytes) -> Iterator[str]:
    """The host's words, each line marked as such."""
    lines = printable(output).split("\n")
    while lines and not lines[-1]:
        lines.pop()
    for line in lines:
        yield "    | " + line.replace("\t", "    ")
