"""Objects of real servers: made, changed by hand, mended, changed, removed; and after each of it nothing to do."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleet.sandbox.example import commit
from tests.e2e.conftest import Done
from tests.servers.alertmanager import Alertmanager
from tests.servers.powerdns import PowerDNS
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.redfish import Redfish
from tests.servers.server import Server


@dataclass
class Desk:
    """A repository of one environment with one API as its host, and `fleet` beside it."""

    root: Path
    lines: dict[str, str] = field(default_factory=dict)

    def connect(self, server: Server, path: str = "", **more: Any) -> None:
        """The server's credentials are headers: what a test of logins says, it says as `auth`."""
        said = {"type": "http", "url": server.url + path, "networks": ["127.0.0.0/8"], **more}
        if server.headers and "auth" not in more:
            said["auth"] = {"header": dict(server.headers)}
        self.write({"lab/hosts.yaml": json.dumps({"hosts": {"api": {"connection": said}}})})

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.root / "repository/environments" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        commit(self.root / "repository", "edit")

    def resources(self, said: dict[str, Any]) -> None:
        self.write({"base/roles/all.yaml": json.dumps({"resources": said})})

    def fleet(self, *words: str) -> Done:
        own = {"FLEET_STATE_DIR": str(self.root / "state"), "FLEET_CACHE_DIR": str(self.root / "cache"), **self.lines}
        lines = {k: v for k, v in os.environ.items() if not k.startswith(("FLEET_", "OTEL_"))} | own
        call = [sys.executable, "-m", "fleet.cli.main", *words]
        done = subprocess.run(
            call, cwd=self.root / "repository", env=lines, capture_output=True, text=True, check=False, timeout=100
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def changes(self, *options: str) -> dict[str, str]:
        """Resource id → action, of a plan."""
        said = self.fleet("plan", "--json", *options)
        assert said.code in (0, 2), said.err + said.out
        plans = said.json["plans"].values()
        return {one["resource"]: one["action"] for plan in plans for one in plan["changes"]}

    def apply(self, expected: dict[str, str]) -> None:
        """Exactly these changes, and then none."""
        assert self.changes() == expected
        done = self.fleet("apply", "--yes")
        assert done.code == 0, done.out + done.err
        assert self.changes() == {}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    (tmp_path / "repository").mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path / "repository")], check=True)
    made = Desk(tmp_path)
    made.write({"base/environment.yaml": "roles: {all: {}}\n"})
    yield made


Said = dict[str, dict[str, Any]]


def created(said: Said) -> dict[str, str]:
    return {f"{kind}:{name}": "create" for kind, named in said.items() for name in named}


def absent(said: Said, **keep: tuple[str, ...]) -> Said:
    """The same resources, not wanted any more. keep: kind → what is needed to find one."""
    return {
        kind: {name: {"ensure": "absent", **{k: v[k] for k in keep.get(kind, ())}} for name, v in named.items()}
        for kind, named in said.items()
    }


def life(
    desk: Desk, first: Said, second: Said, by_hand: Callable[[], None], drifted: dict[str, str], **keep: Any
) -> None:
    """first → changed by hand → mended → second → gone."""
    desk.resources(first)
    desk.apply(created(first))
    by_hand()
    desk.apply(drifted)
    desk.resources(second)
    changed = {f"{k}:{n}": "update" for k, named in second.items() for n, said in named.items() if said != first[k][n]}
    desk.apply(changed)
    desk.resources(absent(second, **keep))
    desk.apply(dict.fromkeys(created(second), "remove"))


