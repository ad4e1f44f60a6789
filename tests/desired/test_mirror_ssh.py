"""A mirror over SSH, of a real sshd: only with the key and to the host that were named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from fleet.desired.mirror import Access, Mirror
from fleet.errors import GitError
from tests.desired.remotes import Origin
from tests.transports import sshd
from tests.transports.shells import can_have_rooms

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server() -> Iterator[sshd.Sshd]:
    if not can_have_rooms():
        pytest.skip("needs root with CAP_SYS_ADMIN, for mount namespaces")
    # Not below pytest's own directory: what sshd reads as another user must be readable.
    with TemporaryDirectory(prefix="fleet-sshd-") as root:
        one = sshd.start(Path(root))
        yield one
        one.stop()


async def test_with_the_key_and_the_host_that_were_named(server: sshd.Sshd, tmp_path: Path) -> None:
    origin = Origin.at(tmp_path / "remote")
    known, other = tmp_path / "known hosts", tmp_path / "others"
    known.write_text(server.target.known_hosts)
    other.write_text("")
    key = tmp_path / "key 50%h"
    key.touch(0o600)
    key.write_bytes((server.root / "key").read_bytes())
    first = origin.commit()
    url = f"ssh://root@{server.target.address}:{server.target.port}{origin.path}"

    async def opened(access: Access) -> Mirror:
        mirror = Mirror(url, "", tmp_path / "mirror", access)
        await mirror.open()
        return mirror

    mirror = await opened(Access(key=key, known_hosts=known))
    assert await mirror.fetch() == first
    second = origin.commit()
    assert await mirror.fetch() == second
    with pytest.raises(GitError, match="its key is not in known_hosts"):
        await (await opened(Access(key=key, known_hosts=other))).fetch()
    assert other.read_text() == ""
    with pytest.raises(GitError, match="the key is not taken"):
        await (await opened(Access(key=tmp_path / "none", known_hosts=known))).fetch()
