"""One sshd for all tests that do not need one of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from fleet.transports.ssh import SSHTransport
from tests.transports import sshd as real
from tests.transports.shells import can_have_rooms
from tests.transports.sshd import Sshd


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def shared_sshd() -> Iterator[Sshd]:
    if not can_have_rooms():
        pytest.skip("needs root with CAP_SYS_ADMIN, for mount namespaces")
    # Not below pytest's own directory: what sshd reads as another user must be readable.
    with TemporaryDirectory(prefix="fleet-sshd-") as root:
        one = real.start(Path(root))
        yield one
        one.stop()


@pytest.fixture
def sshd(shared_sshd: Sshd) -> Sshd:
    return shared_sshd


class Waits:
    """Stands for the clock between tries: notes the seconds instead of waiting."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
async def transport(waits: Waits) -> AsyncIterator[SSHTransport]:
    one = SSHTransport(lambda: 0.5, wait=waits)
    yield one
    await one.aclose()