def test_powerdns(desk: Desk, powerdns: PowerDNS) -> None:
    desk.connect(powerdns, "/api/v1/servers/localhost")
    www: dict[str, Any] = {"zone": "one.example.", "ttl": 300, "records": ["192.0.2.1", "192.0.2.2"]}
    first: Said = {
        "powerdns_zone": {"one.example.": {"nameservers": ["ns.one.example."]}},
        "powerdns_record": {
            "www.one.example. A": www,
            "one.example. MX": {"zone": "one.example.", "records": ["10 mx.one.example."]},
        },
    }
    second: Said = {
        **first,
        "powerdns_record": {**first["powerdns_record"], "www.one.example. A": {**www, "records": ["192.0.2.7"]}},
    }
    desk.resources(first)
    desk.apply(created(first))
    assert sorted(powerdns.dig("www.one.example", "A").split()) == ["192.0.2.1", "192.0.2.2"]
    assert powerdns.dig("one.example", "NS").split() == ["ns.one.example."]
    powerdns.pdnsutil("replace-rrset", "one.example", "www", "A", "60", "192.0.2.66")
    desk.apply({"powerdns_record:www.one.example. A": "update"})
    assert sorted(powerdns.dig("www.one.example", "A").split()) == ["192.0.2.1", "192.0.2.2"]
    powerdns.pdnsutil("delete-rrset", "one.example", "@", "MX")
    desk.apply({"powerdns_record:one.example. MX": "create"})
    desk.resources(second)
    desk.apply({"powerdns_record:www.one.example. A": "update"})
    assert powerdns.dig("www.one.example", "A").split() == ["192.0.2.7"]
    record = {"powerdns_record": absent(second, powerdns_record=("zone",))["powerdns_record"]}
    desk.resources({**record, "powerdns_zone": first["powerdns_zone"]})
    desk.apply(dict.fromkeys(created(record), "remove"))
    assert powerdns.dig("www.one.example", "A") == ""
    desk.resources({"powerdns_zone": {"one.example.": {"ensure": "absent"}}})
    desk.apply({"powerdns_zone:one.example.": "remove"})
    assert "one.example" not in powerdns.pdnsutil("list-all-zones")


ZONE = f"p{secrets.token_hex(4)}.example."


def pruning(desk: Desk, powerdns: PowerDNS) -> Said:
    desk.connect(powerdns, "/api/v1/servers/localhost")
    said: Said = {
        "powerdns_zone": {ZONE: {"nameservers": [f"ns.{ZONE}"]}},
        "powerdns_record": {f"{n}.{ZONE} A": {"zone": ZONE, "records": ["192.0.2.1"]} for n in ("a", "b", "c")},
    }
    powerdns.ask("DELETE", f"/api/v1/servers/localhost/zones/{ZONE}")
    desk.resources(said)
    desk.apply(created(said))
    return said


def test_what_nobody_names_any_more_is_removed_when_that_is_asked_for(desk: Desk, powerdns: PowerDNS) -> None:
    said = pruning(desk, powerdns)
    del said["powerdns_record"][f"a.{ZONE} A"]
    desk.resources(said)
    plain = desk.fleet("plan")
    assert plain.code == 0 and "1 object that fleet made behind APIs" in plain.out and "--prune" in plain.out
    assert desk.changes("--prune") == {f"powerdns_record:a.{ZONE} A": "remove"}
    assert powerdns.dig(f"a.{ZONE}", "A").split() == ["192.0.2.1"]
    assert desk.fleet("apply", "--yes", "--prune").code == 0
    assert powerdns.dig(f"a.{ZONE}", "A") == "" and powerdns.dig(f"b.{ZONE}", "A") != ""
    assert desk.changes("--prune") == {} and "fleet made" not in desk.fleet("plan").out


def test_all_at_once_goes_in_order_and_only_below_the_limit(desk: Desk, powerdns: PowerDNS) -> None:
    pruning(desk, powerdns)
    desk.resources({})
    refused = desk.fleet("apply", "--yes", "--prune=3")
    assert refused.code == 1 and "would remove 4 objects" in refused.err and "limit 3" in refused.err
    assert powerdns.dig(f"a.{ZONE}", "A") != ""
    assert desk.fleet("apply", "--yes", "--prune").code == 0
    assert ZONE.rstrip(".") not in powerdns.pdnsutil("list-all-zones")
    assert desk.changes("--prune") == {}


def test_what_fleet_did_not_make_or_what_is_only_called_otherwise_stays(desk: Desk, powerdns: PowerDNS) -> None:
    said = pruning(desk, powerdns)
    powerdns.pdnsutil("add-record", ZONE, "mine", "A", "60", "192.0.2.99")
    said["powerdns_record"][f"mine.{ZONE} A"] = {"zone": ZONE, "ttl": 60, "records": ["192.0.2.99"]}
    desk.resources(said)
    assert desk.changes() == {}
    del said["powerdns_record"][f"mine.{ZONE} A"]
    moved = {"read": {"path": f"/zones/{ZONE}", "items": "$.rrsets", "match": {"name": f"b.{ZONE}", "type": "A"}}}
    del said["powerdns_record"][f"b.{ZONE} A"]
    desk.resources({**said, "http_object": {"another name": moved}})
    assert desk.changes("--prune") == {}
    assert powerdns.dig(f"mine.{ZONE}", "A") != ""


