"""Prometheus's Alertmanager, alone (no cluster): silences and alerts through its API. It asks for no credentials."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.servers.server import Server, need, own_folder, places, started

PACKAGE = "prometheus-alertmanager"
CONFIG = """
route: {receiver: nobody}
receivers: [{name: nobody}]
"""


@dataclass(frozen=True)
class Alertmanager(Server):
    """`url` ends before /api/v2."""

    def amtool(self, *words: str) -> str:
        """What its own client prints: `amtool("silence", "query", "--output=json")`."""
        return self.run(need("amtool", PACKAGE), f"--alertmanager.url={self.url}", *words)


@contextmanager
def running() -> Iterator[Alertmanager]:
    program = need("prometheus-alertmanager", PACKAGE)
    with own_folder("alertmanager") as folder:
        address, (port,) = places(1)
        server = Alertmanager(f"http://{address}:{port}", folder)
        (folder / "alertmanager.yml").write_text(CONFIG)
        words = (
            f"--config.file={folder}/alertmanager.yml",
            f"--storage.path={folder}/data",
            f"--web.listen-address={address}:{port}",
            "--cluster.listen-address=",
        )
        with started(folder, program, *words) as process:
            server.wait(process, "/api/v2/status")
            yield server
