"""Who may ask what. One table of routes; what is not in it is not allowed.

On the unix socket who asks is known by what the kernel says of the user; over TCP by a token. Neither stands in for the
other: a token is not looked at on the unix socket.
"""

from __future__ import annotations

import hashlib
import hmac
import pwd
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from fleet.web.peer import NOBODY, Peer

Permission = Literal["nobody", "anybody", "read", "operate", "hook"]
Role = Literal["", "reader", "operator"]

# (method, path as the route has it) → what is needed. "hook": the request is signed, and may only say "look now".
TABLE: Mapping[tuple[str, str], Permission] = {
    ("GET", "/healthz"): "anybody",
    ("GET", "/readyz"): "anybody",
    ("GET", "/metrics"): "read",
    ("GET", "/v1/status"): "read",
    ("GET", "/v1/environments"): "read",
    ("GET", "/v1/environments/{environment}"): "read",
    ("GET", "/v1/hosts"): "read",
    ("GET", "/v1/hosts/{environment}/{name}"): "read",
    ("GET", "/v1/drift"): "read",
    ("GET", "/v1/queue"): "read",
    ("GET", "/v1/events"): "read",
    ("GET", "/v1/openapi.json"): "read",
    ("POST", "/v1/reconcile"): "operate",
    ("POST", "/v1/freeze"): "operate",
    ("DELETE", "/v1/freeze"): "operate",
    ("POST", "/v1/pause"): "operate",
    ("POST", "/v1/resume"): "operate",
    ("POST", "/v1/rollouts/{environment}/resume"): "operate",
    ("POST", "/v1/rollouts/{environment}/approve"): "operate",
    ("POST", "/v1/accept"): "operate",
    ("POST", "/hooks/git"): "hook",
}
ALLOWED: Mapping[Role, frozenset[Permission]] = {
    "": frozenset({"anybody", "hook"}),
    "reader": frozenset({"anybody", "hook", "read"}),
    "operator": frozenset({"anybody", "hook", "read", "operate"}),
}


@dataclass(frozen=True, slots=True)
class Token:
    """digest: hex sha256 of what is sent. name: for the audit."""

    name: str
    role: Role
    digest: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Asker:
    name: str
    role: Role


class Admits(Protocol):
    """Who asks, and whether they may ask at all; see Access."""

    def asker(self, peer: Peer | None, authorization: str) -> Asker: ...

    def refused(self, peer: Peer | None, headers: Mapping[str, str]) -> str: ...


@dataclass(frozen=True, slots=True)
class Access:
    """uids: who may operate over the unix socket; groups: group id → what its members may there.

    names: that the server is called by over TCP, with their port as people write it. scheme: what people write before
    it: "https" where something in front of this server ends TLS.
    """

    uids: frozenset[int]
    tokens: tuple[Token, ...] = ()
    names: frozenset[str] = frozenset()
    groups: Mapping[int, Role] = field(default_factory=dict)
    scheme: Literal["http", "https"] = "http"

    def asker(self, peer: Peer | None, authorization: str) -> Asker:
        """authorization: the header; its role is "" when nobody is known by it."""
        if peer is None:
            return self._by_token(authorization)
        name = f"{_user(peer.uid)}@localhost"
        if peer.uid == NOBODY:
            return Asker(name, "")
        roles = {self.groups[gid] for gid in peer.gids & self.groups.keys()}
        if peer.uid in self.uids or "operator" in roles:
            return Asker(name, "operator")
        return Asker(name, "reader" if "reader" in roles else "")

    def _by_token(self, said: str) -> Asker:
        scheme, _, value = said.partition(" ")
        digest = hashlib.sha256(value.strip().encode()).hexdigest()
        found = Asker("", "")
        for one in self.tokens:  # all of them, so that the time says nothing
            if hmac.compare_digest(one.digest.encode(), digest.encode()) and scheme.lower() == "bearer":
                found = Asker(one.name, one.role)
        return found

    def refused(self, peer: Peer | None, headers: Mapping[str, str]) -> str:
        """Why a page of somebody else in a browser may not speak for its user; "" when Host and Origin are ours."""
        if peer is None and headers.get("host", "").lower() not in self._names:
            return "this server is not called that"
        origin = headers.get("origin")
        # Browsers have no unix sockets: who names an origin there is not who it says.
        if origin is not None and (peer is not None or origin.lower() not in self._origins):
            return "asked by a page of another origin"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "asked by a page of another origin"
        return ""

    @property
    def _names(self) -> frozenset[str]:
        return frozenset(name.lower() for name in self.names)

    @property
    def _origins(self) -> frozenset[str]:
        return frozenset(f"{self.scheme}://{name}" for name in self._names)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