def test_a_host_that_goes_takes_along_what_it_made_and_an_api_that_is_gone_keeps_it(
    desk: Desk, powerdns: PowerDNS
) -> None:
    pruning(desk, powerdns)
    hosts = (desk.root / "repository/environments/lab/hosts.yaml").read_text()
    desk.write({"lab/hosts.yaml": hosts.replace('"api":', '"other":', 1)})
    assert desk.changes("--prune") == {}  # the same objects, named by another host
    desk.resources({"powerdns_zone": {ZONE: {"nameservers": [f"ns.{ZONE}"]}}})
    assert set(desk.changes("--prune")) == {f"powerdns_record:{n}.{ZONE} A" for n in ("a", "b", "c")}
    assert desk.changes("--prune", "--host", "other") == {}
    elsewhere = hosts.replace("/api/v1/servers/localhost", "/api/v1/servers/elsewhere")
    desk.resources({})
    desk.write({"lab/hosts.yaml": elsewhere})
    said = desk.fleet("plan", "--prune")
    assert said.code == 0 and "to which nothing in the repository leads any more" in said.out
    assert f"powerdns_zone:{ZONE}" in said.out


def logs_in(rabbitmq: RabbitMQ, password: str) -> bool:
    with httpx.Client(base_url=rabbitmq.url, auth=("shop", password), trust_env=False) as client:
        return client.get("/api/whoami").is_success


def test_rabbitmq(desk: Desk, rabbitmq: RabbitMQ) -> None:
    desk.connect(rabbitmq, "/api")
    first: Said = {
        "rabbitmq_vhost": {"shop/1": {"description": "orders"}},
        "rabbitmq_user": {"shop": {"password": "first-password", "tags": ["monitoring", "policymaker"]}},
        "rabbitmq_permission": {"shop@shop/1": {"configure": "", "write": "^orders$"}},
        "rabbitmq_queue": {"orders@shop/1": {"arguments": {"x-max-length": 10}}},
        "rabbitmq_exchange": {"events@shop/1": {"type": "topic"}},
        "rabbitmq_binding": {"b": {"vhost": "shop/1", "exchange": "events", "queue": "orders", "routing_key": "a.#"}},
        "rabbitmq_policy": {"short@shop/1": {"pattern": "^tmp", "definition": {"message-ttl": 1000}}},
    }
    desk.resources(first)
    desk.apply(created(first))
    assert "orders" in rabbitmq.rabbitmqctl("list_queues", "--vhost", "shop/1", "name")
    assert "a.#" in rabbitmq.rabbitmqctl("list_bindings", "--vhost", "shop/1", "routing_key")
    assert logs_in(rabbitmq, "first-password")
    rabbitmq.rabbitmqctl("set_permissions", "--vhost", "shop/1", "shop", ".*", ".*", ".*")
    rabbitmq.rabbitmqctl("clear_policy", "--vhost", "shop/1", "short")
    desk.apply({"rabbitmq_permission:shop@shop/1": "update", "rabbitmq_policy:short@shop/1": "create"})
    second = json.loads(json.dumps(first))
    second["rabbitmq_user"]["shop"]["password"] = "second-password"
    second["rabbitmq_exchange"]["events@shop/1"]["type"] = "fanout"
    second["rabbitmq_policy"]["short@shop/1"]["priority"] = 7
    desk.resources(second)
    changed = ("rabbitmq_user:shop", "rabbitmq_exchange:events@shop/1", "rabbitmq_policy:short@shop/1")
    assert desk.changes() == dict.fromkeys(changed, "update")
    assert desk.fleet("apply", "--yes").code in (0, 1)
    # With the exchange went its binding: what nobody could foresee is found by the next look.
    assert desk.fleet("apply", "--yes").code == 0
    assert desk.changes() == {}
    assert logs_in(rabbitmq, "second-password") and not logs_in(rabbitmq, "first-password")
    gone = absent(second, rabbitmq_binding=("vhost", "exchange", "queue", "routing_key"))
    desk.resources(gone)
    desk.apply(dict.fromkeys(created(gone), "remove"))
    assert "shop/1" not in rabbitmq.rabbitmqctl("list_vhosts")


