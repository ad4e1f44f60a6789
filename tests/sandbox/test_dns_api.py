"""The demo's API, PowerDNS or the little one in its place: fleet cannot tell them apart; both end with the block."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from fleet.sandbox import dns_api
from tests.e2e.desk import Said, absent, created, new_desk
from tests.servers.server import Server


@pytest.mark.parametrize("installed", [True, False])
def test_the_example_s_records_live_in_it(tmp_path: Path, installed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    place = dns_api.Place("127.9.7.1", 8099 + installed, "the-key")  # both may run at the same time
    if not installed:
        monkeypatch.setattr("shutil.which", lambda *words, **more: None)
    desk = new_desk(tmp_path)
    url = f"http://{place.address}:{place.port}"
    with dns_api.dns_api(tmp_path / "dns", place) as what:
        assert ("stand-in" in what) is (not installed)
        assert httpx.get(f"{url}/api/v1/servers/localhost/zones", trust_env=False).status_code == 401
        desk.connect(Server(url, tmp_path, {"X-API-Key": place.key}), "/api/v1/servers/localhost")
        www = {"zone": "a.example.", "ttl": 60, "records": ["192.0.2.1", "192.0.2.2"]}
        said: Said = {
            "powerdns_zone": {"a.example.": {"nameservers": ["ns.a.example."]}},
            "powerdns_record": {"www.a.example. A": www},
        }
        desk.resources(said)
        desk.apply(created(said))
        desk.resources({**said, "powerdns_record": {"www.a.example. A": {**www, "ttl": 61}}})
        desk.apply({"powerdns_record:www.a.example. A": "update"})
        desk.resources(absent({"powerdns_record": said["powerdns_record"]}, powerdns_record=("zone",)))
        desk.apply({"powerdns_record:www.a.example. A": "remove"})
        desk.resources({"powerdns_zone": {"a.example.": {"ensure": "absent"}}})
        desk.apply({"powerdns_zone:a.example.": "remove"})
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)
