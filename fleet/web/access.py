"""Who may ask what. One table of routes; what is not in it is not allowed.

On the unix socket who asks is known by the user id that the kernel gives (unix(7), SO_PEERCRED); over TCP by a token.
"""

from __future__ import annotations

import hashlib
import hmac
import pwd
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from starlette.requests import Request

Permission = Literal["nobody", "anybody", "read", "operate", "hook"]
Role = Literal["", "reader", "operator"]

# (method, path as the route has it) → what is needed. "hook": the request is signed, and may only say "look now".
TABLE: Mapping[tuple[str, str], Permission] = {
    ("GET", "/healthz"): "anybody",
    ("GET", "/readyz"): "anybody",
    ("GET", "/metrics"): "read",
    ("GET", "/v1/status"): "read",
    ("GET", "/v1/hosts"): "read",
    ("GET", "/v1/hosts/{environment}/{name}"): "read",
    ("GET", "/v1/events"): "read",
    ("GET", "/v1/openapi.json"): "read",
    ("POST", "/v1/reconcile"): "operate",
    ("POST", "/v1/orders"): "operate",
    ("POST", "/v1/orders/lift"): "operate",
    ("POST", "/v1/rollouts/{environment}/resume"): "operate",
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


@dataclass(frozen=True, slots=True)
class Access:
    """uids: who may operate over the unix socket. names: that the server is called by over TCP, with their port."""

    uids: frozenset[int]
    tokens: tuple[Token, ...] = ()
    names: frozenset[str] = frozenset()

    def asker(self, request: Request) -> Asker:
        uid = request.scope.get("state", {}).get("uid")
        if uid is not None:
            return Asker(f"{_user(uid)}@localhost", "operator" if uid in self.uids else "")
        return self._by_token(request.headers.get("authorization", ""))

    def _by_token(self, said: str) -> Asker:
        scheme, _, value = said.partition(" ")
        digest = hashlib.sha256(value.strip().encode()).hexdigest()
        found = Asker("", "")
        for one in self.tokens:  # all of them, so that the time says nothing
            if hmac.compare_digest(one.digest, digest) and scheme.lower() == "bearer":
                found = Asker(one.name, one.role)
        return found

    def refused(self, request: Request) -> str:
        """Why a page of somebody else in a browser may not speak for its user; "" when Host and Origin are ours."""
        over_socket = request.scope.get("state", {}).get("uid") is not None
        host = request.headers.get("host", "")
        if not over_socket and host not in self.names:
            return "this server is not called that"
        origin = request.headers.get("origin")
        if origin is not None and (over_socket or origin.partition("://")[2] not in self.names):
            return "asked by a page of another origin"
        return ""


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
