"""What key a host shows, for pinning it. Nothing is sent but the key exchange; nobody logs in."""

from __future__ import annotations

import asyncio

import asyncssh

from fleet.errors import Failure, TransportError
from fleet.model.host import Target
from fleet.transports.ssh_errors import classify
from fleet.transports.ssh_options import KEX


async def scan_host_keys(target: Target) -> list[str]:
    """Lines "ALGORITHM BASE64" of the keys that the host shows. Raises TransportError; a bastion is not passed yet."""
    if target.via is not None:
        hint = f"on {target.via.host}: ssh-keyscan -p {target.port} {target.address}; add the line to known_hosts"
        raise TransportError(
            Failure.HOST_KEY, f"{target.host} is behind a bastion, not seen from here", hint
        )
    try:
        async with asyncio.timeout(target.connect_timeout):
            key = await asyncssh.get_server_host_key(target.address, target.port, config=None, kex_algs=KEX)
    except (OSError, asyncssh.Error, ValueError) as error:
        raise classify(error, target) from error
    if key is None:
        raise TransportError(Failure.BANNER, f"{target.address}:{target.port} showed no host key")
    return [" ".join(key.export_public_key("openssh").decode().split()[:2])]
