"""What fleet made behind an API and nobody names any more: it goes when that is asked for, and nothing else does."""

from __future__ import annotations

import asyncio
import json
import secrets

from fleet.history import History
from fleet.model.made import Made
from tests.e2e.desk import Desk, Said, created
from tests.servers.powerdns import PowerDNS

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


def test_what_waits_for_facts_of_a_host_is_not_taken_for_gone(desk: Desk, powerdns: PowerDNS) -> None:
    """Until a host has said what it is, nobody knows what its templates name."""
    desk.connect(powerdns, "/api/v1/servers/localhost")
    path = desk.root / "repository/environments/lab/hosts.yaml"
    hosts = json.loads(path.read_text())["hosts"]
    api = dict(hosts["api"]["connection"])
    url = api["url"]
    del api["type"]
    record = {"api": "dns", "zone": ZONE, "records": ["{{ facts.hostname }}"]}
    far = {"address": "127.9.9.9", "labels": {"far": "yes"}}
    role = {"resources": {"powerdns_record": {f"far.{ZONE} TXT": record}}}
    roles = {"far": {"match": {"far": "yes"}}}
    desk.write({
        "base/environment.yaml": json.dumps({"roles": roles, "apis": {"dns": api}}),
        "base/roles/far.yaml": json.dumps(role),
        "lab/hosts.yaml": json.dumps({"hosts": {**hosts, "far": far}}),
    })  # fmt: skip
    place = json.dumps([f"/zones/{ZONE}", {"name": f"far.{ZONE}", "type": "TXT"}], sort_keys=True)
    call = {"method": "DELETE", "path": "/never"}
    memento = {"read": {"path": f"/zones/{ZONE}", "items": "$.rrsets", "match": {"name": "x"}}, "delete": call}

    async def made() -> None:
        async with await History.open(desk.root / "state/history.db") as history:
            await history.keep_made("lab", "far", [Made(url, place, f"powerdns_record:far.{ZONE} TXT", memento)])

    (desk.root / "state").mkdir(mode=0o700)
    asyncio.run(made())
    assert desk.fleet("plan", "--json").json["orphans"] == 0
