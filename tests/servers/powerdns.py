"""PowerDNS's authoritative server with its HTTP API, an empty SQLite database, and DNS to see what comes of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from fleet.sandbox.dns_api import CONFIG, SCHEMA
from tests.servers.server import Server, need, own_folder, places, started

# No cache: an answer is what the database holds.
MORE = """
gsqlite3-dnssec=yes
gsqlite3-pragma-synchronous=0
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
"""


@dataclass(frozen=True)
class PowerDNS(Server):
    """`url` ends before /api/v1; the zones are below /api/v1/servers/localhost/zones."""

    api_key: str = "api-key-of-the-tests"
    address: str = ""
    dns_port: int = 0

    def pdnsutil(self, *words: str) -> str:
        """What it says, reading the database itself."""
        return self.run(need("pdnsutil", "pdns-server"), f"--config-dir={self.folder}", *words)

    def dig(self, *words: str) -> str:
        """What the server answers over DNS: `dig("www.example.org", "A")`, one line per record."""
        program = need("dig", "bind9-dnsutils")
        return self.run(program, f"@{self.address}", "-p", str(self.dns_port), "+short", "+tries=1", *words)


@contextmanager
def running() -> Iterator[PowerDNS]:
    program = need("pdns_server", "pdns-server")
    schema = _schema()
    with own_folder("powerdns") as folder:
        address, (port, dns_port) = places(2)
        headers = {"X-API-Key": PowerDNS.api_key}
        server = PowerDNS(f"http://{address}:{port}", folder, headers, address=address, dns_port=dns_port)
        config = CONFIG.format(folder=folder, address=address, port=port, dns_port=dns_port, key=server.api_key)
        (folder / "pdns.conf").write_text(config + MORE)
        with closing(sqlite3.connect(folder / "pdns.sqlite3")) as database:
            database.executescript(schema)
        with started(folder, program, f"--config-dir={folder}") as process:
            server.wait(process, "/api/v1/servers/localhost")
            yield server


def _schema() -> str:
    if not SCHEMA.is_file():
        need(str(SCHEMA), "pdns-backend-sqlite3")
    return SCHEMA.read_text()
