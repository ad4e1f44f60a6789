"""Who asks: an `Auth` in, headers for each request out. What must be fetched first is fetched once, and anew when the
API no longer takes it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol
from urllib.parse import urlencode, urljoin

from fleet.errors import Failure, TransportError
from fleet.model.api import Auth
from fleet.transports.http_wire import Answer, Message, Wire, joined

RENEWED = 20.0  # seconds in which a login does not run out; DMTF DSP0268 has 30 as the shortest for a session
EARLY = 30.0  # seconds before its end at which a token is not used any more
JSON = {"content-type": "application/json"}


class Login(Protocol):
    """headers: for the next request. refused: an answer to these headers said 401; whether another try with new ones
    makes sense. logout: give back what was fetched. The first and the last may raise TransportError."""

    async def headers(self) -> Mapping[str, str]: ...

    def refused(self, headers: Mapping[str, str]) -> bool: ...

    async def logout(self) -> None: ...


def login(auth: Auth, url: str, wire: Wire, now: Callable[[], float]) -> Login:
    """auth: opened. url: the API's root. now: seconds that never go back."""
    said = dict(auth.values)
    if auth.type == "oauth2":
        return _Fetched(_OAuth2(said, wire, now), now)
    if auth.type == "session":
        return _Fetched(_Session(said, url, wire), now)
    return _Fixed(_constant(auth.type, said))


def _constant(type_: str, said: Mapping[str, str]) -> Mapping[str, str]:
    if type_ == "bearer":
        return {"authorization": f"Bearer {said['token']}"}
    if type_ == "basic":
        pair = f"{said['user']}:{said['password']}".encode(errors="surrogateescape")
        return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return said if type_ == "header" else {}


class _Fixed:
    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    async def headers(self) -> Mapping[str, str]:
        return self._headers

    def refused(self, headers: Mapping[str, str]) -> bool:
        return False

    async def logout(self) -> None:
        return None


class _Source(Protocol):
    """fetch: headers and the time until which they are good. give_back: what the last one fetched."""

    async def fetch(self) -> Mapping[str, str]: ...

    def good(self) -> bool: ...

    async def give_back(self) -> None: ...


class _Fetched:
    """Many ask at once, and one fetches."""

    def __init__(self, source: _Source, now: Callable[[], float]) -> None:
        self._source, self._now, self._since = source, now, float("-inf")
        self._known: Mapping[str, str] | None = None
        self._lock = asyncio.Lock()
        self._failures, self._error = 0, TransportError(Failure.AUTH, "")

    async def headers(self) -> Mapping[str, str]:
        """A login that was refused while others waited is theirs, too: whoever repeats it is locked out."""
        failures = self._failures
        async with self._lock:
            if self._known is None or not self._source.good():
                if failures != self._failures:
                    raise self._error
                try:
                    self._known = await self._source.fetch()
                    self._since = self._now()
                except TransportError as error:
                    self._failures, self._error = self._failures + 1, _before_it(error)
                    raise self._error from error
            return self._known

    def refused(self, headers: Mapping[str, str]) -> bool:
        """Somebody may have fetched new ones already. Those that were just fetched did not run out: some servers say
        401 for what is forbidden, and would be logged in to with each request."""
        if self._known is not None and self._known.items() <= headers.items():
            if self._now() - self._since < RENEWED:
                return False
            self._known = None
        return True

    async def logout(self) -> None:
        if self._known is not None:
            self._known = None
            await self._source.give_back()


class _OAuth2:
    """RFC 6749, §4.4: client credentials; the client's own in the Authorization header (§2.3.1)."""

    def __init__(self, said: Mapping[str, str], wire: Wire, now: Callable[[], float]) -> None:
        self._said, self._wire, self._now = said, wire, now
        self._until = 0.0

    def good(self) -> bool:
        return self._now() < self._until

    async def fetch(self) -> Mapping[str, str]:
        form = {"grant_type": "client_credentials"}
        form |= {name: self._said[name] for name in ("scope", "audience") if name in self._said}
        pair = {"user": self._said["client_id"], "password": self._said["client_secret"]}
        headers = {"content-type": "application/x-www-form-urlencoded", **_constant("basic", pair)}
        message = Message("POST", self._said["token_url"], headers, urlencode(form).encode())
        answer = _granted(await self._wire.send(message), "the token endpoint")
        said = _object(answer)
        token, seconds = said.get("access_token"), _seconds(said.get("expires_in", 3600))
        if not isinstance(token, str):
            raise TransportError(Failure.AUTH, "the token endpoint gave no access_token")
        self._until = self._now() + max(seconds - EARLY, seconds / 2)
        return _constant("bearer", {"token": token})

    async def give_back(self) -> None:
        """It ends by itself."""


class _Session:
    """Redfish (DMTF DSP0266, §13.3.4): a session is made, its token sent with each request, and the session removed."""

    def __init__(self, said: Mapping[str, str], url: str, wire: Wire) -> None:
        self._said, self._url, self._wire = said, url, wire
        self._location, self._token = "", ""

    def good(self) -> bool:
        return True

    async def fetch(self) -> Mapping[str, str]:
        with suppress(TransportError):  # one that is refused may be there still, and there are few places
            await self.give_back()
        body = json.dumps({"UserName": self._said["user"], "Password": self._said["password"]}).encode()
        url = self._url + self._said["path"]
        answer = _granted(await self._wire.send(Message("POST", url, JSON, body)), "the login")
        self._token = answer.headers.get("x-auth-token", "")
        if not self._token:
            raise TransportError(Failure.AUTH, "the login gave no X-Auth-Token")
        self._location = joined(url, location) if (location := answer.headers.get("location", "")) else ""
        return {"x-auth-token": self._token}

    async def give_back(self) -> None:
        location, self._location = self._location, ""
        if location.startswith(urljoin(self._url, "/")):  # to nobody else goes the token
            await self._wire.send(Message("DELETE", location, {"x-auth-token": self._token}))


def _before_it(error: TransportError) -> TransportError:
    """As what it is to the request that was to follow: that was never sent."""
    failure = {Failure.LOST: Failure.REFUSED, Failure.SERVER: Failure.REFUSED, Failure.ANSWER: Failure.AUTH}
    return TransportError(failure.get(error.failure, error.failure), f"the login: {error.message}", error.hint)


def _seconds(value: object) -> float:
    """Some say it as text."""
    try:
        return max(float(str(value)), 0.0)
    except ValueError:
        return 0.0


def _granted(answer: Answer, what: str) -> Answer:
    """Trouble of the server may pass; everything else is a refusal."""
    if 200 <= answer.status < 300:
        return answer
    failure = Failure.SERVER if answer.status >= 500 or answer.status == 429 else Failure.AUTH
    raise TransportError(failure, f"{what} said status {answer.status}", "check `auth:` of the connection")


def _object(answer: Answer) -> Mapping[str, object]:
    found = answer.json()
    return found if isinstance(found, dict) else {}
