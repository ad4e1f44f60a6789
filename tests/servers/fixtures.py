"""One running server of each kind for all tests of a process, started when the first of them asks for it.

They are shared: a test gives what it makes a name of its own. One that must have a server to itself, or that stops it,
uses the module's `running()`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import alertmanager, powerdns, rabbitmq, redfish


@pytest.fixture(scope="session", name="powerdns")
def shared_powerdns() -> Iterator[powerdns.PowerDNS]:
    with powerdns.running() as server:
        yield server


@pytest.fixture(scope="session", name="rabbitmq")
def shared_rabbitmq() -> Iterator[rabbitmq.RabbitMQ]:
    with rabbitmq.running() as server:
        yield server


@pytest.fixture(scope="session", name="alertmanager")
def shared_alertmanager() -> Iterator[alertmanager.Alertmanager]:
    with alertmanager.running() as server:
        yield server


@pytest.fixture(scope="session", name="redfish")
def shared_redfish() -> Iterator[redfish.Redfish]:
    with redfish.running() as server:
        yield server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """RabbitMQ takes seconds and all processors to start: its tests share a worker of pytest-xdist, and so a node."""
    for item in items:
        if "rabbitmq" in getattr(item, "fixturenames", ()) and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group("rabbitmq"))
