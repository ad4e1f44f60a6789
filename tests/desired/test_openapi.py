"""Drafts of profiles from OpenAPI documents: each is a profile as it stands; what is wrong with a document is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fleet.converge.rehearse import differs, rehearse
from fleet.desired.openapi import Document, read
from fleet.desired.openapi_draft import draft
from fleet.desired.openapi_paths import candidates, choose
from fleet.desired.openapi_yaml import text
from fleet.desired.profile_cases import read as read_profile
from fleet.errors import ConfigError
from fleet.web.openapi import document as fleet_s_own

HERE = Path(__file__).parent / "openapi"
DOCUMENTS = {path.name: read(path.name, path.read_bytes()) for path in sorted(HERE.iterdir())}
OBJECTS = [pytest.param(name, rest.item, id=f"{name} {rest.item}") for name, one in DOCUMENTS.items()
           for rest in candidates(one)]  # fmt: skip


def drafted(document: Document, path: str, kind: str = "thing") -> str:
    """The draft of a path, which is checked as `fleet profiles check` does."""
    made = text(draft(document, choose(document, path), kind), "a document")
    found = read_profile(f"{kind}.yaml", made.encode())
    assert [str(one) for one in found.problems] == [], made
    assert found.kind is not None and found.cases
    for case in found.cases:
        assert differs(case, rehearse(case, found.kind)) == "", made
    return made


def profile(name: str, path: str) -> Any:
    return yaml.safe_load(drafted(DOCUMENTS[name], path))


@pytest.mark.parametrize(("name", "path"), OBJECTS)
def test_every_draft_is_a_profile_whose_cases_hold(name: str, path: str) -> None:
    drafted(DOCUMENTS[name], path)


def test_objects_are_found_by_their_paths() -> None:
    found = {name: {one.item: (one.list, sorted(one.operations)) for one in candidates(document)}
             for name, document in DOCUMENTS.items()}  # fmt: skip
    whole = ["create", "delete", "list", "put", "read"]
    assert found == {
        "dashboards.json": {
            "/datasources/{uid}": ("/datasources", whole),
            "/org/preferences": ("", ["put", "read"]),
        },
        "dns.yaml": {
            "/zones/{name}": ("/zones", whole),
            "/zones/{zone_id}/records/{record_id}": ("/zones/{zone_id}/records", ["create", "delete", "list", "patch"]),
        },
        "nested.yaml": {
            "/blobs/{blob}": ("", ["put", "read"]),
            "/orgs/{org}/brokers/{broker-name}/queues/{queue}": (
                "/orgs/{org}/brokers/{broker-name}/queues", ["delete", "list", "put", "read"],
            ),
            "/silence/{silenceID}": ("/silences", ["create", "delete", "list"]),
        },
    }  # fmt: skip


def test_what_the_client_names_is_read_at_its_path_and_what_only_the_server_writes_is_left_out() -> None:
    found = profile("dns.yaml", "/zones")
    assert found["object"] == {
        "read": {"path": "/zones/{{ name | urlencode }}"},
        "body": {"name": "{{ name }}", "kind": "{{ kind }}", "ttl": "{{ ttl }}", "primaries": "{{ primaries }}",
                 "apply-to": "{{ apply_to }}"},
        "compare_as": {"primaries": "set"},
        "create": {"method": "POST", "path": "/zones"},
        "update": {"method": "PUT", "path": "/zones/{{ name | urlencode }}"},
        "delete": {"method": "DELETE", "path": "/zones/{{ name | urlencode }}"},
    }  # fmt: skip
    assert found["attributes"]["kind"] == {"type": "string", "enum": ["native", "primary", "secondary"],
                                           "default": "native", "description": "Who tells whom."}  # fmt: skip
    assert found["attributes"]["ttl"]["minimum"] == 60 and "serial" not in found["attributes"]
    assert "auth: {header: {X-API-Key: !secret ...}}" in found["example"] and "/api/v1" in found["example"]


def test_what_the_server_names_is_found_in_the_list_and_written_by_its_id() -> None:
    found = profile("dns.yaml", "/zones/{zone_id}/records/{record_id}")
    assert found["required"] == ["zone_id"] and found["required_when_present"] == ["type", "content"]
    assert found["object"]["read"] == {
        "path": "/zones/{{ zone_id | urlencode }}/records", "items": "$.records", "match": {"name": "{{ name }}"},
    }  # fmt: skip
    assert found["object"]["update"] == {
        "method": "PATCH", "path": "/zones/{{ zone_id | urlencode }}/records/{id}", "format": "merge-patch",
    }  # fmt: skip
    said = drafted(DOCUMENTS["dns.yaml"], "/zones/{zone_id}/records")
    assert "# decide: the list goes on by cursor, page" in said
    assert "# decide: the server gives the id, so `name` is taken for the name" in said


def test_an_object_below_a_key_of_its_answer_is_found_and_what_no_answer_has_is_write_only() -> None:
    found = profile("dashboards.json", "/datasources/{uid}")
    assert found["object"]["read"]["object"] == "$.source"
    assert found["object"]["write_only"] == ["basicAuthPassword", "secureJsonData", "copy", "name ", "2fa"]
    assert found["attributes"]["secure_json_data"]["description"] == "Secrets; nobody is told."
    assert set(found["required_when_present"]) <= set(found["attributes"])
    assert found["object"]["body"]["uid"] == "{{ name }}"


def test_what_is_there_once_has_no_name_and_is_changed_only() -> None:
    found = profile("dashboards.json", "/org/preferences")
    assert "name" not in found and "create" not in found["object"]
    assert found["object"]["update"] == {"method": "PUT", "path": "/org/preferences"}


def test_what_is_made_by_put_is_and_its_parents_are_attributes() -> None:
    found = profile("nested.yaml", "/orgs/{org}/brokers/{broker-name}/queues/{queue}")
    path = "/orgs/{{ org | urlencode }}/brokers/{{ broker_name | urlencode }}/queues/{{ name | urlencode }}"
    assert found["required"] == ["org", "broker_name"]
    assert found["object"]["create"] == {"method": "PUT", "path": path}
    assert found["attributes"]["weight"] == {
        "type": "number", "minimum": 0.5, "description": "The field weight.",
    }  # fmt: skip
    assert found["attributes"]["tags"]["items"] == {"type": "string", "enum": ["a", "b"]}
    assert {"its_name", "its_ensure"} <= set(found["attributes"])
    assert found["doc"] == "Queue of Brokers." and "token_url: https://login.example.org/token" in found["example"]


def test_fleet_s_own_api_has_no_object_to_be_declared_and_can_be_read() -> None:
    own = read("openapi.json", json.dumps(fleet_s_own({})).encode())
    assert [one.item for one in candidates(own)] == []
    assert own.schema(own.get(own.root, "components", "schemas", "HostView")).properties


GOOD = {"openapi": "3.0.0", "info": {}, "paths": {"/a/{id}": {"get": {}, "put": {}}}}


def with_schema(schema: Any, **components: Any) -> bytes:
    body = {"content": {"application/json": {"schema": schema}}}
    item = {"get": {}, "put": {"requestBody": body}}
    return json.dumps({**GOOD, "paths": {"/a/{id}": item}, "components": {"schemas": components}}).encode()


BROKEN = {
    "not JSON": (b'{"openapi": "3.0.0",\n "paths": }', "api:2:11: not JSON: Expecting value"),
    "not YAML": (b"openapi: 3.0.0\npaths: [\n", "api:3:1: not YAML"),
    "twice the same key": (b"openapi: 3.0.0\ninfo: {}\ninfo: {}\n", "api:3:1: not YAML"),
    "not UTF-8": (b"\xff", "byte 0 is not UTF-8"),
    "too deep": (b'{"a":' + b"[" * 200_000, "nested too deeply"),
    "an anchor in itself": (b"openapi: 3.0.0\npaths: &a {x: *a}\n", "nested too deeply"),
    "a list": (b"[1]", "at /: a list where an OpenAPI document is meant"),
    "nothing": (b"", "at /: nothing where an OpenAPI document is meant"),
    "Swagger 2": (b'{"swagger": "2.0"}', "hint: convert it to OpenAPI 3 first"),
    "no version": (b'{"paths": {}}', "at /openapi: None is no version that is known"),
    "no path": (b'{"openapi": "3.1.0", "paths": {}}', "at /paths: there is no path /a/{id}"),
    "paths are a list": (b'{"openapi": "3.1.0", "paths": []}', "at /paths: a list where a map is meant"),
    "no GET": (
        b'{"openapi": "3.1.0", "paths": {"/a/{id}": {"put": {}}}}',
        "at /paths/~1a~1{id}: an object that cannot be read",
    ),
    "no way to write": (b'{"openapi": "3.1.0", "paths": {"/a/{id}": {"get": {}}}}', "cannot be made or changed"),
    "a reference to nowhere": (
        with_schema({"$ref": "#/components/schemas/B"}),
        "at /paths/~1a~1{id}/put/requestBody/content/application~1json/schema: "
        "`$ref: #/components/schemas/B` leads nowhere",
    ),
    "a reference elsewhere": (with_schema({"$ref": "other.json#/A"}), "leads out of it"),
    "a circle": (
        with_schema({"$ref": "#/components/schemas/A"}, A={"$ref": "#/components/schemas/A"}), "leads in a circle",
    ),
    "allOf of itself": (
        with_schema({"$ref": "#/components/schemas/A"}, A={"allOf": [{"$ref": "#/components/schemas/A"}]}),
        "the schema contains itself in `allOf`",
    ),
    "allOf no list": (with_schema({"allOf": {}}), "schema/allOf: a map where a list of schemas is meant"),
    "a schema that is text": (with_schema("x"), "text where a schema is meant"),
    "properties that are a list": (with_schema({"properties": []}), "schema/properties: a list where a map is meant"),
    "a list is sent": (with_schema({"type": "array"}), "what is sent is of type array"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_wrong_with_a_document_is_told_with_its_place(case: str) -> None:
    content, says = BROKEN[case]
    with pytest.raises(ConfigError) as raised:
        document = read("api", content)
        draft(document, choose(document, "/a/{id}"), "a")
    assert says in str(raised.value) and str(raised.value).startswith("api")
    assert all(c.isprintable() or c == "\n" for c in str(raised.value))


PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
WORDS = st.sampled_from(["name", "id", "uid", "title", "model_x", "copy", "ensure", "api", "class", "if", "a-b", "a_b",
                         "aB", "é", "{{ x }}", "{% x", "x\u202e", "", " ", "#", "on", "1", "a.b", "null"])  # fmt: skip
NAMES = st.one_of(WORDS, st.text(max_size=6))


def schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = {
        "type": st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null", "file",
                                 ["string", "null"], ["null", "integer", "array"], []]),
        "properties": st.dictionaries(NAMES, inner, max_size=3),
        "required": st.lists(NAMES, max_size=3),
        "items": inner,
        "allOf": st.lists(inner, max_size=2),
        "oneOf": st.lists(inner, max_size=2),
        "enum": st.lists(PLAIN, max_size=3),
        "default": PLAIN,
        "description": st.text(max_size=20),
        "readOnly": st.booleans(),
        "writeOnly": st.booleans(),
        "uniqueItems": st.booleans(),
        **dict.fromkeys(("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"), PLAIN),
    }  # fmt: skip
    return st.fixed_dictionaries({}, optional=some)


SCHEMAS = st.recursive(schemas(st.just({})), schemas, max_leaves=8)


def objects(*schema: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({"type": st.just("object"), "properties": st.dictionaries(NAMES, SCHEMAS, max_size=5),
                                  "required": st.lists(NAMES, max_size=3)})  # fmt: skip


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    def content(key: str, schema: Any) -> dict[str, Any]:
        return {key: {"content": {draw(st.sampled_from(["application/json", "application/merge-patch+json"])):
                                  {"schema": schema}}}}  # fmt: skip

    one, other = draw(objects()), draw(objects())
    item: dict[str, Any] = {
        "get": {"responses": content("200", draw(st.sampled_from([one, other, {"properties": {"x": one}}])))}
    }
    for method in draw(st.sets(st.sampled_from(["put", "patch", "delete"]))):
        item[method] = content("requestBody", draw(st.sampled_from([one, other])))
    listed = draw(
        st.sampled_from(
            [{"type": "array", "items": one}, {"properties": {"data": {"type": "array", "items": one}}}, {}]
        )
    )
    every = {"get": {"responses": content("200", listed)}, "post": content("requestBody", one)}
    parent = draw(st.sampled_from(["", "/o/{org}", "/o/{name}/p/{class}"]))
    key = draw(st.sampled_from(["id", "name", "thingId", "x-y"]))
    title = draw(st.text(max_size=10))
    return {"openapi": "3.1.0", "info": {"title": title},
            "paths": {f"{parent}/things": every, f"{parent}/things/{{{key}}}": item}}  # fmt: skip


@given(documents())
def test_whatever_a_document_says_its_draft_is_a_profile_whose_cases_hold(document: dict[str, Any]) -> None:
    found = read("api.json", json.dumps(document).encode())
    for rest in candidates(found):
        drafted(found, rest.item)
