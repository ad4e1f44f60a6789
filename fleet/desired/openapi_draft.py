"""A REST object of an OpenAPI document → a draft of its profile: plain values, and what a person has to decide.

The draft is a profile as it stands: it compiles, and so do the cases in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fleet.desired.openapi import Document, Place, Schema
from fleet.desired.openapi_attributes import Attribute, attributes, sayable, word
from fleet.desired.openapi_cases import cases
from fleet.desired.openapi_login import login
from fleet.desired.openapi_paths import Rest, answered, parameters, sent
from fleet.errors import ConfigError

_NAMES = ("name", "title", "slug", "key", "label", "hostname", "login", "username", "email", "domain", "comment")
_IDS = ("id", "uid", "uuid", "key", "name")
_LISTS = ("items", "data", "results", "values", "entries")
_FORMS = {"application/merge-patch+json": "merge-patch", "application/json-patch+json": "json-patch"}
_PAGES = {"page", "cursor", "offset", "after", "page_token", "pagetoken", "starting_after", "continue"}


@dataclass(slots=True)
class Draft:
    """profile: as its YAML has it. doubts: keys that lead to a place → what is to be decided there."""

    profile: dict[str, Any]
    doubts: dict[tuple[str, ...], list[str]] = field(default_factory=dict)

    def doubt(self, text: str, *where: str) -> None:
        self.doubts.setdefault(where, []).append(text)


@dataclass(frozen=True, slots=True)
class Named:
    """How an object is told from others. by: the field that holds its name, "" for none; in_body: its name is sent.
    listed: it is found in the list, and written at a path with the field `id`."""

    by: str
    listed: bool
    id: str = ""
    in_body: bool = False


@dataclass(frozen=True, slots=True)
class Shapes:
    """What is sent and what is answered. items: JSONPath of the list; object: of the one."""

    sent: Schema
    changed: Schema
    known: Schema
    items: str
    object: str
    media: str


def draft(document: Document, rest: Rest, kind: str) -> Draft:
    """Raises ConfigError for what is wrong with the document there."""
    shapes = _shapes(document, rest)
    named = _named(rest, shapes)
    parents = _parents(rest)
    own = [*attributes(document, shapes.sent, shapes.known, {named.by} if named.by else ())]
    taken = set(parents.values())
    fields = [_apart(one, taken) for one in own]
    made = Draft({})
    if odd := [one for one in shapes.sent.properties if not sayable(one)]:
        made.doubt(f"left out, since they cannot be named here: {', '.join(map(ascii, odd))[:200]}", "object")
    profile = made.profile
    profile["doc"] = _doc(document, rest)
    profile["example"] = ""
    if not named.listed and rest.key:
        profile["name"] = {"pattern": "[^/]+", "expected": f"the {rest.key}, without a slash"}
    profile["attributes"] = {
        name: {"type": "string", "description": f"The {key} that it belongs to."} for key, name in parents.items()
    } | {one.name: one.about for one in fields}
    profile["required"] = list(parents.values())
    profile["required_when_present"] = [one.name for one in fields if one.required]
    profile["object"] = _object(document, rest, (shapes, named), fields, made)
    for one in fields:
        if one.doubt:
            made.doubt(one.doubt, "attributes", one.name)
    profile["cases"] = cases(rest, profile, named, shapes, fields)
    profile["example"] = _example(document, kind, profile["cases"])
    made.profile = {key: value for key, value in profile.items() if value not in ({}, [])}
    return made


def _apart(one: Attribute, taken: set[str]) -> Attribute:
    name = one.name if one.name not in taken else word("its_" + one.name, taken)
    taken.add(name)
    return Attribute(name, one.key, one.about, one.required, one.unordered, one.doubt)


def _shapes(document: Document, rest: Rest) -> Shapes:
    do = rest.operations
    create = sent(document, do.get("create") or do.get("put") or do.get("patch"))[1]
    media, changed = sent(document, do.get("patch") or do.get("put"))
    if create.type not in ("object", ""):
        raise _no_fields(document, rest, create)
    items, one = _listing(document, answered(document, do.get("list")), rest)
    known = answered(document, do.get("read"))
    object_ = ""
    if known.properties:
        object_, known = _inside(document, known, create)
    return Shapes(create, changed, known if known.properties else one, items, object_, media)


def _no_fields(document: Document, rest: Rest, schema: Schema) -> ConfigError:
    pointer = Place(None, "/paths").below(rest.list or rest.item)
    return document.wrong(pointer, f"what is sent is of type {schema.type}", "an object with properties")


def _listing(document: Document, answer: Schema, rest: Rest) -> tuple[str, Schema]:
    """Where the list stands in its answer, and the schema of one in it."""
    if answer.type == "array":
        return "$", document.schema(answer.items)
    lists = {}
    for key, place in answer.properties.items():
        schema = document.schema(place)
        if schema.type == "array" and re.fullmatch(r"[A-Za-z_]\w*", key):
            lists[key] = schema
    ranked = sorted(lists, key=lambda key: key not in (rest.list.rpartition("/")[2], *_LISTS))
    return (f"$.{ranked[0]}", document.schema(lists[ranked[0]].items)) if ranked else ("", Schema())


def _inside(document: Document, known: Schema, create: Schema) -> tuple[str, Schema]:
    """The object may stand below one key of its answer."""
    best, where, found = len(known.properties.keys() & create.properties.keys()), "", known
    for key, place in known.properties.items():
        inner = document.schema(place)
        same = len(inner.properties.keys() & create.properties.keys())
        if inner.type == "object" and same > best and re.fullmatch(r"[A-Za-z_]\w*", key):
            best, where, found = same, f"$.{key}", inner
    return where, found


def _same(one: str, other: str, noun: str = "") -> bool:
    first, second, prefix = (re.sub(r"[^a-z0-9]", "", text.lower()) for text in (one, other, noun))
    return first == second or prefix + first == second


def _writable(document_schema: Schema) -> dict[str, Mapping[str, Any]]:
    found = {}
    for key, place in document_schema.properties.items():
        said = place.value if isinstance(place.value, Mapping) else {}
        if said.get("readOnly") is not True and sayable(key):
            found[key] = said
    return found


def _named(rest: Rest, shapes: Shapes) -> Named:
    if not rest.key:
        return Named("", False)
    writable = _writable(shapes.sent)
    by = next((key for key in writable if _same(key, rest.key, rest.noun)), "")
    if "create" not in rest.operations or by or "list" not in rest.operations or not shapes.items:
        return Named(by, False, in_body=bool(by))
    texts = [key for key, said in writable.items() if said.get("type", "string") == "string"]
    name = next((one for one in (*_NAMES, *sorted(shapes.sent.required)) if one in texts), "")
    known = shapes.known.properties
    ids = [key for key in known if _same(key, rest.key, rest.noun)] + [one for one in _IDS if one in known]
    if not name:
        return Named("", False)
    return Named(name, True, ids[0] if ids else "id", True)


def _parents(rest: Rest) -> dict[str, str]:
    found: dict[str, str] = {}
    for key in rest.parents:
        found[key] = word(key, {*found.values()})
    return found


def _object(
    document: Document, rest: Rest, about: tuple[Shapes, Named], fields: Sequence[Attribute], made: Draft
) -> dict[str, Any]:
    shapes, named = about
    do = rest.operations
    item, every = _path(rest.item, rest, named), _path(rest.list, rest, named)
    found: dict[str, Any] = {}
    if named.listed:
        found["read"] = {"path": every, "items": shapes.items, "match": {named.by: "{{ name }}"}}
        made.doubt(
            f"the server gives the id, so `{named.by}` is taken for the name: are there never two?", "object", "read"
        )
        if pages := sorted({one for one in parameters(document, do.get("list")) if one.lower() in _PAGES}):
            made.doubt(f"the list goes on by {', '.join(pages)}: `pages` says how", "object", "read")
    else:
        at = item if "read" in do or not every else every
        found["read"] = {"path": at} | ({"object": shapes.object} if shapes.object else {})
        if "read" not in do:
            made.doubt("there is no GET of one: `items` and `match` if this is a list", "object", "read")
        if rest.key and "create" in do and not named.by:
            made.doubt("it is not clear who names it: here the name is what stands in the path", "object", "read")
    body = {named.by: "{{ name }}"} if named.in_body else {}
    body |= {one.key: "{{ " + one.name + " }}" for one in fields}
    found["body"] = body
    ignored = _once(rest, shapes, fields)
    if ignored:
        found["ignore"] = ignored
        made.doubt("sent when it is made only: an update does not take them", "object", "ignore")
    if sets := {one.key: "set" for one in fields if one.unordered}:
        found["compare_as"] = sets
    if hidden := [one.key for one in fields if one.write_only]:
        found["write_only"] = hidden
    found |= _writes(rest, shapes, (item, every), body, made)
    return {key: value for key, value in found.items() if value != {}}


def _once(rest: Rest, shapes: Shapes, fields: Sequence[Attribute]) -> list[str]:
    if not shapes.changed.properties or "create" not in rest.operations:
        return []
    return [one.key for one in fields if one.key not in shapes.changed.properties]


def _writes(rest: Rest, shapes: Shapes, paths: tuple[str, str], body: Mapping[str, Any], made: Draft) -> dict[str, Any]:
    do, (item, every) = rest.operations, paths
    method = "PATCH" if "patch" in do else "PUT"
    changes: dict[str, Any] = {"method": method, "path": item}
    form = _FORMS.get(shapes.media)
    if form and method == "PATCH":
        changes["format"] = form
    less = {key: value for key, value in body.items() if key in shapes.changed.properties}
    if shapes.changed.properties and less != dict(body) and not (form and method == "PATCH"):
        changes["body"] = less
    found: dict[str, Any] = {}
    if "create" in do:
        found["create"] = {"method": "POST", "path": every}
    elif "put" in do and rest.key:
        found["create"] = {"method": "PUT", "path": item}
    if {"patch", "put"} & do.keys():
        found["update"] = changes
        if method == "PUT":
            made.doubt(
                'a PUT that replaces all of it wants `keep: ["*"]`, so that other fields stay', "object", "update"
            )
    else:
        made.doubt("it cannot be changed: a difference is told and left to people, unless `update: recreate`", "object",
                   "create")  # fmt: skip
    if "delete" in do:
        found["delete"] = {"method": "DELETE", "path": item}
    elif rest.key:
        made.doubt("there is no DELETE: `ensure: absent` cannot be said of it", "object")
    return found


def _path(path: str, rest: Rest, named: Named) -> str:
    """With its parameters as a profile has them: attributes, the name, or the field of what was read."""
    parents = _parents(rest)

    def put(match: re.Match[str]) -> str:
        if match[1] in parents:
            return "{{ " + parents[match[1]] + " | urlencode }}"
        return "{" + named.id + "}" if named.listed else "{{ name | urlencode }}"

    return re.sub(r"\{([^{}/]+)\}", put, path)


def _doc(document: Document, rest: Rest) -> str:
    title = document.text(document.root, "info", "title")
    return f"{rest.noun.replace('_', ' ').replace('-', ' ').capitalize()}" + (f" of {title}." if title else ".")


def _example(document: Document, kind: str, shown: Mapping[str, Any]) -> str:
    spec = next(iter(shown.values()))["spec"]
    ((name, said),) = spec.items()
    about = login(document)
    return f"{kind}:\n  {name}: {json.dumps(said)}\n" + (f"\n{about}\n" if about else "")
