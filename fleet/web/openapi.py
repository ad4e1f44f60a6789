"""What can be asked, as OpenAPI 3.1, made from the table of routes and the values that are told."""

from __future__ import annotations

import re
from typing import Any

from pydantic import TypeAdapter

from fleet.controller.view import ControllerView, Event, HostView
from fleet.history.records import Ordered
from fleet.web.access import TABLE

_ANSWERS: dict[tuple[str, str], Any] = {
    ("GET", "/v1/status"): ControllerView,
    ("GET", "/v1/hosts/{environment}/{name}"): HostView,
    ("GET", "/v1/events"): Event,
    ("POST", "/v1/orders"): Ordered,
}
_TEXT = {"type": "string", "maxLength": 1000}
_BODIES: dict[str, Any] = {
    "/v1/reconcile": {"hosts": {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": "/"}}},
    "/v1/orders": {"scope": _TEXT, "reason": _TEXT},
    "/v1/orders/lift": {"scope": _TEXT},
    "/v1/accept": {"commit": _TEXT},
}


def document() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for (method, path), needed in TABLE.items():
        names = re.findall(r"{(\w+)}", path)
        one: dict[str, Any] = {
            "summary": f"needs: {needed}",
            "parameters": [{"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in names],
            "responses": {"default": {"description": "what is said, or {error}"}},
        }
        if (method, path) in _ANSWERS:
            schema = TypeAdapter(_ANSWERS[method, path]).json_schema(ref_template="#/components/schemas/{model}")
            schema.pop("$defs", None)
            one["responses"] = {"200": {"description": "", "content": {"application/json": {"schema": schema}}}}
        if path in _BODIES:
            body = {"type": "object", "properties": _BODIES[path], "required": sorted(_BODIES[path])}
            one["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
        paths.setdefault(path, {})[method.lower()] = one
    adapters = [TypeAdapter(one).json_schema(ref_template="#/components/schemas/{model}") for one in _ANSWERS.values()]
    schemas = {name: schema for adapter in adapters for name, schema in adapter.get("$defs", {}).items()}
    info = {"title": "fleet", "version": "1"}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": schemas}}
