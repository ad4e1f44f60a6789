"""An OpenAPI 3.0 or 3.1 document, as JSON or YAML: bytes in, places in it out, with local references followed.

Whatever is wrong with it is a ConfigError that names the file and the line, or the JSON pointer.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from fleet.errors import ConfigError, Origin, Problem

MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 60
_VERSION = re.compile(r"3\.[01](\.\d+)?(-\S+)?\Z")


@dataclass(frozen=True, slots=True)
class Place:
    """A value and where it stands, as a JSON pointer (RFC 6901)."""

    value: Any
    pointer: str = ""

    def down(self, key: str) -> Place:
        return Place(self.value[key], self.below(key))

    def below(self, key: str) -> str:
        return f"{self.pointer}/{key.replace('~', '~0').replace('/', '~1')}"


@dataclass(frozen=True, slots=True)
class Schema:
    """One JSON Schema with its references and allOf taken together. choice: it may be something else, too."""

    type: str = ""
    said: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, Place] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    items: Place | None = None
    choice: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """file: as people named it."""

    file: str
    root: Place

    def wrong(self, pointer: str, message: str, expected: str = "", hint: str = "") -> ConfigError:
        return ConfigError([Problem(Origin(self.file), f"at {pointer or '/'}: {message}", expected, hint)])

    def get(self, place: Place | None, *keys: str) -> Place | None:
        """Further down, through references; None where there is nothing. Raises ConfigError."""
        for key in keys:
            if place is None:
                return None
            value = place.value
            place = self.resolved(place.down(key)) if isinstance(value, Mapping) and key in value else None
        return place

    def members(self, place: Place | None) -> Iterator[tuple[str, Place]]:
        """A map's, each through its references; of anything else but nothing ConfigError."""
        if place is None:
            return
        if not isinstance(place.value, Mapping):
            raise self.wrong(place.pointer, f"{_said(place.value)} where a map is meant")
        for key in place.value:
            yield key, self.resolved(place.down(key))

    def text(self, place: Place | None, *keys: str) -> str:
        """In one line, fit for a terminal; "" where there is none."""
        found = self.get(place, *keys)
        return one_line(found.value) if found is not None and isinstance(found.value, str) else ""

    def resolved(self, place: Place) -> Place:
        """What a `$ref` leads to. Raises ConfigError when that is nowhere, elsewhere or in a circle."""
        seen: set[str] = set()
        while isinstance(place.value, Mapping) and isinstance(place.value.get("$ref"), str):
            ref = place.value["$ref"]
            if ref in seen:
                raise self.wrong(place.pointer, f"`$ref: {one_line(ref)}` leads in a circle")
            seen.add(ref)
            if ref != "#" and not ref.startswith("#/"):
                expected = "a reference within the document, such as #/components/schemas/NAME"
                hint = "bundle the document into one file first"
                raise self.wrong(place.pointer, f"`$ref: {one_line(ref)}` leads out of it", expected, hint)
            place = self._at(unquote(ref[1:]), place)
        return place

    def _at(self, pointer: str, asked: Place) -> Place:
        found = self.root
        for step in pointer.split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            value = found.value
            if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
                found = Place(value[int(key)], found.below(key))
            elif isinstance(value, Mapping) and key in value:
                found = found.down(key)
            else:
                raise self.wrong(asked.pointer, f"`$ref: #{one_line(pointer)}` leads nowhere")
        return found

    def schema(self, place: Place | None, depth: int = 0) -> Schema:
        """With `allOf` taken together; of `oneOf` and `anyOf` the first that is not null. Raises ConfigError."""
        if place is None or isinstance(place.value, bool):
            return Schema()
        if depth > MAX_DEPTH:
            raise self.wrong(place.pointer, "the schema contains itself in `allOf`")
        place = self.resolved(place)
        if not isinstance(place.value, Mapping):
            raise self.wrong(place.pointer, f"{_said(place.value)} where a schema is meant")
        found = self._own(place)
        for one in self._several(place, "allOf"):
            found = _both(self.schema(one, depth + 1), found)
        for word in ("oneOf", "anyOf"):
            several = [self.schema(one, depth + 1) for one in self._several(place, word)]
            meant = [one for one in several if one.type != "null"]
            if meant:
                other = len({one.type for one in meant}) > 1 or (len(meant) > 1 and meant[0].type == "object")
                first = _both(meant[0], found)
                found = Schema(first.type, first.said, first.properties, first.required, first.items,
                               other or first.choice)  # fmt: skip
        return found

    def _several(self, place: Place, word: str) -> list[Place]:
        value = place.value.get(word, [])
        if not isinstance(value, list):
            raise self.wrong(place.below(word), f"{_said(value)} where a list of schemas is meant")
        return [Place(one, f"{place.below(word)}/{number}") for number, one in enumerate(value)]

    def _own(self, place: Place) -> Schema:
        said = place.value
        types = said.get("type", "")
        several = [one for one in types if one != "null"] if isinstance(types, list) else [types]
        properties = said.get("properties", {})
        if not isinstance(properties, Mapping):
            raise self.wrong(place.below("properties"), f"{_said(properties)} where a map is meant")
        below = Place(properties, place.below("properties"))
        required = said.get("required", [])
        names = (
            frozenset(one for one in required if isinstance(one, str)) if isinstance(required, list) else frozenset()
        )
        items = place.down("items") if isinstance(said.get("items"), Mapping) else None
        type_ = str(several[0]) if several else ("null" if types else "")
        inferred = type_ or ("object" if properties else "array" if items is not None else "")
        return Schema(inferred, said, {key: below.down(key) for key in properties}, names, items, len(several) > 1)


