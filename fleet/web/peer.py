"""Who is at the other end of a unix socket, as the kernel says: unix(7), SO_PEERCRED and SO_PEERGROUPS."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

_UCRED = struct.Struct("iII")  # pid, uid, gid
_PEERGROUPS = 59  # asm-generic/socket.h; Python has no name for it
_MOST = 1024  # bytes that Python lets one read: 256 groups. Who is in more is known by the first one only.
NOBODY = 65534  # what the kernel says of users that this namespace does not know: never one and the same person


@dataclass(frozen=True, slots=True)
class Peer:
    uid: int
    gids: frozenset[int]


def peer_of(transport_socket: Any) -> Peer | None:
    """transport_socket: as asyncio or uvloop hand it out. None: it is no unix socket."""
    if transport_socket is None or transport_socket.family != socket.AF_UNIX:
        return None
    # Both wrap the socket, each in its own way; a descriptor is one to all of them.
    with socket.socket(fileno=os.dup(transport_socket.fileno())) as one:
        _, uid, gid = _UCRED.unpack(one.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        more = b""
        with suppress(OSError):
            more = one.getsockopt(socket.SOL_SOCKET, _PEERGROUPS, _MOST)
    return Peer(uid, frozenset({gid, *(found for (found,) in struct.iter_unpack("I", more))}))