def test_a_queue_that_cannot_be_changed_is_left_to_people(desk: Desk, rabbitmq: RabbitMQ) -> None:
    desk.connect(rabbitmq, "/api")
    said: Said = {"rabbitmq_vhost": {"fixed": {}}, "rabbitmq_queue": {"q@fixed": {"durable": True}}}
    desk.resources(said)
    desk.apply(created(said))
    desk.resources({**said, "rabbitmq_queue": {"q@fixed": {"durable": False}}})
    done = desk.fleet("apply", "--yes")
    assert done.code != 0 and "nothing says how durable can be changed" in " ".join(done.out.split())
    assert "true" in rabbitmq.rabbitmqctl("list_queues", "--vhost", "fixed", "durable")


def test_alertmanager(desk: Desk, alertmanager: Alertmanager) -> None:
    desk.connect(alertmanager, "/api/v2")
    matcher = {"name": "rack", "value": "7", "isRegex": False, "isEqual": True}
    silence: dict[str, Any] = {"matchers": [matcher], "ends_at": "2099-01-05T06:00:00.000Z", "created_by": "ops"}
    first: Said = {"alertmanager_silence": {"rack 7 moves": silence}}
    second: Said = {"alertmanager_silence": {"rack 7 moves": {**silence, "ends_at": "2098-01-05T06:00:00.000Z"}}}

    def told() -> list[Any]:
        found: list[Any] = json.loads(alertmanager.amtool("silence", "query", "--output=json"))
        return [one for one in found if one["comment"] == "rack 7 moves"]

    def expire() -> None:
        (one,) = told()
        alertmanager.amtool("silence", "expire", one["id"])
        assert told() == []

    life(desk, first, second, expire, created(first))
    assert told() == []


def test_a_check_is_waited_for_and_holds_up_what_needs_it(desk: Desk, alertmanager: Alertmanager) -> None:
    desk.connect(alertmanager)
    healthy = {"path": "/-/healthy", "contains": "OK", "seconds": 5}
    version = {"path": "/api/v2/status", "json": {"$.cluster.status": "disabled", "$.config.original": "?"}}
    desk.resources({"http_check": {"healthy": healthy}})
    assert desk.changes() == {}
    silence = {"path": "/api/v2/silences", "json": {"$[?@.comment=='by hand'].status.state": "active"}, "within": 20}
    desk.resources({"http_check": {"silenced": silence, "version": {**version, "needs": ["http_check:silenced"]}}})
    assert desk.changes() == {"http_check:silenced": "update", "http_check:version": "update"}
    matchers = [{"name": "a", "value": "b", "isRegex": False}]
    said = {"comment": "by hand", "createdBy": "x", "matchers": matchers,
            "startsAt": "1970-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z"}  # fmt: skip
    later = threading.Timer(2.0, lambda: alertmanager.ask("POST", "/api/v2/silences", said))
    later.start()
    done = desk.fleet("apply", "--yes", "--json")
    later.join()
    outcomes = {one["resource"]: one for one in done.json["hosts"][0]["outcomes"]}
    assert outcomes["http_check:silenced"]["status"] == "ok"
    assert outcomes["http_check:version"]["status"] == "failed" and done.code != 0
    assert "$.config.original is" in outcomes["http_check:version"]["output"]


def test_redfish(desk: Desk, redfish: Redfish) -> None:
    """A computer can be neither made nor removed: only how it is."""
    desk.connect(redfish, auth={"basic": {"user": redfish.user, "password": redfish.password}})
    name = redfish.system_path.rpartition("/")[2]
    before = redfish.ask("GET", redfish.system_path).json()
    power = "Off" if before["PowerState"] == "On" else "On"
    desk.resources({"redfish_system": {name: {"boot_target": "Pxe", "boot_enabled": "Continuous"}}})
    if desk.changes():
        desk.apply({f"redfish_system:{name}": "update"})
    boot = redfish.ask("GET", redfish.system_path).json()["Boot"]
    assert (boot["BootSourceOverrideTarget"], boot["BootSourceOverrideEnabled"]) == ("Pxe", "Continuous")
    redfish.ask("PATCH", redfish.system_path, {"Boot": {"BootSourceOverrideTarget": "Hdd"}})
    desk.apply({f"redfish_system:{name}": "update"})
    desk.resources({"redfish_system": {name: {"power": power, "off_by": "ForceOff"}}})
    desk.apply({f"redfish_system:{name}": "update"})
    assert redfish.ask("GET", redfish.system_path).json()["PowerState"] == power
