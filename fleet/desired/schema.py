"""The format as JSON Schema 2020-12, for editors. Made from the same Shapes that `load` checks.

Any scalar may be a template, so every typed scalar may be a string too. What a weaker layer may have said cannot be
known to one file: nothing is required.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fleet.desired.format import Shape, documents
from fleet.desired.yaml import TAGS
from fleet.model.kind import Kind

HEADER = "# yaml-language-server: $schema="
# Editors must be told of the tags beside the schema: the setting `yaml.customTags` of the YAML language server.
_SORTS = {"raw": ("scalar",), "secret": ("scalar",)}
CUSTOM_TAGS = tuple(f"!{tag} {sort}" for tag in TAGS for sort in _SORTS.get(tag, ("scalar", "mapping", "sequence")))

_SCALARS = {"text": ["string", "number"], "number": ["number", "string"], "flag": ["boolean", "string"]}
_REMOVED = {"const": "", "description": "what `!remove` leaves"}

Json = dict[str, Any]


def schema(kinds: Mapping[str, Kind]) -> Json:
    """One document for all four sorts of file; each is also to be had alone as `#/$defs/SORT`."""
    definitions: Json = {}
    for kind in sorted(kinds):
        definitions |= _of_spec(kinds[kind])
    sorts = documents(kinds)
    definitions |= {sort: _shape(shape) for sort, shape in sorts.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fleet: files under environments/",
        "anyOf": [{"$ref": f"#/$defs/{sort}"} for sort in sorts],
        "$defs": definitions,
    }


def header(location: str, sort: str = "") -> str:
    """The first line of a file that makes an editor use the schema at `location`, for one sort of file or for all."""
    return HEADER + location + (f"#/$defs/{sort}" if sort else "")


def _shape(shape: Shape) -> Json:
    found: Json = {"description": shape.doc} if shape.doc else {}
    if shape.schema is not None:
        return found | _templated(shape.schema)
    if shape.type == "map":
        inner: Json = {"type": ["object", "null"], "additionalProperties": False}
        if shape.keys:
            inner["properties"] = {key: _or_removed(_shape(value)) for key, value in shape.keys.items()}
        if shape.each is not None:
            inner["additionalProperties"] = _or_removed(_shape(shape.each))
        return found | inner
    if shape.type == "list":
        return found | {"type": ["array", "string"], "items": _shape(shape.each) if shape.each else True}
    if shape.choices:
        return found | {"anyOf": [{"enum": list(shape.choices)}, {"type": "string", "pattern": r"\{[{%]"}]}
    return found | ({"type": _SCALARS[shape.type]} if shape.type in _SCALARS else {})


def _or_removed(inner: Json) -> Json:
    """`NAME: !remove` is an empty scalar to an editor that keeps tags apart from values."""
    if inner.get("type") == ["object", "null"]:
        return {**inner, "type": ["object", "null", "string"], "maxLength": 0}
    return {"anyOf": [inner, {"type": "null"}, _REMOVED]} if inner.keys() - {"description"} else inner


def _of_spec(kind: Kind) -> Json:
    """Definitions that the kind's own schema refers to, under names of their own."""
    inner = kind.Spec.model_json_schema(ref_template=f"#/$defs/{kind.name}.{{model}}").get("$defs", {})
    return {f"{kind.name}.{name}": value for name, value in inner.items()}


def _templated(found: Mapping[str, Any]) -> Json:
    """A typed value, or the template that gives it. Kept: words and bounds, in a branch of their own."""
    about = {key: found[key] for key in ("description", "default", "title") if key in found}
    typed = {key: value for key, value in found.items() if key not in about}
    if not typed or (typed.get("type") == "string" and len(typed) == 1):
        return about | typed
    return about | {"anyOf": [typed, {"type": "string", "pattern": r"\{[{%]"}]}
