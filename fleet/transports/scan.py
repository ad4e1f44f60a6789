"""What key a host shows, for pinning it. Nothing is sent but the key exchange; nobody logs in."""

from __future__ import annotations

import asyncio
import random

import asyncssh

from fleet.errors import Failure, TransportError
from fleet.model.host import Target
from fleet.transports.ssh import SSHTransport
from fleet.transports.ssh_errors import classify
from fleet.transports.ssh_options import KEX

# The first that the host has is the one that is pinned. Each further connection would count as one without a login.
ALGORITHMS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256")


async def scan_host_keys(target: Target, key_file: str = "") -> list[str]:
    """Lines "ALGORITHM BASE64" of the keys that the host shows. Raises TransportError.

    A bastion on the way is logged in to, so its own key must be pinned already. key_file: for a bastion without one.
    """
    transport = SSHTransport(random.random, key_file=key_file)  # jitter needs no secrecy
    try:
        tunnel = await transport.bastion(target.via) if target.via is not None else None
        async with asyncio.timeout(target.connect_timeout):
            key = await asyncssh.get_server_host_key(
                target.address,
                target.port,
                tunnel=tunnel,
                config=None,
                kex_algs=KEX,
                server_host_key_algs=ALGORITHMS,
            )
    except (OSError, asyncssh.Error, ValueError) as error:
        raise classify(error, target) from error
    finally:
        await transport.aclose()
    if key is None:
        raise TransportError(Failure.BANNER, f"{target.address}:{target.port} showed no host key")
    return [" ".join(key.export_public_key("openssh").decode().split()[:2])]
