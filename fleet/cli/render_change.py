"""One change as lines of text: a Change in, styled and printable lines out. Pure.

Text content as a unified diff, everything else attribute by attribute; secrets by their sizes only.
"""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

import click

from fleet.cli.printable import one_line, printable
from fleet.cli.words import count
from fleet.model import sealed
from fleet.model.change import Change, Plan
from fleet.model.value import Value

SYMBOLS = {"create": ("+", "green"), "update": ("~", "yellow"), "remove": ("-", "red"), "trigger": ("↻", "cyan")}
# Attributes that stand for the content, and never tell a person anything themselves.
CONTENT = ("content", "sha256")
# What the kind says already.
OBVIOUS = ("type", "ensure")
# What may be told of a sensitive resource.
HARMLESS = ("ensure", "mode", "owner", "group", "type")
# difflib is quadratic at worst; beyond this only sizes are told.
DIFF_BYTES = 256 * 1024


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
            yield from unified(str(old or ""), str(new or ""), detail)
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
    new = change.resource.content or b""
    old = _old_content(change)
    if change.resource.sensitive:
        sizes = f"{len(old):,} → {len(new):,} bytes" if old is not None else f"{len(new):,} bytes"
        yield f"secret {'set' if change.before is None else 'changed'} ({sizes})"
        return
    if change.resource.content is None:  # a kind that writes the content itself, from its attributes
        wanted = getattr(change.resource.spec, "model_dump", dict)(exclude_defaults=True)
        said = ", ".join(f"{one_line(name)} {value_text(name, value)}" for name, value in wanted.items())
        yield from textwrap.wrap(said if change.before is None else f"differs from: {said}", max(detail.width - 6, 40))
        return
    if change.before is None:
        old = b""
    what = "binary content" if b"\x00" in new or b"\x00" in (old or b"") else "content"
    if old is None or what != "content" or max(len(old), len(new)) > DIFF_BYTES:
        yield f"{what}, {len(new):,} bytes" if change.before is None else f"{what} differs; {len(new):,} bytes after"
        return
    yield from unified(old.decode(errors="backslashreplace"), new.decode(errors="backslashreplace"), detail)


def unified(old: str, new: str, detail: Detail) -> Iterator[str]:
    """A unified diff with three lines of context, styled, each line printable and cut to what a screen can hold."""
    lines = list(difflib.unified_diff(old.splitlines(), new.splitlines(), detail.old, "after", lineterm=""))
    if not lines and old != new:
        lines = ["  only the line endings differ, or the last line's end"]
    most = detail.lines if old else detail.created
    if not old:
        lines = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
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


def _old_content(change: Change) -> bytes | None:
    """What the host sent of its content; None when it sent none, or only the beginning."""
    before = change.before or {}
    old = before.get("content")
    data = old.encode("utf-8", "surrogateescape") if isinstance(old, str) else old
    return data if data is not None and before.get("size", len(data)) == len(data) else None


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
