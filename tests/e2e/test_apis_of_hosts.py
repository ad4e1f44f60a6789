"""Hosts that speak to an API from the controller: registered when they are ready, with a secret of theirs."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Field
from tests.secrets.keys import encrypted, make_key
from tests.servers.powerdns import PowerDNS
from tests.test_telemetry import collector

pytestmark = pytest.mark.hosts
ZONE = f"z{secrets.token_hex(4)}.example."  # the server is shared with other tests


@pytest.fixture
def registering(lab: Field, powerdns: PowerDNS) -> Iterator[Field]:
    """Three hosts that register themselves; the server's key is a secret of the environment."""
    recipient = make_key(lab.root / "age", "lab")
    lab.lines["FLEET_AGE_DIR"] = str(lab.root / "age")
    where = lab.repository / "environments/lab"
    (where / "secrets.sops.yaml").write_bytes(encrypted({"dns.key": powerdns.api_key}, recipient))
    lab.write({"base/environment.yaml": environment(powerdns.url), "base/roles/all.yaml": role(3)})
    yield lab
    powerdns.ask("DELETE", f"/api/v1/servers/localhost/zones/{ZONE}")


def role(count: int) -> str:
    """Names of resources are not rendered: each host has the records of all."""
    records: dict[str, Any] = {
        f"h-{n}.{ZONE} A": {"api": "dns", "zone": ZONE, "records": [f"192.0.2.{n}"], "needs": ["file:/etc/app.conf"]}
        for n in range(1, count + 1)
    }
    own = {"file": {"/etc/app.conf": {"content": "ready\n"}}}
    zone = {ZONE: {"api": "dns", "nameservers": [f"ns.{ZONE}"]}}
    return json.dumps({"resources": {**own, "powerdns_zone": zone, "powerdns_record": records}})


def environment(url: str) -> str:
    auth = {"header": {"X-API-Key": "{{ secret('dns.key') }}"}}
    # One at a time: of two writes at once its SQLite may refuse one, with status 500.
    api = {"url": f"{url}/api/v1/servers/localhost", "networks": ["127.0.0.0/8"], "auth": auth, "concurrency": 1}
    return json.dumps({"roles": {"all": {}}, "apis": {"dns": api}})


def test_hosts_register_themselves_once_they_are_ready(registering: Field, powerdns: PowerDNS) -> None:
    done = registering.fleet("apply", "--yes", "--host", "h-1")
    assert done.code == 0, done.out + done.err
    assert registering.on("h-1", "cat /etc/app.conf") == "ready\n"
    assert powerdns.dig(f"h-3.{ZONE}", "A").split() == ["192.0.2.3"]
    again = registering.fleet("plan", "--json")
    assert again.json["summary"] == {"in sync": 1, "pending": 2}
    assert powerdns.api_key not in done.out + done.err + again.out


def test_what_a_host_is_not_ready_for_is_not_registered(registering: Field, powerdns: PowerDNS) -> None:
    registering.on("h-1", "mkdir /etc/app.conf")
    done = registering.fleet("apply", "--yes", "--host", "h-1", "--json")
    said = {one["resource"]: one["status"] for one in done.json["hosts"][0]["outcomes"]}
    assert said["file:/etc/app.conf"] == "conflict" and said[f"powerdns_record:h-1.{ZONE} A"] == "skipped"
    assert said[f"powerdns_zone:{ZONE}"] == "ok"


def test_an_api_that_is_down_leaves_the_host_s_own_things_as_they_should_be(registering: Field) -> None:
    registering.write({"base/environment.yaml": environment("http://127.9.9.9:9")})
    done = registering.fleet("apply", "--yes", "--host", "h-2", "--json")
    said = {one["resource"]: one["status"] for one in done.json["hosts"][0]["outcomes"]}
    assert said["file:/etc/app.conf"] == "ok" and done.code != 0
    assert registering.on("h-2", "cat /etc/app.conf") == "ready\n"
    (plan,) = done.json["plans"].values()
    reason = plan["unreadable"][f"powerdns_zone:{ZONE}"]
    assert "refused" in reason and "127.9.9.9" in reason


def test_an_address_that_nobody_listed_gets_no_request(registering: Field, powerdns: PowerDNS) -> None:
    registering.write({"base/environment.yaml": environment(powerdns.url).replace("127.0.0.0/8", "192.0.2.0/24")})
    done = registering.fleet("plan", "--host", "h-2")
    assert "addresses that are not allowed" in " ".join((done.out + done.err).split())
    assert powerdns.api_key not in done.out + done.err


def test_each_request_is_a_span_without_secrets(registering: Field, powerdns: PowerDNS) -> None:
    with collector() as (address, spans):
        registering.lines["OTEL_EXPORTER_OTLP_ENDPOINT"] = address
        assert registering.fleet("apply", "--yes", "--host", "h-1").code == 0
    asked = [one for one in spans if one.name == "request"]
    told = [{a.key.removeprefix("fleet."): a.value for a in one.attributes} for one in asked]
    assert {one["method"].string_value for one in told} == {"GET", "POST", "PATCH"}
    assert {one["route"].string_value for one in told} == {"/zones", f"/zones/{ZONE}"}
    statuses = [one["status"].int_value for one in told]
    assert all(200 <= one < 300 or one == 404 for one in statuses), statuses
    assert all(one["attempt"].int_value == 1 and one["waited"].double_value >= 0 for one in told)
    assert powerdns.api_key not in repr(spans)
