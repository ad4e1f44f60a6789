"""From an API's own OpenAPI document to objects of it that are kept as declared, without a line of YAML of our own."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.desk import Desk, Said, absent, created
from tests.servers.zones import ROOT, zones

DOCUMENT = str(Path(__file__).parents[1] / "desired/openapi/dns.yaml")
FOLDER = "environments/lab/profiles"


def test_imported_profiles_make_their_objects_once_and_mend_them(desk: Desk, tmp_path: Path) -> None:
    with zones(tmp_path) as (server, held):
        desk.connect(server, ROOT)
        (desk.root / "repository" / FOLDER).mkdir(parents=True)
        for name, path in (("zone", "/zones"), ("record", "/zones/{zone_id}/records/{record_id}")):
            done = desk.fleet("profiles", "import", DOCUMENT, "--path", path, "-o", f"{FOLDER}/{name}.yaml")
            assert done.code == 0, done.err
        assert desk.fleet("profiles", "check", f"{FOLDER}/zone.yaml", f"{FOLDER}/record.yaml").code == 0
        www = {"zone_id": "example.org.", "type": "A", "content": "192.0.2.1", "needs": ["zone:example.org."]}
        zone = {"kind": "primary", "primaries": ["192.0.2.9"]}
        both: Said = {"zone": {"example.org.": zone}, "record": {"www": www}}
        desk.resources(both)
        desk.apply(created(both))
        made = [("POST", f"{ROOT}/zones"), ("POST", f"{ROOT}/zones/example.org./records")]
        assert held.asked == made
        ((id_, record),) = held.records["example.org."].items()
        assert (record["name"], record["content"], record["ttl"]) == ("www", "192.0.2.1", 3600)
        assert desk.fleet("apply", "--yes").code == 0
        assert held.asked == made  # the second time there is nothing to do
        record["content"] = "192.0.2.66"
        desk.apply({"record:www": "update"})
        assert held.asked[2:] == [("PATCH", f"{ROOT}/zones/example.org./records/{id_}")]
        assert held.records["example.org."][id_]["content"] == "192.0.2.1"
        desk.resources(absent(both, record=("zone_id",)))
        desk.apply({"record:www": "remove", "zone:example.org.": "remove"})
        assert held.zones == {} and held.records["example.org."] == {}
