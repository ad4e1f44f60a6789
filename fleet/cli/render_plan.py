"""A whole run as text: PassResults in, groups of hosts with the same change out, and what to do next. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

import click

from fleet.cli.grouping import Group, Variant, group
from fleet.cli.printable import one_line, printable
from fleet.cli.ranges import by_environment
from fleet.cli.render_change import Detail, change_lines
from fleet.cli.words import count
from fleet.errors import TransportError
from fleet.model.change import PassResult, Verdict
from fleet.model.step import Outcome, Status

COLORS = {
    Verdict.IN_SYNC: "green",
    Verdict.PENDING: "yellow",
    Verdict.WAITING: "yellow",
    Verdict.DRIFTED: "yellow",
    Verdict.CHANGED: "green",
    Verdict.FAILED: "red",
    Verdict.UNREACHABLE: "magenta",
    Verdict.UNKNOWN: "magenta",
    Verdict.CONFLICT: "red",
}

_SAME = {
    Verdict.PENDING: "would change",
    Verdict.WAITING: "waiting: told how to be, and not so before a reboot",
    Verdict.DRIFTED: "drifted; only reported, as `drift: report` says",
    Verdict.CHANGED: "changed, and the second look agrees",
    Verdict.FAILED: "failed",
    Verdict.CONFLICT: "refused; changed by someone else meanwhile, or not ours",
    Verdict.UNKNOWN: "unknown: lost while being changed; plan again to see how it is",
}

# Status of one change → mark, colour.
_MARKS = {
    Status.OK: ("✓", "green"),
    Status.FAILED: ("✗", "red"),
    Status.SKIPPED: ("·", "white"),
    Status.HALTED: ("·", "cyan"),
    Status.CONFLICT: ("≠", "red"),
    Status.UNKNOWN: ("?", "magenta"),
}


def render(results: Iterable[PassResult], detail: Detail) -> str:
    """All groups, what matters most last, so that it stands above the prompt."""
    return "\n\n".join("\n".join(_group_lines(one, detail)) for one in group(results))


def _group_lines(one: Group, detail: Detail) -> Iterator[str]:
    hosts = count(len(one.hosts), "host")
    if one.verdict is Verdict.IN_SYNC:
        yield from _title(f"{hosts} in sync", one, detail)
    elif one.verdict is Verdict.UNREACHABLE:
        yield from _title(f"{hosts} unreachable: {one.why}; not looked at, nothing changed", one, detail)
        yield from _error_lines(one)
    else:
        same = "" if len(one.hosts) == 1 else ", same change" if one.same else ", same resources, some values differ"
        yield from _title(f"{hosts}{same}: {_SAME[one.verdict]}", one, detail)
        yield from _error_lines(one)
        yield from _changes(one, detail)


def _title(said: str, one: Group, detail: Detail) -> Iterator[str]:
    yield click.style(said, fg=COLORS[one.verdict], bold=True)
    names = one_line(by_environment(one.hosts), 100_000)
    yield from textwrap.wrap(names, detail.width - 4, initial_indent="  ", subsequent_indent="    ")


def _error_lines(one: Group) -> Iterator[str]:
    """The reason of one of them, in its own words, and the next step."""
    error = one.sample.error
    if error is None:
        return
    told = error.message if isinstance(error, TransportError) else str(error)
    whose = f"{one_line(one.sample.environment)}/{one_line(one.sample.host)}: " if len(one.hosts) > 1 else ""
    yield f"    {whose}{one_line(told, 400)}"
    if isinstance(error, TransportError) and error.hint:
        yield click.style(f"    next: {one_line(error.hint, 400)}", fg="cyan")


def _changes(one: Group, detail: Detail) -> Iterator[str]:
    for variants in one.variants():
        first = variants[0].change
        outcome = one.sample.outcomes.get(first.resource.id)
        yield from _change(variants, _mark(outcome), detail)
        if outcome is not None and outcome.status is not Status.OK:
            if len(one.hosts) > 1 and outcome.output:
                yield f"      {one_line(one.sample.environment)}/{one_line(one.sample.host)} said:"
            yield from output_lines(outcome, first.resource.sensitive)
        if left := one.sample.remaining.get(first.resource.id):
            yield click.style(f"      after the last look: {one_line(left)}", fg="red")
    plan = one.sample.plan
    if plan is None:
        return
    for name, reason in sorted(plan.waiting.items()):
        yield click.style(f"  … {one_line(name)}", fg="yellow", bold=True) + f"  {one_line(reason, 400)}"
    for name, why in sorted(plan.unreadable.items()):
        yield click.style(f"  ? {one_line(name)}", fg="magenta", bold=True) + "  could not be observed, so it stays"
        yield f"      {one_line(why.reason, 400)}"


def _change(variants: Sequence[Variant], mark: str, detail: Detail) -> Iterator[str]:
    """One change; where it differs by host, each variant, or the commonest alone when there are many."""
    shown = variants if len(variants) <= detail.variants else variants[:1]
    for number, one in enumerate(shown):
        head, *body = change_lines(one.change, one.whole, detail)
        if number == 0:
            yield head + mark
        if len(variants) > 1 and body:
            names = one_line(by_environment(one.hosts), 400)
            more = "" if len(shown) == len(variants) else f"; {len(variants) - 1} other variants, -v shows them"
            yield click.style(f"      on {names}{more}:", dim=True)
        yield from body


def _mark(outcome: Outcome | None) -> str:
    if outcome is None:
        return ""
    mark, color = _MARKS[outcome.status]
    code = f" (exit code {outcome.code})" if outcome.code else ""
    said = f"{mark} {outcome.status}{code}" if outcome.status is not Status.OK else mark
    return "  " + click.style(said, fg=color)


def output_lines(outcome: Outcome, sensitive: bool, limit: int = 12) -> Iterator[str]:
    """The end of what a step said, each line marked as the host's words."""
    if sensitive and outcome.output:
        yield "      | (output withheld: the resource is sensitive)"
        return
    lines = [line for line in printable(outcome.output).split("\n") if line.strip()]
    if len(lines) > limit:
        yield click.style(f"      | … {len(lines) - limit:,} lines before", dim=True)
    for line in lines[-limit:]:
        yield "      | " + one_line(line.replace("\t", "    "), 400)


