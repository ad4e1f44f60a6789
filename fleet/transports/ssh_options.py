"""asyncssh options, built once per distinct way to log in; building them reads keys and is slow (ssh-facts §4.2)."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import asyncssh

from fleet.errors import Failure, TransportError
from fleet.model.host import Target

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

    async def get(self, target: Target) -> asyncssh.SSHClientConnectionOptions:
        """Raises TransportError (auth) for a key that cannot be read."""
        who = replace(target, host="", address="", port=22, via=None)
        if target.ssh_config:
            who = replace(who, host=target.host, address=target.address, port=target.port)
        options = self._options.get(who)
        if options is None:
            options = self._options[who] = await self._build(target)
        return options

    async def _build(self, target: Target) -> asyncssh.SSHClientConnectionOptions:
        known = self._known.get(target.known_hosts)
        if known is None:
            known = self._known[target.known_hosts] = asyncssh.import_known_hosts(target.known_hosts)
        options: asyncssh.SSHClientConnectionOptions = await asyncssh.SSHClientConnectionOptions.construct(
            username=target.user,
            known_hosts=known,
            config=() if target.ssh_config else None,
            client_keys=_keys(target),
            agent_path=_agent(target),
            preferred_auth="publickey",
            gss_host=None,
            x509_trusted_certs=None,
            connect_timeout=target.connect_timeout,
            login_timeout=target.connect_timeout,
            keepalive_interval=target.keepalive,
            keepalive_count_max=3,
            encryption_algs=CIPHERS,
            kex_algs=KEX,
            compression_algs=("none",),
            utf8_decode_errors="replace",
        )
        return options


def _keys(target: Target) -> list[object] | None:
    """Exactly one key is offered when one is named: sshd counts every other as a failed try."""
    if not target.key_file:
        return None if not target.agent else []
    try:
        key = asyncssh.read_private_key(Path(target.key_file).expanduser())
        if not target.certificate_file:
            return [key]
        return [(key, asyncssh.read_certificate(Path(target.certificate_file).expanduser()))]
    except (OSError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise TransportError(Failure.AUTH, f"cannot use the key {target.key_file}: {why}") from error


def _agent(target: Target) -> str | None:
    if target.key_file or not target.agent:
        return None
    return os.environ.get("SSH_AUTH_SOCK") or None
