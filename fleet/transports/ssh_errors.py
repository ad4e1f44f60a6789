"""asyncssh's and the system's errors, mapped once to our Failures, each with the next step."""

from __future__ import annotations

import os
import socket

import asyncssh

from fleet.errors import Failure, TransportError
from fleet.model.host import Target

# sshd refuses an address for a while once it has earned 15 seconds of penalties (PerSourcePenalties, OpenSSH 9.8).
PENALTY = 15.0
_PENALTY = (
    "sshd may be refusing this address for a while (MaxStartups, PerSourcePenalties): wait 15 seconds; "
    "see PerSourcePenaltyExemptList"
)


def not_pinned(target: Target) -> TransportError:
    """No connection was made at all: there is nothing to compare the host's key with."""
    where = f"environments/{target.environment}/known_hosts"
    message = f"no host key is pinned for {target.address}:{target.port} in {where}; it was not contacted"
    return TransportError(Failure.HOST_KEY, message, _enroll(target))


def unusable(target: Target, why: str) -> TransportError:
    """The key itself, before anybody was asked."""
    hint = "the path is from key_file of the connection, else from FLEET_KEY_FILE"
    return TransportError(Failure.AUTH, f"cannot use the key {target.key_file}: {why}", hint)


def _enroll(target: Target) -> str:
    command = f"fleet hosts enroll -e {target.environment} --host {target.host}"
    return f"compare the key with the one on the host's console and pin it: {command}"


def _offered(target: Target) -> str:
    if target.key_file:
        return f"it was offered the key {target.key_file}"
    if target.agent and os.environ.get("SSH_AUTH_SOCK"):
        return "it was offered the keys of the SSH agent"
    return "it was offered the default keys below ~/.ssh"


def classify(error: BaseException, target: Target) -> TransportError:
    """What went wrong on the way to `target`, as a TransportError. Order matters: asyncssh's errors are a tree."""
    where = f"{target.user}@{target.address}:{target.port}"
    text = str(error).strip().split("\n")[0][:300]
    if isinstance(error, TransportError):
        return error
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        message = (
            f"the host key of {where} is not the pinned one: installed anew, or someone in between; nothing was sent"
        )
        return TransportError(Failure.HOST_KEY, message, _enroll(target) + " --replace")
    if isinstance(error, asyncssh.PermissionDenied):
        hint = f"{_offered(target)}; is it in that user's authorized_keys? name another with key_file or FLEET_KEY_FILE"
        return TransportError(Failure.AUTH, f"{where} refused the login: {text}", hint)
    if isinstance(error, asyncssh.ChannelOpenError):
        return TransportError(
            Failure.CHANNEL, f"{where} opened no session: {text}", "see MaxSessions in its sshd_config"
        )
    if isinstance(error, asyncssh.KeyExchangeFailed | asyncssh.ProtocolNotSupported):
        return TransportError(Failure.BANNER, f"{where} and fleet share no algorithms: {text}")
    if isinstance(error, asyncssh.ConnectionLost):
        return TransportError(Failure.BANNER, f"{where} closed the connection before the login: {text}", _PENALTY)
    if isinstance(error, asyncssh.DisconnectError):
        return TransportError(Failure.BANNER, f"{where}: {text}", _PENALTY)
    if isinstance(error, TimeoutError):
        message = f"{where} did not answer within {target.connect_timeout:g} s"
        return TransportError(Failure.TIMEOUT, message, "is it up, is its address right, does a firewall let us in?")
    if isinstance(error, socket.gaierror):
        return TransportError(Failure.DNS, f"no address for {target.address!r}: {error.strerror}", "is the name right?")
    if isinstance(error, ConnectionRefusedError):
        return TransportError(Failure.REFUSED, f"nothing listens at {where}", "is sshd running?")
    if isinstance(error, asyncssh.KeyImportError | asyncssh.KeyEncryptionError):
        return unusable(target, text)
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return TransportError(Failure.BANNER, f"{where} reset the connection", _PENALTY)
    return TransportError(Failure.REFUSED, f"{where}: {text or type(error).__name__}")
