"""What can be asked, as OpenAPI 3.1, made from the table of routes and the values that are told. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import TypeAdapter

from fleet.controller.view import ChangeView, ControllerView, EnvironmentView, Event, ExecView, HostView
from fleet.history.records import Ordered
from fleet.web.access import TABLE

Key = tuple[str, str]
# What is told of a host where not all of it is.
DRIFT = ("environment", "name", "verdict", "since", "looked", "drift", "fought")
QUEUE = ("environment", "name", "running", "next", "reason", "failures", "parked", "paused")

_TEXT = {"type": "string", "maxLength": 1000}
_SCOPE = {**_TEXT, "description": "ENVIRONMENT, ENVIRONMENT/HOST or role:NAME"}
_LABELS = {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": "/"}}
_COUNT = {"type": "integer", "minimum": 0}
_VALUES = (ChangeView, ControllerView, EnvironmentView, Event, ExecView, HostView, Ordered)
_FILTERS = {"environment": _TEXT, "host": {**_TEXT, "description": "a shell pattern"}, "role": _TEXT, "verdict": _TEXT}
_PAGES = {"after": _TEXT, "limit": _COUNT}
_QUERIES: Mapping[str, Mapping[str, Any]] = {
    "/v1/hosts": {**_FILTERS, **_PAGES},
    "/v1/drift": {**_FILTERS, **_PAGES},
    "/v1/events": {"after": _COUNT},
}


def document(summaries: Mapping[Key, str]) -> dict[str, Any]:
    """summaries: what each route is for; one that stands in no table is not told."""
    schemas = _schemas()
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), needed in TABLE.items():
        one = {
            "operationId": f"{method.lower()}{re.sub('[^a-z0-9]+', '_', path)}".rstrip("_"),
            "summary": summaries.get((method, path), ""),
            "x-permission": needed,
            "security": [{"token": []}] if needed in ("read", "operate") else [],
            "parameters": [*_parameters(path)],
            "responses": _responses((method, path), schemas),
        }
        if (body := _bodies().get((method, path))) is not None:
            one["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
        paths.setdefault(path, {})[method.lower()] = one
    said = "Over the unix socket who asks is known by the user; over TCP by a token."
    return {
        "openapi": "3.1.0",
        "info": {"title": "fleet", "version": "1", "description": said},
        "paths": paths,
        "components": {
            "schemas": schemas | {"Error": _object({"error": {"type": "string"}})},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _parameters(path: str) -> list[dict[str, Any]]:
    named = [{"name": n, "in": "path", "required": True, "schema": _TEXT} for n in re.findall(r"{(\w+)}", path)]
    return [*named, *({"name": n, "in": "query", "schema": one} for n, one in _QUERIES.get(path, {}).items())]


def _responses(key: Key, schemas: Mapping[str, Any]) -> dict[str, Any]:
    kind, schema = _answers(schemas).get(key, ("application/json", {"type": "object"}))
    status = "202" if key[1] in ("/v1/reconcile", "/hooks/git") else "200"
    no = {"application/json": {"schema": _ref("Error")}}
    return {
        status: {"description": "as asked", "content": {kind: {"schema": schema}}},
        "default": {"description": "why not", "content": no},
    }


def _answers(schemas: Mapping[str, Any]) -> dict[Key, tuple[str, Any]]:
    json = "application/json"
    text = {"type": "string"}
    hosts = _object({"hosts": _list(_ref("HostView")), "after": _TEXT})
    drifted = _part(schemas["HostView"], DRIFT, changes=_list(_ref("ChangeView")), execs=_list(_ref("ExecView")))
    queue = {"queue": _COUNT, "running": _COUNT, "hosts": _list(_part(schemas["HostView"], QUEUE))}
    return {
        ("GET", "/healthz"): ("text/plain", text),
        ("GET", "/readyz"): ("text/plain", text),
        ("GET", "/metrics"): ("text/plain", text),
        ("GET", "/v1/status"): (json, _ref("ControllerView")),
        ("GET", "/v1/environments"): (json, _object({"environments": _list(_ref("EnvironmentView"))})),
        ("GET", "/v1/environments/{environment}"): (json, _ref("EnvironmentView")),
        ("GET", "/v1/hosts"): (json, hosts),
        ("GET", "/v1/hosts/{environment}/{name}"): (json, _ref("HostView")),
        ("GET", "/v1/drift"): (json, _object({"hosts": _list(drifted), "after": _TEXT})),
        ("GET", "/v1/queue"): (json, _object(queue)),
        ("GET", "/v1/events"): ("text/event-stream", {**text, "x-data": _ref("Event")}),
        ("POST", "/v1/reconcile"): (json, _object({"hosts": _COUNT})),
        ("POST", "/v1/accept"): (json, _object({"commit": _TEXT})),
        ("POST", "/v1/rollouts/{environment}/approve"): (json, _object({"revision": _TEXT})),
        **{("POST", path): (json, _ref("Ordered")) for path in ("/v1/freeze", "/v1/pause")},
    }


def _bodies() -> dict[Key, Any]:
    one_of = {"hosts": _LABELS, "environment": _TEXT, "role": _TEXT, "all": {"const": True}}
    return {
        ("POST", "/v1/reconcile"): {"oneOf": [_object({name: schema}) for name, schema in one_of.items()]},
        ("POST", "/v1/freeze"): _object({"reason": _TEXT}),
        ("POST", "/v1/pause"): _object({"scope": _SCOPE, "reason": _TEXT}),
        ("POST", "/v1/resume"): _object({"scope": _SCOPE}),
        ("POST", "/v1/accept"): _object({"commit": _TEXT}),
        ("POST", "/v1/rollouts/{environment}/approve"): _object({"revision": _TEXT}),
    }


def _schemas() -> dict[str, Any]:
    mode: Literal["serialization"] = "serialization"
    inputs: list[tuple[Any, Literal["serialization"], TypeAdapter[Any]]]
    inputs = [(one.__name__, mode, TypeAdapter(one)) for one in _VALUES]
    _, found = TypeAdapter.json_schemas(inputs, ref_template="#/components/schemas/{model}")
    schemas: dict[str, Any] = found["$defs"]
    return schemas


def _part(schema: Mapping[str, Any], names: tuple[str, ...], **more: Any) -> dict[str, Any]:
    return _object({name: schema["properties"][name] for name in names} | more)


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": sorted(properties),
        "additionalProperties": False,
    }


def _list(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
