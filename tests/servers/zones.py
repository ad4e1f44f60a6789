"""A small API as tests/desired/openapi/dns.yaml describes it: clients name zones, the server gives records their ids.
It lives in a thread, and minds what it is sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.servers.server import Server

ROOT = "/api/v1"
READ_ONLY = {"id", "serial", "modified"}


class _Handler(BaseHTTPRequestHandler):
    server: _Zones

    def do(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        body = json.loads(self.rfile.read(length)) if length else None
        words = [unquote(word) for word in self.path.removeprefix(ROOT).partition("?")[0].strip("/").split("/")]
        if self.command != "GET":
            self.server.asked.append((self.command, self.path))
        status, said = self.server.answer(self.command, words, body)
        content = b"" if said is None else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do

    def log_message(self, format: str, *args: Any) -> None:
        """Nowhere: the test's output is its own."""


class _Zones(ThreadingHTTPServer):
    """zones: name → object. records: zone → id → object. asked: all but reads, in order."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.zones: dict[str, dict[str, Any]] = {}
        self.records: dict[str, dict[str, dict[str, Any]]] = {}
        self.asked: list[tuple[str, str]] = []

    def answer(self, method: str, words: list[str], body: Any) -> tuple[int, Any]:
        if isinstance(body, dict) and READ_ONLY & body.keys():
            return 422, {"error": "only the server writes that"}
        match words:
            case ["zones"]:
                return self._all(method, self.zones, body, body and body["name"])
            case ["zones", name]:
                return self._one(method, self.zones, name, body)
            case ["zones", zone, "records"] if zone in self.zones:
                known = self.records.setdefault(zone, {})
                status, said = self._all(method, known, body, f"r{len(self.asked)}")
                return status, {"total": len(known), "records": said} if method == "GET" else said
            case ["zones", zone, "records", one]:
                return self._one(method, self.records.get(zone, {}), one, body)
        return 404, {"error": "there is no such thing"}

    def _all(self, method: str, known: dict[str, Any], body: Any, id_: str) -> tuple[int, Any]:
        if method == "GET":
            return 200, list(known.values())
        known[id_] = {**body, "id": id_, "serial": 1}
        return 201, known[id_]

    def _one(self, method: str, known: dict[str, Any], id_: str, body: Any) -> tuple[int, Any]:
        if id_ not in known:
            return 404, {"error": "there is no such thing"}
        if method == "DELETE":
            del known[id_]
            return 204, None
        if method in ("PUT", "PATCH"):
            before = known[id_] if method == "PATCH" else {"id": id_}
            known[id_] = {**before, **body, "serial": 2}
        return 200, known[id_]


@contextmanager
def zones(folder: Path) -> Iterator[tuple[Server, _Zones]]:
    """The API at a free port, and what it holds."""
    held = _Zones()
    thread = threading.Thread(target=held.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{held.server_port}", folder), held
    finally:
        held.shutdown()
        thread.join()
        held.server_close()
