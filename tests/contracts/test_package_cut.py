"""A pass that is stopped while apt works leaves apt to end in order: a package is never half unpacked because of us."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contracts.cases import TARGET
from tests.contracts.play import host
from tests.contracts.rooms import why_not
from tests.describe import compiled
from tests.transports.shells import until

pytestmark = [pytest.mark.skipif(bool(why_not()), reason=why_not()), pytest.mark.hosts, pytest.mark.anyio]

_SLOW = """\
mkdir -p /srv/slow/DEBIAN && cd /srv/slow/DEBIAN
printf 'Package: case-slow\\nVersion: 1\\nArchitecture: all\\nMaintainer: x\\nDescription: x\\n' >control
# Unpacked in one step of apt's, configured in the next.
printf '#!/bin/sh\\ntouch %s.begun; sleep 1\\n' "$SHARED" >preinst
printf '#!/bin/sh\\ntouch %s.done\\n' "$SHARED" >postinst
chmod 755 preinst postinst
mkdir /srv/repo && dpkg-deb --root-owner-group -b /srv/slow /srv/repo/case-slow.deb >/dev/null
cd /srv/repo && { cat /srv/slow/DEBIAN/control
  printf 'Filename: ./case-slow.deb\\nSize: %s\\nSHA256: %s\\n' \\
    "$(stat -c %s case-slow.deb)" "$(sha256sum case-slow.deb | cut -d' ' -f1)"; } >Packages
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d /var/lib/apt/lists
mkdir -p /etc/apt/sources.list.d
echo 'deb [trusted=yes] file:/srv/repo ./' >/etc/apt/sources.list
"""


async def test_a_stopped_pass_leaves_apt_to_end(tmp_path: Path) -> None:
    shared = Path("/dev/shm") / f"fleet-case-{secrets.token_hex(4)}"
    begun, done = shared.with_suffix(".begun"), shared.with_suffix(".done")
    spec = replace(compiled({"package": {"case-slow": {}}}), target=TARGET)
    try:
        async with host("dash", tmp_path) as one:
            assert (await one.shell(f"SHARED={shared}\n{_SLOW}")).status == "ok"
            work = asyncio.ensure_future(one.apply(spec))
            assert await until(begun.exists, 60)
            work.cancel()
            with pytest.raises(asyncio.CancelledError):
                await work
            assert await until(done.exists), "apt was ended with the session"
    finally:
        begun.unlink(missing_ok=True)
        done.unlink(missing_ok=True)