def closing(results: Sequence[PassResult], applied: bool, again: str, not_begun: int = 0) -> str:
    """Counts of hosts by verdict, and what to do next. again: the options that select the same hosts (" -e dev")."""
    counts: dict[Verdict, int] = {}
    for result in results:
        counts[result.verdict] = counts.get(result.verdict, 0) + 1
    changes = sum(len(r.plan.changes) for r in results if r.plan is not None and r.verdict is not Verdict.UNREACHABLE)
    parts = [click.style(f"{counts[v]:,} {v}", fg=COLORS[v]) for v in COLORS if v in counts]
    if not_begun:
        parts.append(click.style(f"{not_begun:,} not begun or not finished", fg="magenta"))
    # What a key, a login or sudo refuses waits for a person; that is told with the hosts themselves.
    waiting = any(not isinstance(r.error, TransportError) or r.error.failure.retryable for r in results if _lost(r))
    total = f"{count(len(results) + not_begun, 'host')}: {', '.join(parts)}"
    total += f"; {count(changes, 'change')}" if changes else ""
    return "\n".join(
        [total, *(click.style("next: ", bold=True) + step for step in _next(counts, waiting, applied, again))]
    )


def _lost(result: PassResult) -> bool:
    return result.verdict in (Verdict.UNREACHABLE, Verdict.UNKNOWN)


def _next(counts: dict[Verdict, int], waiting: bool, applied: bool, again: str) -> Iterator[str]:
    if Verdict.PENDING in counts:
        yield f"run `fleet apply{again}` to make these changes"
    if waiting:
        yield f"run `fleet {'apply' if applied else 'plan'}{again}` again once they can be reached"
    if Verdict.CONFLICT in counts:
        yield f"run `fleet plan{again}` to see the hosts as they are now"
    if Verdict.FAILED in counts:
        yield f"mend what is shown above, then run `fleet {'apply' if applied else 'plan'}{again}` again"
