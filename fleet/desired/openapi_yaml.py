"""A draft as the text of a profile's file, with what is to be decided as comments beside it."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

from fleet.desired.openapi_draft import Draft

WIDTH = 110
# What needs no quotes in any reader of YAML.
_PLAIN = re.compile(r"[A-Za-z_](?:[A-Za-z0-9_ ,.;()/'+=-]*[A-Za-z0-9_.;()/'+=-])?|/[A-Za-z0-9_./-]*")
_WORDS = frozenset({"on", "off", "yes", "no", "y", "n", "true", "false", "null"})


def text(draft: Draft, source: str) -> str:
    """source: where it was drafted from, one line."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - only who imports a document waits for it

    yaml = YAML()
    yaml.width = WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    made = _node(draft.profile)
    for where, doubts in draft.doubts.items():
        _remark(made, where, doubts)
    made.yaml_set_start_comment(
        f"Drafted by `fleet profiles import` from {source}.\n"
        "Decide what `decide:` asks; then: fleet profiles check FILE"
    )
    stream = io.StringIO()
    yaml.dump(made, stream)
    return stream.getvalue()


def _remark(made: Any, where: tuple[str, ...], doubts: list[str]) -> None:
    *before, last = where
    inner = made
    for key in before:
        inner = inner[key]
    if last in inner:
        said = "\n".join(f"decide: {one}" for one in doubts)
        inner.yaml_set_comment_before_after_key(last, before=said, indent=2 * len(before))


def _node(value: Any, depth: int = 0) -> Any:
    from ruamel.yaml.comments import CommentedMap, CommentedSeq  # noqa: PLC0415
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString  # noqa: PLC0415

    if isinstance(value, Mapping):
        made = CommentedMap((_node(key, depth + 1), _node(inner, depth + 1)) for key, inner in value.items())
        if (
            depth > 0
            and not any(isinstance(inner, Mapping | list) for inner in value.values())
            and len(str(value)) < 90
        ):
            made.fa.set_flow_style()
        return made
    if isinstance(value, list):
        several = CommentedSeq(_node(inner, depth + 1) for inner in value)
        if not any(isinstance(inner, Mapping | list) for inner in value):
            several.fa.set_flow_style()
        return several
    if isinstance(value, str):
        if "\n" in value:
            return LiteralScalarString(value)
        if not _PLAIN.fullmatch(value) or value.lower() in _WORDS:
            return DoubleQuotedScalarString(value)
    return value
