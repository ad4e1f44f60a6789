"""What is told, what is asked, and in which words it is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from fleet.controller.view import HostView
from fleet.web.access import TABLE, Access
from fleet.web.limits import BODY, STRAY
from fleet.web.plain import dumps, plain
from fleet.web.said import meant, page
from tests.web.fake import BODIES, HOSTILE, Fake, bearer, server

pytestmark = pytest.mark.anyio
OWN = Access(frozenset({os.geteuid()}))
JSON = {"content-type": "application/json"}


async def test_alive_is_not_ready(tmp_path: Path) -> None:
    async with server(tmp_path, OWN, Fake(ready=False)) as one:
        assert (await one.tcp.get("/healthz")).status_code == 200
        assert (await one.tcp.get("/readyz")).status_code == 503
        one.fake.ready = True
        assert (await one.tcp.get("/readyz")).status_code == 200


async def test_a_hook_says_look_and_nothing_else(tmp_path: Path) -> None:
    async with server(tmp_path, Access(frozenset())) as one:
        refused = await one.tcp.post("/hooks/git", content=b"{}")
        assert refused.status_code == 403 and refused.json() == {"error": "not allowed"} and one.fake.asked == []
        good = {"x-signed": "yes"}
        assert (await one.tcp.post("/hooks/git", content=b"x" * BODY, headers=good)).status_code == 202
        assert (await one.tcp.post("/hooks/git", content=b"{}", headers={"x-signed": "again"})).status_code == 202
        assert one.fake.asked == ["look"]
        try:
            big = await one.tcp.post("/hooks/git", content=b"x" * (BODY + 1), headers=good)
            assert big.status_code == 413
        except httpx.TransportError:  # what it still sends is not listened to
            pass
        assert one.fake.asked == ["look"]


@pytest.mark.parametrize("size", [BODY + 1, 10 * BODY])
async def test_what_is_too_large_is_not_worked_on(tmp_path: Path, size: int) -> None:
    async with server(tmp_path, OWN) as one:

        async def parts() -> Any:
            for _ in range(size // 1000 + 1):
                yield b" " * 1000

        for content in (b" " * size, parts()):
            try:
                answer = await one.unix.post("/v1/reconcile", content=content, headers=JSON)
                assert answer.status_code == 413
            except httpx.TransportError:
                pass
        assert one.fake.asked == []


async def test_a_request_that_needs_no_body_has_no_large_one(tmp_path: Path) -> None:
    async with server(tmp_path, OWN) as one:
        for size, status in ((STRAY, 200), (STRAY + 1, 413)):
            assert (await one.unix.request("GET", "/v1/status", content=b" " * size)).status_code == status


async def test_ten_thousand_hosts_can_be_named(tmp_path: Path) -> None:
    async with server(tmp_path, OWN) as one:
        names = [f"production/host-{n:05}.example" for n in range(10_000)]
        assert (await one.unix.post("/v1/reconcile", json={"hosts": names})).json() == {"hosts": 10_000}


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/v1/reconcile", b"{}", "expected hosts"),
        ("/v1/reconcile", b'{"hosts": []}', "expected hosts"),  # nobody means all of them by leaving something out
        ("/v1/reconcile", b'{"hosts": ["h1"]}', "ENVIRONMENT/NAME"),
        ("/v1/reconcile", b'{"hosts": ["dev/h1"], "all": true}', "one of them"),
        ("/v1/reconcile", b'{"all": false}', "all: true"),
        ("/v1/reconcile", b'{"host": "dev/h1"}', "there is no 'host' here"),
        ("/v1/reconcile", b'{"role": 3}', "expected role"),
        ("/v1/pause", b'{"scope": 3, "reason": ""}', "expected scope"),
        ("/v1/accept", b'{"commit": "b"}', "it is at another"),
        ("/v1/pause", b'{"scope": "nowhere", "reason": ""}', "nothing is called"),
        ("/v1/pause", b"[" * 5000, "JSON object"),
        ("/v1/pause", b"\xff\xfe", "JSON object"),
        ("/v1/pause", b"[]", "JSON object"),
        ("/v1/freeze", b"{}", "expected reason"),
        ("/v1/freeze", b'{"reason": "\\u001b[2J"}', "control characters"),
        ("/v1/freeze", b'{"reason": "a\\u202eb"}', "control characters"),  # would be shown the other way round
        ("/v1/pause", b'{"scope": "", "reason": "x"}', "expected scope"),  # a pause of nothing is no freeze
        ("/v1/resume", b"{}", "expected scope"),
    ],
)
async def test_what_cannot_be_meant_is_told(tmp_path: Path, path: str, body: bytes, words: str) -> None:
    async with server(tmp_path, OWN) as one:
        answer = await one.unix.post(path, content=body, headers=JSON)
        assert answer.status_code == 400 and words in answer.json()["error"] and one.fake.asked == []


async def test_what_cannot_be_done_is_told(tmp_path: Path) -> None:
    async with server(tmp_path, OWN) as one:
        broken = await one.unix.post("/v1/pause", json={"scope": "broken", "reason": "x"})
        assert broken.status_code == 500 and broken.json() == {"error": "the disk is full"}
        for path, body in (("/v1/resume", {"scope": "other"}), ("/v1/rollouts/other/resume", {})):
            assert (await one.unix.post(path, json=body)).status_code == 404
        for path in ("/v1/environments/other", "/v1/hosts/dev/other", "/v1/hosts/dev/a%2Fb"):
            assert (await one.unix.get(path)).status_code == 404
        for query in (
            "/v1/hosts?limit=-1",
            "/v1/hosts?limit=x",
            "/v1/events?after=²",
            "/v1/events?after=" + "9" * 5000,
        ):
            assert (await one.unix.get(query)).status_code == 400


@pytest.mark.parametrize(
    ("body", "count"),
    [({"all": True}, 2), ({"role": "web"}, 1), ({"environment": "dev"}, 2), ({"environment": "other"}, 0)],
)
async def test_hosts_are_asked_for_by_what_they_are(tmp_path: Path, body: dict[str, Any], count: int) -> None:
    async with server(tmp_path, OWN) as one:
        answer = await one.unix.post("/v1/reconcile", json=body)
        assert answer.status_code == 202 and answer.json() == {"hosts": count}


async def test_a_freeze_is_an_order_over_everything(tmp_path: Path) -> None:
    async with server(tmp_path, OWN) as one:
        assert (await one.unix.post("/v1/freeze", json={"reason": "fire"})).json()["scope"] == ""
        assert (await one.unix.delete("/v1/freeze")).status_code == 200
        assert one.fake.asked == ["order '' by root@localhost", "lift '' by root@localhost"]


async def test_drift_and_queue_are_of_those_concerned(tmp_path: Path) -> None:
    async with server(tmp_path, OWN) as one:
        drift = (await one.unix.get("/v1/drift")).json()["hosts"]
        assert [(host["name"], host["drift"]) for host in drift] == [(HOSTILE, {"file:/x": "external"})]
        (change,) = drift[0]["changes"]
        assert (change["attributes"], change["diff"][0]) == ({"mode": ["600", "644"]}, "-by hand")
        assert (await one.unix.get("/v1/drift", params={"host": "h1"})).json()["hosts"] == []
        queue = (await one.unix.get("/v1/queue")).json()
        assert queue["queue"] == 1 and [host["next"] for host in queue["hosts"]] == [-5.0]


def test_pages_hold_every_host_once_in_order() -> None:
    hosts = [HostView("dev" if n % 2 else "prod", f"h{n}", "in sync") for n in range(10)]
    seen, after = [], ""
    while True:
        found, after = page(meant(hosts, {}), {"limit": "3", "after": after})
        seen += [f"{one.environment}/{one.name}" for one in found]
        if not after:
            break
    assert seen == sorted(seen) and len(seen) == 10
    assert [one.name for one in meant(hosts, {"host": "prod/h[02]"})] == ["h0", "h2"]
    assert meant(hosts, {"environment": "dev", "verdict": "failed"}) == []


async def test_names_of_hosts_are_data(tmp_path: Path) -> None:
    """Neither a browser nor a terminal finds anything in it that is meant for them."""
    async with server(tmp_path, OWN) as one:
        for path in ("/v1/hosts", "/v1/drift", "/v1/queue", "/v1/events"):
            answer = await one.unix.get(path)
            assert not set(b"<>&\x1b\x7f") & set(answer.content) and answer.content.isascii(), path
        answer = await one.unix.get("/v1/hosts", params={"verdict": "failed"})
        assert answer.headers["content-type"] == "application/json"
        assert [one["name"] for one in answer.json()["hosts"]] == [HOSTILE]
        name = answer.json()["hosts"][0]["name"]
        assert (
            await one.unix.get(httpx.URL("http://fleet/v1/hosts").copy_with(raw_path=_raw(name)))
        ).status_code == 404
        nowhere = await one.unix.post("/v1/pause", json={"scope": "nowhere", "reason": "x"})
        assert b"<" not in nowhere.content and "<script>" in nowhere.json()["error"]


def _raw(name: str) -> bytes:
    return b"/v1/hosts/dev/" + "".join(f"%{byte:02x}" for byte in name.encode()).encode()


def test_values_that_json_has_not_become_some_that_it_has() -> None:
    value = {"a": float("nan"), "b": "\udcff", 3: frozenset({"y", "x"}), "d": (1, None, True), "e": Path("/x")}
    expected = {"a": None, "b": "\\udcff", "3": ["x", "y"], "d": [1, None, True], "e": "/x"}
    assert json.loads(dumps(plain(value))) == expected


async def test_who_accepts_openmetrics_gets_it(tmp_path: Path) -> None:
    async with server(tmp_path, OWN) as one:
        plain_text = await one.unix.get("/metrics")
        assert plain_text.headers["content-type"].startswith("text/plain; version=0.0.4") and "hosts" in plain_text.text
        said = {"accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"}
        answer = await one.unix.get("/metrics", headers=said)
        assert answer.headers["content-type"].startswith("application/openmetrics-text") and "# EOF" in answer.text


async def test_answers_and_requests_are_as_openapi_tells_them(tmp_path: Path) -> None:
    async with server(tmp_path, OWN) as one:
        document = (await one.unix.get("/v1/openapi.json")).json()
        assert document["openapi"] == "3.1.0" and document["info"].keys() >= {"title", "version"}
        operations = {
            (m.upper(), path): said for path, methods in document["paths"].items() for m, said in methods.items()
        }
        assert set(operations) == set(TABLE)
        names = [said["operationId"] for said in operations.values()]
        assert len(set(names)) == len(names) and all(said["summary"] for said in operations.values())
        for (method, path), said in operations.items():
            named = {one["name"] for one in said["parameters"] if one["in"] == "path"}
            assert all("{" + name + "}" in path for name in named) and path.count("{") == len(named)
            body = BODIES.get((method, path))
            if body is not None:
                _fits(body, said["requestBody"]["content"]["application/json"]["schema"], document)
            place = path.replace("{environment}", "dev").replace("{name}", "h1")
            answer = await one.unix.request(method, place, json=body or {}, headers={"x-signed": "yes"})
            (kind, content), *rest = said["responses"][str(answer.status_code)]["content"].items()
            assert answer.headers["content-type"].startswith(kind) and not rest, path
            if kind == "application/json":
                _fits(answer.json(), content["schema"], document)
        refused = await one.tcp.get("/v1/status", headers=bearer("eve"))
        _fits(refused.json(), document["components"]["schemas"]["Error"], document)


def _fits(value: Any, schema: Any, document: Any) -> None:
    jsonschema.validate(value, {**schema, "components": document["components"]}, jsonschema.Draft202012Validator)
