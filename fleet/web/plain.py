"""Values of view.py as JSON, for whoever reads it with whatever: ASCII only, and without the characters that HTML is
made of, since names and words of hosts are data of strangers."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence, Set
from typing import Any

from starlette.responses import Response

_HARMLESS = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\x7f": "\\u007f"})


def plain(value: Any) -> Any:
    """Maps, lists, texts, numbers. What is none of these is told as a text, and no number that JSON has not."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {_text(str(key)): plain(one) for key, one in value.items()}
    if isinstance(value, Set):
        return sorted(str(one) for one in value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float):
        return value
    return _text(str(value))


def _text(text: str) -> str:
    """Without halves of characters, which many readers of JSON refuse."""
    return text.encode(errors="backslashreplace").decode()


def dumps(document: Any) -> str:
    return json.dumps(document, allow_nan=False, separators=(",", ":")).translate(_HARMLESS)


class Json(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return dumps(plain(content)).encode()
