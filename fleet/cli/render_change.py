"""One change as lines of text: a Change in, styled and printable lines out. Pure.

Text content as a unified diff, everything else attribute by attribute; secrets by their sizes only.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click

from fleet.cli.printable import one_line, printable
from fleet.cli.words import count
from fleet.converge.shown import CONTENT, HARMLESS, content_diff, diff_lines, old_content
from fleet.model import sealed
from fleet.model.change import Change, Plan
from fleet.model.value import Value

SYMBOLS = {"create": ("+", "green"), "update": ("~", "yellow"), "remove": ("-", "red"), "trigger": ("↻", "cyan")}
# What the kind says already.
OBVIOUS = ("type", "ensure")


@dataclass(frozen=True, slots=True)
class Detail:
    """How much to say.

    lines: of a diff, per change; created: of the content of something new. short: which changes, and nothing of them.
    variants: of a change that differs by host, before only one is shown. width: columns.
    old: what a diff calls the old side.
    """

    lines: int = 40
    created: int = 8
    variants: int = 3
    short: bool = False
    width: int = 80
    old: str = "on the host"


def change_lines(change: Change, plan: Plan, detail: Detail) -> list[str]:
    """The change and all that it does, indented by two."""
    symbol, color = SYMBOLS[change.action]
    head = f"  {click.style(f'{symbol} {one_line(change.resource.id)}', fg=color, bold=True)}"
    notes = [note for note in (_trigger(change, plan), _provisional(change, plan), _secrets(change)) if note]
    if notes:
        head += "  " + click.style("; ".join(notes), dim=True)
    return [head] if detail.short else [head, *("      " + line for line in _body(change, detail))]


def _body(change: Change, detail: Detail) -> Iterator[str]:
    if change.action in {"remove", "trigger"}:
        return
    names = change.attributes if change.before is not None else tuple(sorted(change.after or {}))
    short: list[str] = []
    for name in names:
        if name in CONTENT or (change.before is None and name in OBVIOUS):
            continue
        old, new = (change.before or {}).get(name), (change.after or {}).get(name)
        if change.resource.sensitive and name not in HARMLESS:
            short.append(f"{one_line(name)}: secret {'changed' if change.before is not None else 'set'}")
        elif any(isinstance(value, str) and "\n" in value for value in (old, new)):
            yield f"{one_line(name)}:"
            yield from styled(
                diff_lines(str(old or ""), str(new or ""), detail.old), detail.lines if old else detail.created
            )
        elif change.before is None:
            short += [] if new is None else [f"{one_line(name)} {value_text(name, new)}"]
        else:
            yield f"{one_line(name)} {value_text(name, old)} → {value_text(name, new)}"
    if short:
        yield from textwrap.wrap(", ".join(short), max(detail.width - 6, 40))
    if any(name in CONTENT for name in names):
        yield from content_lines(change, detail)


def content_lines(change: Change, detail: Detail) -> Iterator[str]:
    """What becomes of the content, as far as it may and can be shown."""
    if change.resource.content is None and not change.resource.sensitive:
        # A kind that writes the content itself, from its attributes.
        wanted = getattr(change.resource.spec, "model_dump", dict)(exclude_defaults=True)
        said = ", ".join(f"{one_line(name)} {value_text(name, value)}" for name, value in wanted.items())
        yield from textwrap.wrap(said if change.before is None else f"differs from: {said}", max(detail.width - 6, 40))
        return
    found = content_diff(change, detail.old)
    most = detail.lines if change.before is not None and old_content(change) else detail.created
    yield from [found] if isinstance(found, str) else styled(found, most)


def styled(lines: Sequence[str], most: int) -> Iterator[str]:
    """Lines of a diff, each printable and cut to what a screen can hold."""
    for line in lines[:most]:
        color = None if line[:3] in ("---", "+++") else {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        yield click.style(one_line(line.replace("\t", "    "), 500), fg=color)
    if len(lines) > most:
        yield click.style(f"… {len(lines) - most:,} more lines; -v shows them", dim=True)


def value_text(name: str, value: Value) -> str:
    """A plain value in few words; modes the way people write them."""
    if value is None:
        return "(none)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "mode" and isinstance(value, str):
        return printable(value).rjust(4, "0")
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(value_text("", one) for one in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{one_line(str(k))}: {value_text('', v)}" for k, v in value.items()) + "}"
    return one_line(value if isinstance(value, (str, bytes)) else str(value)) or '""'


def _trigger(change: Change, plan: Plan) -> str:
    if not change.due:
        return ""
    changing = {one.resource.id for one in plan.changes}
    watched = [one for ids in change.resource.watches.values() for one in ids if one in changing]
    why = f"since {one_line(watched[0])} changes" if watched else "still due from an earlier run"
    more = f" and {len(watched) - 1} more" if len(watched) > 1 else ""
    return f"{one_line(change.due)}, {why}{more}"


def _secrets(change: Change) -> str:
    """Which secrets are not yet what they should be, when what stands there was seen."""
    before = change.before or {}
    resource = change.resource
    if not resource.secrets or change.action != "update" or not ({"content", *before} & {*CONTENT, *change.attributes}):
        return ""
    there = {str(one) for one in sealed.every_leaf(dict(before))}
    missing = dict.fromkeys(one.name for text in resource.secrets if text not in there for one in sealed.leaves(text))
    return f"{count(len(missing), 'secret')} changed: {', '.join(map(one_line, missing))}" if missing else ""


def _provisional(change: Change, plan: Plan) -> str:
    return "provisional: what comes before it may alter this" if change.resource.id in plan.provisional else ""
