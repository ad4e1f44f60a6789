"""PowerDNS's authoritative server with its HTTP API, an empty SQLite database, and DNS to see what comes of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.server import Server, need, own_folder, places, started

SCHEMA = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql"
# No cache: an answer is what the database holds. No security poll: it would ask a name server on the Internet.
CONFIG = """
launch=gsqlite3
gsqlite3-database={folder}/pdns.sqlite3
gsqlite3-dnssec=yes
gsqlite3-pragma-synchronous=0
local-address={address}
local-port={dns_port}
webserver=yes
webserver-address={address}
webserver-port={port}
webserver-allow-from=127.0.0.0/8
api=yes
api-key={api_key}
socket-dir={folder}
daemon=no
guardian=no
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
zone-cache-refresh-interval=0
security-poll-suffix=
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
        config = CONFIG.format(folder=folder, address=address, port=port, dns_port=dns_port, api_key=server.api_key)
        (folder / "pdns.conf").write_text(config)
        with closing(sqlite3.connect(folder / "pdns.sqlite3")) as database:
            database.executescript(schema)
        with started(folder, program, f"--config-dir={folder}") as process:
            server.wait(process, "/api/v1/servers/localhost")
            yield server


def _schema() -> str:
    path = Path(SCHEMA)
    if not path.is_file():
        need(SCHEMA, "pdns-backend-sqlite3")
    return path.read_text()