def read(file: str, content: bytes) -> Document:
    """Raises ConfigError for what is no OpenAPI 3 document."""
    if len(content) > MAX_BYTES:
        raise ConfigError([Problem(Origin(file), f"it has {len(content):,} bytes", f"at most {MAX_BYTES:,}")])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(Origin(file), f"byte {error.start} is not UTF-8", "UTF-8 text")]) from error
    try:
        value = _json(file, text) if text.lstrip()[:1] == "{" else _yaml(file, text)
        root = Place(_plain(value))
    except RecursionError as error:
        raise ConfigError([Problem(Origin(file), "it is nested too deeply")]) from error
    document = Document(file, root)
    if not isinstance(root.value, Mapping):
        raise document.wrong(
            "", f"{_said(root.value)} where an OpenAPI document is meant", "a map with openapi and paths"
        )
    version = root.value.get("openapi", root.value.get("swagger"))
    if not isinstance(version, str) or not _VERSION.match(version):
        hint = "convert it to OpenAPI 3 first" if "swagger" in root.value else ""
        raise document.wrong("/openapi", f"{one_line(str(version))} is no version that is known", "3.0 or 3.1", hint)
    return document


def one_line(text: str) -> str:
    """Without line breaks and what a terminal would not show; at most 200 characters."""
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return words if len(words) <= 200 else words[:197] + "..."


def _json(file: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError([Problem(Origin(file, error.lineno, error.colno), f"not JSON: {error.msg}")]) from error


def _yaml(file: str, text: str) -> Any:
    from ruamel.yaml import YAML  # noqa: PLC0415 - only who imports a document waits for it
    from ruamel.yaml.error import MarkedYAMLError, YAMLError  # noqa: PLC0415

    try:
        return YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        origin = Origin(file, mark.line + 1, mark.column + 1) if mark is not None else Origin(file)
        raise ConfigError([Problem(origin, f"not YAML: {one_line(str(error.problem or error.context))}")]) from error
    except (YAMLError, ValueError) as error:
        raise ConfigError([Problem(Origin(file), f"not YAML: {one_line(str(error))}")]) from error


def _plain(value: Any) -> Any:
    """As JSON would have it: keys are text (statuses in YAML are numbers), and dates too."""
    made: dict[int, Any] = {}

    def plain(one: Any) -> Any:
        if id(one) in made:  # what an anchor names often is made once
            return made[id(one)]
        if isinstance(one, Mapping):
            made[id(one)] = found = {str(key): plain(inner) for key, inner in one.items()}
            return found
        if isinstance(one, list):
            made[id(one)] = several = [plain(inner) for inner in one]
            return several
        return one.isoformat() if isinstance(one, datetime.date) else one

    return plain(value)


def _both(under: Schema, over: Schema) -> Schema:
    return Schema(
        over.type or under.type,
        {**under.said, **over.said},
        {**under.properties, **over.properties},
        under.required | over.required,
        over.items or under.items,
        under.choice or over.choice,
    )


def _said(value: Any) -> str:
    if value is None:
        return "nothing"
    names = {str: "text", list: "a list", dict: "a map", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), type(value).__name__)
