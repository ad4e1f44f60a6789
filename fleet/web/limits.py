"""What every connection, request and answer is bounded by."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import Message, Receive

# Bytes of a body. All of a hook's is signed, so all of it is read before anybody is known to have sent it: GitHub sends
# up to 25 MiB, for pushes that nobody makes by hand, and one that is refused costs but the wait for the next fetch. An
# operator may name forty thousand hosts in it.
BODY = 1024 * 1024
STRAY = 64 * 1024  # of who may not ask, or asks for what needs none
HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """connections: at one place at once; one more is closed. head: bytes of a request's head. idle: seconds between two
    requests; slow: seconds that a request's head, its body, or the reading of an answer may stand still or take."""

    connections: int = 128
    head: int = 16 * 1024
    idle: int = 30
    slow: float = 10.0


class TooLargeError(Exception):
    """A body is."""


async def body_of(receive: Receive, announced: str | None, most: int) -> bytes:
    """The whole of it. announced: Content-Length, if there is one: what is too large is not read. Raises
    TooLargeError, EOFError: the sender went away."""
    if announced is not None and (not announced.isascii() or not announced.isdigit() or int(announced[:20]) > most):
        raise TooLargeError
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise EOFError
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > most:
            raise TooLargeError
        more = message.get("more_body", False)
    return b"".join(parts)


def again(body: bytes, receive: Receive) -> Receive:
    """A receive that hands over what was read already, and then what comes."""
    given = False

    async def receiving() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receiving
