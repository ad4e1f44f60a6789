"""Which paths of an OpenAPI document are one REST object: where it is listed, read, made, changed and removed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fleet.desired.openapi import Document, Place, Schema
from fleet.errors import ConfigError

METHODS = ("get", "put", "post", "delete", "patch")
_PLACE = re.compile(r"\{([^{}/]+)\}")


@dataclass(frozen=True, slots=True)
class Rest:
    """item: path of one; list: of all, "" where there is none. key: the parameter of `item` that tells one from the
    others, "" for what there is once. parents: the other parameters. Operations by what they do: list, read, create,
    put, patch, delete."""

    item: str
    list: str
    key: str
    parents: tuple[str, ...]
    operations: Mapping[str, Place]

    @property
    def noun(self) -> str:
        """The last word of the path that is no parameter, in the singular."""
        words = [one for one in self.item.split("/") if one and not _PLACE.search(one)]
        return singular(words[-1]) if words else "object"

    @property
    def can_be_made(self) -> bool:
        return bool(self.operations.keys() & {"create", "put"}) or (not self.key and "patch" in self.operations)


def candidates(document: Document) -> list[Rest]:
    """All that can be read and written, by path. Raises ConfigError."""
    paths = dict(document.members(document.get(document.root, "paths")))
    lists = {_listed(path, paths) for path in paths}
    found = []
    for path in paths:
        rest = _rest(document, path, paths)
        readable = rest.operations.keys() & {"read", "list"}
        if readable and rest.can_be_made and (rest.key or path not in lists):
            found.append(rest)
    return sorted(found, key=lambda rest: rest.item)


def choose(document: Document, path: str) -> Rest:
    """The object at this path, of one or of their list. Raises ConfigError."""
    paths = dict(document.members(document.get(document.root, "paths")))
    if path not in paths:
        expected = "one of: " + ", ".join(one.item for one in candidates(document)[:20])
        raise document.wrong("/paths", f"there is no path {path}", expected)
    items = [one for one in paths if _PLACE.fullmatch(one.rpartition("/")[2]) and _listed(one, paths) == path]
    rest = _rest(document, items[0] if items and not _is_item(path) else path, paths)
    if not rest.operations.keys() & {"read", "list"}:
        raise _cannot(document, path, "read: it has no GET")
    if not rest.can_be_made:
        raise _cannot(document, path, "made or changed: it has no POST, PUT or PATCH")
    odd = [
        one for one in _PLACE.sub("", rest.item + rest.list) if one in "{}#\\" or one.isspace() or not one.isprintable()
    ]
    if odd or any(word in (".", "..") for word in rest.item.split("/")):
        raise document.wrong(document.root.below("paths"), f"{path!r} cannot stand in a URL as it is")
    return rest


def _cannot(document: Document, path: str, what: str) -> ConfigError:
    pointer = Place(None, "/paths").below(path)
    return document.wrong(pointer, f"an object that cannot be {what}", "an object of a REST API")


def _is_item(path: str) -> bool:
    return bool(_PLACE.fullmatch(path.rstrip("/").rpartition("/")[2]))


def _listed(path: str, paths: Mapping[str, Place]) -> str:
    """The list that an item's path belongs to: /zones, /zones/ or, for /zone/{id}, /zones."""
    if not _is_item(path):
        return ""
    parent = path.rstrip("/").rpartition("/")[0]
    several = (parent, parent + "/", parent + "s", parent + "es", re.sub("y$", "ies", parent))
    return next((one for one in several if one and one in paths), "")


def _rest(document: Document, path: str, paths: Mapping[str, Place]) -> Rest:
    listed = _listed(path, paths)
    item = _methods(document, paths[path])
    every = _methods(document, paths[listed]) if listed else {}
    known = {"read": item.get("get"), "put": item.get("put"), "patch": item.get("patch"), "delete": item.get("delete"),
             "list": every.get("get"), "create": every.get("post")}  # fmt: skip
    names = _PLACE.findall(path)
    key = names[-1] if _is_item(path) else ""
    parents = tuple(names[:-1] if key else names)
    return Rest(path, listed, key, parents, {name: one for name, one in known.items() if one is not None})


def _methods(document: Document, path: Place) -> dict[str, Place]:
    return {name: one for name, one in document.members(path) if name in METHODS and isinstance(one.value, Mapping)}


def sent(document: Document, operation: Place | None) -> tuple[str, Schema]:
    """The type of content and the schema of what is sent; JSON where that is possible."""
    return _content(document, document.get(operation, "requestBody"))


def answered(document: Document, operation: Place | None) -> Schema:
    """The schema of what is answered when all is well."""
    responses = list(document.members(document.get(operation, "responses"))) if operation is not None else []
    good = sorted((one for one in responses if one[0][:1] == "2"), key=lambda one: one[0])
    return next((schema for _, one in good if (schema := _content(document, one)[1]).type), Schema())


def parameters(document: Document, operation: Place | None) -> Iterator[str]:
    """Names of the query's parameters."""
    found = document.get(operation, "parameters")
    for number, one in enumerate(found.value if found is not None and isinstance(found.value, list) else ()):
        assert found is not None
        place = document.resolved(Place(one, f"{found.pointer}/{number}"))
        if document.text(place, "in") == "query":
            yield document.text(place, "name")


def _content(document: Document, place: Place | None) -> tuple[str, Schema]:
    kinds = dict(document.members(document.get(place, "content")))
    ranked = sorted(kinds, key=lambda one: (one.partition(";")[0] != "application/json", "json" not in one))
    for kind in ranked[:1]:
        return kind.partition(";")[0], document.schema(document.get(kinds[kind], "schema"))
    return "", Schema()


def singular(word: str) -> str:
    for ending, one in (
        ("ies", "y"),
        ("sses", "ss"),
        ("xes", "x"),
        ("ches", "ch"),
        ("ss", "ss"),
        ("us", "us"),
        ("s", ""),
    ):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            return word[: -len(ending)] + one
    return word
