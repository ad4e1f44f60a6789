"""sushy-emulator: a Redfish API (what a server's baseboard controller speaks) over machines that are made up."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.server import Server, need, own_folder, places, started

SYSTEM = "8f0b1d0e-3c3a-4f0e-9d53-3f1f0a6c2b11"
# The made-up machine takes its time to switch on or off, by its author between one and eleven seconds, by chance. One
# is enough to see that it does not happen at once.
CONFIG = """
from sushy_tools.emulator.resources.systems import fakedriver

class _Soon:
    @staticmethod
    def randint(low, high):
        return low

fakedriver.random = _Soon
SUSHY_EMULATOR_LISTEN_IP = {address!r}
SUSHY_EMULATOR_LISTEN_PORT = {port}
SUSHY_EMULATOR_AUTH_FILE = {folder!r} + "/htpasswd"
SUSHY_EMULATOR_STATE_DIR = {folder!r} + "/state"
SUSHY_EMULATOR_FAKE_DRIVER = True
SUSHY_EMULATOR_FAKE_SYSTEMS = [
    {{
        "uuid": {system!r},
        "name": "node-1",
        "power_state": "Off",
        "external_notifier": False,
        "nics": [{{"mac": "00:5c:52:31:3a:9c", "ip": "192.0.2.10"}}],
    }}
]
"""


@dataclass(frozen=True)
class Redfish(Server):
    """`url` ends before /redfish/v1, which alone may be read without credentials (Basic)."""

    user: str = "admin"
    password: str = "password-of-the-tests"
    system: str = SYSTEM

    @property
    def system_path(self) -> str:
        """The one machine, off at first."""
        return f"/redfish/v1/Systems/{self.system}"


@contextmanager
def running() -> Iterator[Redfish]:
    program = need(str(Path(sys.executable).with_name("sushy-emulator")), "sushy-tools (requirements-dev.lock)")
    import bcrypt  # comes with sushy-tools

    with own_folder("redfish") as folder:
        address, (port,) = places(1)
        token = base64.b64encode(f"{Redfish.user}:{Redfish.password}".encode()).decode()
        server = Redfish(f"http://{address}:{port}", folder, {"Authorization": f"Basic {token}"})
        # Four rounds: each request is checked against it.
        digest = bcrypt.hashpw(server.password.encode(), bcrypt.gensalt(4)).decode()
        (folder / "htpasswd").write_text(f"{server.user}:{digest}\n")
        config = folder / "emulator.conf"
        config.write_text(CONFIG.format(address=address, port=port, folder=str(folder), system=server.system))
        with started(folder, program, "--config", str(config)) as process:
            server.wait(process, server.system_path)
            yield server
