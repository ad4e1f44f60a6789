"""Plain values as YAML for people to read: block style, several lines as a literal block. Same value, same text."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from fleet.cli.printable import printable
from fleet.model import sealed


def to_yaml(value: Any) -> str:
    """YAML 1.2; strings of several lines as literal blocks, bytes as text with \\xNN for what is not UTF-8."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 100
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.allow_unicode = True
    stream = io.StringIO()
    yaml.dump(_readable(value), stream)
    return printable(stream.getvalue()).rstrip("\n")


def _readable(value: Any) -> Any:
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

    if isinstance(value, Mapping):
        return {_readable(key): _readable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_readable(item) for item in value]
    if isinstance(value, bytes):
        return _readable(value.decode("utf-8", "backslashreplace"))
    if isinstance(value, str):
        value = sealed.shown(value)
        if printable(value) != value or "\t" in value:
            return DoubleQuotedScalarString(value)
        if "\n" in value.rstrip("\n"):
            return LiteralScalarString(value)
        return value
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)
