"""asyncssh options, built once per distinct way to log in; building them reads keys and is slow."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh

from fleet.errors import Failure, TransportError
from fleet.model.host import Target
from fleet.transports.ssh_errors import unusable

# AES-GCM is one call a packet; chacha20 builds several cipher objects for each.
CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes128-ctr",
    "aes256-ctr",
)
KEX = ("mlkem768x25519-sha256", "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256")


class OptionsCache:
    """Target → ready options. Two targets that log in the same way share them; known hosts are parsed once per text."""

    def __init__(self) -> None:
        self._options: dict[Target, asyncssh.SSHClientConnectionOptions] = {}
        self._known: dict[str, asyncssh.SSHKnownHosts] = {}
        self._building = asyncio.Lock()  # hundreds of hosts ask at once for what is built once

    async def get(self, target: Target) -> asyncssh.SSHClientConnectionOptions:
        """Raises TransportError (auth) for a key that cannot be read, (host key) for known hosts that cannot."""
        who = replace(target, host="", address="", port=22, via=None)
        if target.ssh_config:
            who = replace(who, host=target.host, address=target.address, port=target.port)
        async with self._building:
            if who not in self._options:
                self._options[who] = await self._build(target)
            return self._options[who]

    def pins(self, target: Target) -> bool:
        """Whether any key, certificate authority included, is pinned for this host. With ssh_config only asyncssh
        knows by which name."""
        if target.ssh_config:
            return True
        known = self._pinned(target).match(target.address, "", None if target.port == 22 else target.port)
        return any(known[:2])

    def _pinned(self, target: Target) -> asyncssh.SSHKnownHosts:
        known = self._known.get(target.known_hosts)
        if known is None:
            try:
                known = asyncssh.import_known_hosts(target.known_hosts)
            except ValueError as error:
                where = f"environments/{target.environment}/known_hosts"
                raise TransportError(Failure.HOST_KEY, f"{where} cannot be read: {error}") from error
            self._known[target.known_hosts] = known
        return known

    async def _build(self, target: Target) -> asyncssh.SSHClientConnectionOptions:
        known = self._pinned(target)
        whose = {"username": target.user, "config": None, **_keys(target)}
        if target.ssh_config:
            whose = await _from_users_file(target, whose)
        options: asyncssh.SSHClientConnectionOptions = await asyncssh.SSHClientConnectionOptions.construct(
            known_hosts=known,
            preferred_auth="publickey",
            gss_host=None,
            gss_kex=False,
            gss_auth=False,
            x509_trusted_certs=None,
            connect_timeout=None,  # ours is around the whole of it
            login_timeout=2 * target.connect_timeout,
            keepalive_interval=target.keepalive,
            keepalive_count_max=3,
            encryption_algs=CIPHERS,
            kex_algs=KEX,
            compression_algs=("none",),
            utf8_decode_errors="replace",
            **whose,
        )
        return options


async def _from_users_file(target: Target, whose: dict[str, Any]) -> dict[str, Any]:
    """The user's ssh_config says what the repository leaves at its default: HostName, Port, User, keys, ProxyJump."""
    said = await asyncssh.SSHClientConnectionOptions.construct(host=target.address, config=())
    whose = {**whose, "config": (), "host": target.address}
    if target.user == "root" and said.config.get("User"):
        del whose["username"]
    if not target.key_file:
        del whose["client_keys"], whose["agent_path"]
    return whose


def _keys(target: Target) -> dict[str, Any]:
    """Exactly one key is offered when one is named: sshd counts every other as a failed try.

    A key file that ends in .pub names a key that the agent holds. Without one: the agent's keys, else the user's own
    default key files, as ssh(1) does.
    """
    agent = (os.environ.get("SSH_AUTH_SOCK") or None) if target.agent else None
    if not target.key_file:
        return {"client_keys": (), "agent_path": agent}
    path = Path(target.key_file).expanduser()
    try:
        if target.key_file.endswith(".pub"):
            return {"client_keys": (), "agent_path": agent, "agent_identities": [asyncssh.read_public_key(path)]}
        key = asyncssh.read_private_key(path)
        if not target.certificate_file:
            return {"client_keys": [key], "agent_path": None}
        certificate = asyncssh.read_certificate(Path(target.certificate_file).expanduser())
        return {"client_keys": [(key, certificate)], "agent_path": None}
    except (OSError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise unusable(target, str(why)) from error
