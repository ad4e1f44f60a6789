"""A RabbitMQ node with its management API, alone in the world: own name, own epmd, own cookie.

The server's own start script is run, not Debian's wrapper around it: that one insists on the user rabbitmq and writes
to /var/log, while a node as such runs as anybody and where its environment says.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.servers.server import Server, need, own_folder, places, started

PROGRAMS = "/usr/lib/rabbitmq/bin"
CONFIG = """
management.tcp.ip = {address}
management.tcp.port = {port}
listeners.tcp.1 = {address}:{amqp_port}
default_user = {user}
default_pass = {password}
disk_free_limit.absolute = 1MB
"""


@dataclass(frozen=True)
class RabbitMQ(Server):
    """`url` ends before /api. user: an administrator with all permissions in the virtual host `/`."""

    user: str = "fleet"
    password: str = "password-of-the-tests"
    address: str = ""
    amqp_port: int = 0
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def rabbitmqctl(self, *words: str) -> str:
        """What the node itself says, over Erlang's distribution: `rabbitmqctl("list_queues", "name", "durable")`."""
        program = need(f"{PROGRAMS}/rabbitmqctl", "rabbitmq-server")
        return self.run(
            program,
            "--quiet",
            *(("--no-table-headers",) if words[0].startswith("list_") else ()),
            *words,
            environment=self.environment,
        )


@contextmanager
def running() -> Iterator[RabbitMQ]:
    epmd, node = need("epmd", "erlang-base"), need(f"{PROGRAMS}/rabbitmq-server", "rabbitmq-server")
    with own_folder("rabbitmq") as folder:
        address, (port, amqp_port, dist_port, epmd_port) = places(4)
        environment = {
            "RABBITMQ_NODENAME": f"fleet@{address}",
            "RABBITMQ_USE_LONGNAME": "true",  # what an address is as a host's name
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/none",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{folder}/none.config",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
            "RABBITMQ_FEATURE_FLAGS_FILE": f"{folder}/feature_flags",
            "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_ALLOW_INPUT": "1",  # no shell that stays beside the node to pass signals on
            "RABBITMQ_DIST_PORT": str(dist_port),
            "ERL_EPMD_ADDRESS": address,
            "ERL_EPMD_PORT": str(epmd_port),
            "ERL_AFLAGS": f"-kernel inet_dist_use_interface {{{address.replace('.', ',')}}}",
            "LC_ALL": "C.UTF-8",
        }
        headers = {"Authorization": f"Basic {_token(RabbitMQ.user, RabbitMQ.password)}"}
        server = RabbitMQ(
            f"http://{address}:{port}", folder, headers, address=address, amqp_port=amqp_port, environment=environment
        )
        (folder / "plugins").write_text("[rabbitmq_management].\n")
        (folder / "rabbitmq.conf").write_text(
            CONFIG.format(address=address, port=port, amqp_port=amqp_port, user=server.user, password=server.password)
        )
        # In the foreground: left to the node, epmd would be a daemon that outlives it.
        with (
            started(folder, epmd, **environment),
            started(folder, node, "-noinput", **environment) as process,
        ):
            server.wait(process, f"/api/health/checks/port-listener/{amqp_port}", 60)
            yield server


def _token(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()
