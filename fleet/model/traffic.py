"""What it cost to talk to hosts, counted where it is sent, so that it is known of what failed as well."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Traffic:
    """sent, received: bytes, before encryption: scripts and what they print, requests and answers with their headers;
    no handshakes. retries: tries after a first one that failed."""

    sent: int = 0
    received: int = 0
    retries: int = 0
