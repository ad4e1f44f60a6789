"""Properties of what an API is sent → attributes of a profile, each with the field that it becomes."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from fleet.desired.openapi import Document, Schema, one_line
from fleet.desired.profile_spec import COMMON, TYPES

_BOUNDS = {
    "integer": ("minimum", "maximum"),
    "number": ("minimum", "maximum"),
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
}
_PYTHON: Mapping[str, Any] = {"string": str, "integer": int, "number": int | float, "boolean": bool, "array": list,
                              "object": dict}  # fmt: skip
# Words that mean something else in the expressions of a profile.
_TAKEN = frozenset({"and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None",
                    "name", "range", "dict", "lipsum", "cycler", "joiner", "namespace", *COMMON})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Attribute:
    """key: its name in the API. about: JSON Schema as a profile has it. doubt: what a person has to decide."""

    name: str
    key: str
    about: dict[str, Any] = field(default_factory=dict)
    required: bool = False
    unordered: bool = False
    doubt: str = ""

    @property
    def write_only(self) -> bool:
        return bool(self.about.get("writeOnly"))

    def sample(self) -> Any:
        """A value that it may have."""
        about = self.about
        if "enum" in about:
            return about["enum"][0]
        if about["type"] == "string":
            return ("x" * max(1, about.get("minLength", 0)))[: about.get("maxLength")]
        if about["type"] in ("integer", "number"):
            least, most = about.get("minimum", 1), about.get("maximum")
            return least if most is None else min(max(1, least), most)
        if about["type"] == "array":
            inner = Attribute("", "", {"type": "object", **about.get("items", {})}).sample()
            return [inner] * about.get("minItems", 0)
        return True if about["type"] == "boolean" else {}


def attributes(document: Document, sent: Schema, known: Schema, but: Collection[str]) -> Iterator[Attribute]:
    """Of all that can be sent, less what only the server writes and `but`. known: what is answered; a field that stands
    in no answer is write-only. Raises ConfigError."""
    taken = set(_TAKEN)
    for key, place in sent.properties.items():
        schema = document.schema(place)
        if key in but or schema.said.get("readOnly") is True or not sayable(key):
            continue
        name = word(key, taken)
        taken.add(name)
        hidden = bool(known.properties) and key not in known.properties
        yield _attribute(document, key, name, schema, (key in sent.required, hidden))


def sayable(key: str) -> bool:
    """Whether a profile can name the field: where keys stand in lists, braces would be a template."""
    return bool(key) and key.isprintable() and not {"{", "}"} & set(key)


def word(key: str, taken: Collection[str]) -> str:
    """A name for an attribute, as near as can be to that of the field."""
    found = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()
    found = re.sub(r"[^a-z0-9]+", "_", found).strip("_") or "field"
    if found[0].isdigit() or found.startswith("model_") or hasattr(BaseModel, found) or found in _TAKEN:
        found = f"its_{found}"
    number = next(n for n in range(1, len(taken) + 2) if (found if n == 1 else f"{found}_{n}") not in taken)
    return found if number == 1 else f"{found}_{number}"


def _attribute(document: Document, key: str, name: str, schema: Schema, flags: tuple[bool, bool]) -> Attribute:
    required, hidden = flags
    said, doubts = schema.said, []
    type_ = schema.type if schema.type in TYPES else "string"
    if schema.choice or type_ != schema.type:
        doubts.append("the document allows several types, or none" if schema.type != "null" else "its type")
    about: dict[str, Any] = {"type": type_}
    choices = _choices(said.get("enum"), type_)
    if choices:
        about["enum"] = choices
    if type_ == "array" and schema.items is not None:
        inner = document.schema(schema.items)
        if inner.type in TYPES:
            about["items"] = {"type": inner.type}
            if choices := _choices(inner.said.get("enum"), inner.type):
                about["items"]["enum"] = choices
    if not choices:
        about |= {bound: said[bound] for bound in _BOUNDS.get(type_, ()) if _bound(bound, said.get(bound))}
    default = said.get("default")
    if default is not None and _fits(default, type_) and default in (choices or [default]):
        about["default"] = default
    if said.get("writeOnly") is True or hidden:
        about["writeOnly"] = True
    if hidden and said.get("writeOnly") is not True:
        doubts.append("no answer has it: a change that somebody makes by hand is not noticed")
    about["description"] = _description(said, schema, key)
    unordered = said.get("uniqueItems") is True and type_ == "array"
    return Attribute(name, key, about, required and "default" not in about, unordered, "; ".join(doubts))


def _description(said: Mapping[str, Any], schema: Schema, key: str) -> str:
    text = next((one_line(one) for one in (said.get("description"), said.get("title")) if isinstance(one, str)), "")
    if not text and schema.properties:
        text = "A map with " + ", ".join(one_line(one) for one in list(schema.properties)[:8])
    text = text or f"The field {one_line(key)}"
    return text if text[-1] in ".!?)" else text + "."


def _choices(values: Any, type_: str) -> list[Any]:
    """Numbers with a fraction are no choices to anybody."""
    if not isinstance(values, list) or type_ in ("number", "array", "object"):
        return []
    fit = [one for one in values if one is not None]
    good = fit and all(_fits(one, type_) and (not isinstance(one, str) or one.isprintable()) for one in fit)
    return list({json.dumps(one): one for one in fit}.values()) if good else []


def _bound(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if name in ("minimum", "maximum"):
        return isinstance(value, int | float) and _short(value)
    return isinstance(value, int) and 0 <= value < (1000 if name.startswith("min") else 2**31)


def _fits(value: Any, type_: str) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return isinstance(value, _PYTHON[type_]) and (type_ == "boolean" or not isinstance(value, bool))
    return isinstance(value, _PYTHON[type_]) and _short(value)


def _short(value: float) -> bool:
    """Not all that JSON calls a number is one in YAML, or meant by anybody."""
    return abs(value) < 1e15 and len(repr(value)) <= 16
