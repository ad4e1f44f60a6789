"""To which address a name leads, and whether anybody may connect there. Asked for each request, and the answer is what
is connected to: a name that changes between the two gains nothing.

Loopback and link-local addresses are refused unless they are allowed by name of their network: behind them are this
machine's own services, and the metadata services of clouds (CVE-2023-48023 and its kin).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from fleet.errors import Failure, TransportError

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052, §2.1
_METADATA = ip_address("fd00:ec2::254")  # of one large cloud, by IPv6


async def resolve(name: str, port: int) -> Sequence[str]:
    """What the system says, in its order. Raises TransportError."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise TransportError(Failure.DNS, f"{name}: {error.strerror or error}", "is the name right?") from error
    except UnicodeError as error:
        raise TransportError(Failure.DNS, f"{name!r} is not a host name") from error
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def allowed(addresses: Sequence[str], networks: Sequence[str]) -> list[str]:
    """Those that may be connected to, in their order. networks: "127.0.0.0/8", that are allowed though they are not."""
    permitted = [ip_network(one) for one in networks]
    found = []
    for text in addresses:
        address = ip_address(text.partition("%")[0])
        if not _refused(address) or any(address in one for one in permitted if one.version == address.version):
            found.append(text)
    return found


def _refused(address: Address) -> bool:
    return any(
        one == _METADATA or one.is_loopback or one.is_link_local or one.is_multicast or one.is_unspecified
        for one in _meant(address)
    )


def _meant(address: Address) -> list[Address]:
    """The address, and those that it carries in another's clothes."""
    found: list[Address] = [address]
    if isinstance(address, IPv6Address):
        carried: list[IPv4Address | None] = [address.ipv4_mapped, address.sixtofour]
        carried += address.teredo or ()
        if address in _NAT64 or int(address) >> 32 == 0:
            carried.append(IPv4Address(int(address) & 0xFFFFFFFF))
        found += [one for one in carried if one is not None]
    return found
