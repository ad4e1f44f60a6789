"""A DNS server with an HTTP API for the demo: PowerDNS where it is installed, else a little one that speaks as much of
its API as the example needs, and no DNS."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from fleet.errors import SandboxError
from fleet.sandbox import processes

SCHEMA = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")
ROOT = "/api/v1/servers/localhost/zones"
# Security polls would ask a name server on the Internet.
CONFIG = """
launch=gsqlite3
gsqlite3-database={folder}/pdns.sqlite3
local-address={address}
local-port={dns_port}
webserver=yes
webserver-address={address}
webserver-port={port}
webserver-allow-from=127.0.0.0/8
api=yes
api-key={key}
socket-dir={folder}
daemon=no
guardian=no
zone-cache-refresh-interval=0
security-poll-suffix=
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where it listens, and the key that its API wants."""

    address: str
    port: int
    key: str


@contextmanager
def dns_api(folder: Path, place: Place) -> Iterator[str]:
    """Runs until the block ends; gives what it is. Raises SandboxError."""
    program = shutil.which("pdns_server", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if program is not None and SCHEMA.is_file():
        with _powerdns(program, folder, place):
            yield "PowerDNS"
        return
    try:
        server = ThreadingHTTPServer((place.address, place.port), _handler(place.key))
    except OSError as error:
        raise SandboxError(f"no server can listen at {place.address}:{place.port}: {error.strerror}") from error
    thread = threading.Thread(target=server.serve_forever, name="dns api", daemon=True)
    thread.start()
    try:
        yield "a little stand-in for PowerDNS, which is not installed"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def _powerdns(program: str, folder: Path, place: Place) -> Iterator[None]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "pdns.conf").write_text(
        CONFIG.format(folder=folder, address=place.address, port=place.port, dns_port=5300, key=place.key)
    )
    (folder / "pdns.sqlite3").unlink(missing_ok=True)
    with closing(sqlite3.connect(folder / "pdns.sqlite3")) as database:
        database.executescript(SCHEMA.read_text())
    with (folder / "log").open("wb") as log:
        command = [program, f"--config-dir={folder}"]
        process = subprocess.Popen(command, env=processes.mark(folder), stdout=log, stderr=log, process_group=0)
    try:
        end = time.monotonic() + 15
        while (place.address, place.port) not in processes.listening():
            if process.poll() is not None or time.monotonic() > end:
                raise SandboxError(f"PowerDNS did not start; its words are in {folder}/log")
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


def _handler(key: str) -> type[BaseHTTPRequestHandler]:
    """Zones in memory. https://doc.powerdns.com/authoritative/http-api/zone.html"""
    zones: dict[str, dict[str, Any]] = {}
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer("GET")

        def do_POST(self) -> None:
            self._answer("POST")

        def do_PUT(self) -> None:
            self._answer("PUT")

        def do_PATCH(self) -> None:
            self._answer("PATCH")

        def do_DELETE(self) -> None:
            self._answer("DELETE")

        def log_message(self, format: str, *args: Any) -> None:
            """The demo has words of its own."""

        def _answer(self, method: str) -> None:
            text = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, said = 401, None
            if self.headers.get("x-api-key") == key:
                with lock:
                    status, said = _said(zones, method, self.path, json.loads(text or b"null"))
            body = b"" if said is None else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def _said(zones: dict[str, dict[str, Any]], method: str, path: str, body: Any) -> tuple[int, Any]:
    name = path.removeprefix(ROOT).strip("/")
    if not path.startswith(ROOT) or (name and name not in zones):
        return 404, {"error": "Not Found"}
    if not name:
        if method == "POST":
            servers = [{"content": one, "disabled": False} for one in body.pop("nameservers", [])]
            first = {"name": body["name"], "type": "NS", "ttl": 3600, "records": servers}
            zones[body["name"]] = {**body, "id": body["name"], "rrsets": [first] if servers else []}
            return 201, zones[body["name"]]
        return 200, [{key: value for key, value in zone.items() if key != "rrsets"} for zone in zones.values()]
    zone = zones[name]
    if method == "DELETE":
        del zones[name]
    elif method == "PUT":
        zone |= body
    elif method == "PATCH":
        for change in body["rrsets"]:
            which = (change["name"], change["type"])
            zone["rrsets"] = [one for one in zone["rrsets"] if (one["name"], one["type"]) != which]
            if change["changetype"] == "REPLACE":
                zone["rrsets"].append({key: value for key, value in change.items() if key != "changetype"})
    return (200, zone) if method == "GET" else (204, None)
