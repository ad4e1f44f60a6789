"""The controller on real hosts tells people and a Git server how it goes, and waits for neither."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.e2e.conftest import Field
from tests.e2e.running import AT_ONCE, everywhere, role, serving, until

pytestmark = pytest.mark.hosts
TOKEN = "glpat-0123456789abcdef"
FAILING = json.dumps({"resources": {"file": {"/proc/none/app.conf": {"content": "x"}}}})


@contextmanager
def sink(hangs: threading.Event | None = None) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """An HTTP server, and (path, document) of what arrived. hangs: answers nobody until it is set."""
    arrived: list[tuple[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            arrived.append((self.path, json.loads(self.rfile.read(int(self.headers["content-length"])))))
            if hangs is not None:
                hangs.wait()
            self.send_response(201)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Not to the terminal of the tests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", arrived
    finally:
        if hangs is not None:
            hangs.set()
        server.shutdown()
        server.server_close()


def test_failure_and_recovery_are_told_beside_a_destination_that_hangs_and_the_commit_shows_it(lab: Field) -> None:
    lab.write({"base/roles/all.yaml": role("one\n"), "base/environment.yaml": "roles: {all: {}}\n" + AT_ONCE})
    with sink() as (place, messages), sink(threading.Event()) as (hanging, held), sink() as (git, statuses):
        file, token = lab.root / "notify.yaml", lab.root / "token"
        each = [{"url": f"json://{one}/tok3ntok3n", "window": 1, "per_hour": 3600} for one in (place, hanging)]
        file.touch(0o600)
        file.write_text(json.dumps(each))
        token.write_text(TOKEN + "\n")
        settings = {
            "FLEET_NOTIFY_FILE": str(file),
            "FLEET_STATUS_URL": f"gitlab+http://{git}/ops/fleet",
            "FLEET_STATUS_TOKEN_FILE": str(token),
            "FLEET_STATUS_LINK": "https://fleet.example.org/{environment}/{commit}",
        }
        with serving(lab, **settings) as client:
            until(lambda: everywhere(lab, "one\n"))
            until(lambda: [one["state"] for _, one in statuses][-1:] == ["success"])
            lab.write({"base/roles/all.yaml": FAILING})
            until(lambda: any("3 hosts failed" in one["message"] for _, one in messages), client=client)
            until(lambda: held)
            until(lambda: statuses[-1][1]["state"] == "failed", client=client)
            bad = client.status()["environments"][0]["revision"]
            assert statuses[-1][0] == f"/api/v4/projects/ops%2Ffleet/statuses/{bad}"
            assert statuses[-1][1]["target_url"] == f"https://fleet.example.org/lab/{bad}"
            lab.write({"base/roles/all.yaml": role("two\n")})
            until(lambda: everywhere(lab, "two\n"))  # whoever hangs
            until(lambda: any("3 hosts recovered" in one["message"] for _, one in messages), client=client)
            until(lambda: statuses[-1][1]["state"] == "success", client=client)
            until(lambda: [one["sent"] for one in client.status()["told"]][:2] == [len(messages), 0], client=client)
        said = lab.fleet("notify", "test", "--url", f"json://{place}/tok3ntok3n", "--json").json
        assert said["destinations"] == [{"name": "json 1", "sent": True, "error": ""}]
        assert messages[-1][1]["title"] == "fleet: a test"
    remembered = lab.beside("cat told.json")
    assert "tok3n" not in remembered and TOKEN not in remembered
