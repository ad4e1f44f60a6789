"""Two cases for a draft: it is made where there is none, and in sync afterwards. What the document says is believed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fleet.desired.openapi_attributes import Attribute
from fleet.desired.openapi_paths import Rest

if TYPE_CHECKING:
    from fleet.desired.openapi_draft import Named, Shapes

NAME = "example"
_CALLED = re.compile(r"\{\{ (\w+) \| urlencode \}\}")


def cases(
    rest: Rest, profile: Mapping[str, Any], named: Named, shapes: Shapes, fields: Sequence[Attribute]
) -> dict[str, Any]:
    """By what they show."""
    parents = {name: f"a-{name}".replace("_", "-") for name in profile["required"]}
    said = {one.name: one.sample() for one in fields if one.required}
    spec = {NAME: {**parents, **said}}
    object_ = profile["object"]
    body = {named.by: NAME} if named.in_body else {}
    for one in fields:
        value = said.get(one.name, one.about.get("default"))
        if value is not None:
            body[one.key] = value
    whole = _answer(body, fields, named, shapes)
    none = {"body": _nested(shapes.items, [])} if named.listed else {"status": 404}
    made = object_.get("create")
    found: dict[str, Any] = {}
    if made is not None:
        path = _CALLED.sub(lambda match: {"name": NAME, **parents}[match[1]], made["path"])
        sent = {"method": made["method"], "path": path} | ({"body": body} if body else {"body": {}})
        found["made, where there is none"] = {"spec": spec, "server": none, "expect": [sent]}
    found["in sync"] = {"spec": spec, "server": {"body": whole}, "expect": "in sync"}
    return found


def _answer(body: Mapping[str, Any], fields: Sequence[Attribute], named: Named, shapes: Shapes) -> Any:
    hidden = {one.key for one in fields if one.write_only}
    seen = {key: value for key, value in body.items() if key not in hidden}
    if named.listed:
        return _nested(shapes.items, [{named.id: "7", **seen}])
    return _nested(shapes.object, seen)


def _nested(where: str, value: Any) -> Any:
    key = where.removeprefix("$").removeprefix(".")
    return {key: value} if key else value
