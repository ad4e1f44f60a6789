"""How an HTTP API is reached, and what it answered. Values only; `transports/http*` does the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from fleet.model.secret import SecretSource

Login = Literal["none", "bearer", "basic", "header", "oauth2", "session"]


@dataclass(frozen=True, slots=True)
class Auth:
    """How a request says who asks. values: what `type` needs, by name; may hold tokens of secrets.

    bearer: token. basic: user, password. header: the header's own name → value. oauth2 (RFC 6749, §4.4, client
    credentials): token_url, client_id, client_secret, scope, audience. session (DMTF DSP0266, §13.3.4): path, user,
    password.
    """

    type: Login = "none"
    values: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM texts. ca: authorities to trust instead of the system's. certificate, key: the client's own. pins: hex sha256
    of the server's certificate as it comes (DER), any of which must fit, whoever signed it."""

    ca: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    pins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Api:
    """url: its root, http or https, without a slash at its end. name: as `apis:` has it, "" for a host of its own.

    rate: requests a second of this environment, 0 for no limit; burst: at once after a rest; concurrency: at a time, 0
    for no limit. timeout: seconds for one try, with its answer. tries: at most. limit: bytes of an answer.
    networks: loopback and link-local ones that it may be in. redirects: hosts that it may send us on to.
    secrets: where those are to be had that stand in headers, auth and tls.
    """

    url: str
    environment: str = ""
    name: str = ""
    auth: Auth = Auth()
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    tls: Tls = Tls()
    networks: tuple[str, ...] = ()
    redirects: tuple[str, ...] = ()
    rate: float = 0.0
    burst: float = 1.0
    concurrency: int = 0
    timeout: float = 30.0
    tries: int = 4
    limit: int = 16 * 1024 * 1024
    secrets: tuple[SecretSource, ...] = field(default=(), repr=False)

    def texts(self) -> tuple[str, ...]:
        """All that may hold tokens."""
        given = [value for _, value in (*self.headers, *self.auth.values)]
        return (*given, self.tls.ca, self.tls.certificate, self.tls.key)


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of one request of a look. error: why there is no answer, else "". headers: names in lower case, the
    few that a kind may ask for. body: of each page the JSON value, one unless it was asked page by page; the text,
    where that was asked for, and then seconds: of its try, which differs from one to the next."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Sequence[Any] = ()
    error: str = ""
    seconds: float = 0.0
