"""What may be shown of a change, and a diff of its content: values in, plain values out. Pure; styles are the screen's.

Of a sensitive resource nothing is told but that it differs, and how long it is. The lines of a diff are a host's words:
whoever prints them makes them printable.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from fleet.model.change import Change
from fleet.model.value import State

# Attributes that stand for the content, and never tell a person anything themselves.
CONTENT = ("content", "sha256")
# What may be told of a sensitive resource.
HARMLESS = ("ensure", "mode", "owner", "group", "type")
# difflib is quadratic at worst; beyond this only sizes are told.
DIFF_BYTES = 256 * 1024


def content_diff(change: Change, old: str = "on the host") -> list[str] | str:
    """Lines of a unified diff, or in words why there is none. old: what it calls the old side."""
    new, before = change.resource.content or b"", old_content(change)
    if change.resource.sensitive:
        sizes = f"{len(before):,} → {len(new):,} bytes" if before is not None else f"{len(new):,} bytes"
        return f"secret {'set' if change.before is None else 'changed'} ({sizes})"
    if change.before is None:
        before = b""
    what = "binary content" if b"\x00" in new or b"\x00" in (before or b"") else "content"
    if before is None or what != "content" or max(len(before), len(new)) > DIFF_BYTES:
        return f"{what}, {len(new):,} bytes" if change.before is None else f"{what} differs; {len(new):,} bytes after"
    return diff_lines(before.decode(errors="backslashreplace"), new.decode(errors="backslashreplace"), old)


def diff_lines(before: str, after: str, old: str) -> list[str]:
    """A unified diff with three lines of context; of something new only what is in it."""
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), old, "after", lineterm=""))
    if not lines and before != after:
        return ["  only the line endings differ, or the last line's end"]
    return lines if before else [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def old_content(change: Change) -> bytes | None:
    """What the host sent of its content; None when it sent none, or only the beginning."""
    before = change.before or {}
    old = before.get("content")
    data = old.encode("utf-8", "surrogateescape") if isinstance(old, str) else old
    return data if data is not None and before.get("size", len(data)) == len(data) else None


def attributes(change: Change) -> Mapping[str, tuple[Any, Any]]:
    """Those that differ, but for the content: before and after. Of a sensitive resource: that they do."""
    before, after = change.before or {}, change.after or {}
    names = [name for name in change.attributes if name not in CONTENT]
    secret = {name for name in names if change.resource.sensitive and name not in HARMLESS}
    return {name: (None, None) if name in secret else (_get(before, name), _get(after, name)) for name in names}


def _get(state: State, name: str) -> Any:
    return state.get(name)
