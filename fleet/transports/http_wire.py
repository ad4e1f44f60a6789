"""One try of one request: a message to a checked address, and an Answer or a TransportError. Bounded in time and size
whatever the server does."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from fleet.errors import Failure, TransportError
from fleet.model.api import Api, Tls
from fleet.transports.http_address import Resolve, allowed, resolve
from fleet.transports.http_tls import context
from fleet.transports.meter import Count

HOPS = 3
REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said, whole. headers: names in lower case. seconds: that it took."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    seconds: float = 0.0

    def json(self) -> Any:
        """Raises TransportError when it is anything else: a proxy's page, half a document."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not kind.endswith(("/json", "+json")):
            said = f"the answer is {kind or 'of no type'}, not JSON"
            raise TransportError(Failure.ANSWER, said, "is this the API, or a login page or proxy before it?")
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise TransportError(Failure.ANSWER, "the answer is not whole JSON") from error


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: everything opened. url: whole."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


class Wire:
    """Connections to whatever an Api leads to; kept open between messages. count: gets what they carry."""

    def __init__(
        self, api: Api, tls: ssl.SSLContext | None = None, resolver: Resolve = resolve, count: Count | None = None
    ) -> None:
        self._api, self._resolve, self._tls, self.count = api, resolver, tls, count or Count()
        self._clients: dict[str, httpx.AsyncClient] = {}

    async def aclose(self) -> None:
        clients, self._clients = list(self._clients.values()), {}
        for one in clients:
            await one.aclose()

    def _client(self, host: str) -> httpx.AsyncClient:
        """One for each name: two that lead to one address share neither a connection nor a cookie."""
        if host not in self._clients:
            self._clients[host] = httpx.AsyncClient(
                verify=self._tls or context(Tls()),
                http2=True,
                limits=httpx.Limits(max_connections=None, keepalive_expiry=30.0),
                timeout=httpx.Timeout(None, connect=min(10.0, self._api.timeout / 2)),
                trust_env=False,
                follow_redirects=False,
            )
        return self._clients[host]

    async def send(self, message: Message) -> Answer:
        """Follows a redirect of a read to a host that is allowed, without what was for the first host's eyes only."""
        for _ in range(HOPS):
            answer = await self._once(message)
            onward = self._onward(message, answer)
            if onward is None:
                return answer
            message = onward
        raise TransportError(Failure.ANSWER, f"more than {HOPS} redirects")

    def _onward(self, message: Message, answer: Answer) -> Message | None:
        location = answer.headers.get("location", "")
        if answer.status not in REDIRECTS or message.method not in ("GET", "HEAD") or not location:
            return None
        url = joined(message.url, location)
        here, there = urlsplit(message.url), urlsplit(url)
        if there.hostname not in self._api.redirects or there.scheme not in (here.scheme, "https"):
            return None
        same = (here.scheme, here.netloc) == (there.scheme, there.netloc)
        return Message(message.method, url, message.headers if same else {}, message.body)

    async def _once(self, message: Message) -> Answer:
        parts = urlsplit(message.url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        try:
            async with asyncio.timeout(self._api.timeout):
                found = await self._resolve(host, port)
        except TimeoutError as error:
            raise TransportError(Failure.DNS, f"{host}: no answer from the name service") from error
        addresses = allowed(found, self._api.networks)
        if not addresses:
            hint = "if that is meant, list its network under `networks:` of the connection"
            raise TransportError(Failure.ADDRESS, f"{host} leads to addresses that are not allowed", hint)
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._api.timeout):
                answer = await self._at_one_of(addresses, message)
                return replace(answer, seconds=time.monotonic() - began)
        except TimeoutError as error:
            raise TransportError(Failure.LOST, f"no whole answer within {self._api.timeout:g} s") from error
        except httpx.ConnectTimeout as error:
            raise TransportError(Failure.TIMEOUT, f"{host} did not answer the call") from error
        except httpx.ConnectError as error:
            raise _no_connection(error, host) from error
        except httpx.HTTPError as error:
            said = str(error) or type(error).__name__
            raise TransportError(Failure.LOST, f"the connection broke: {said}") from error
        except ssl.SSLError as error:
            raise TransportError(Failure.TLS, f"{host}: {error.args[-1]}") from error

    async def _at_one_of(self, addresses: Sequence[str], message: Message) -> Answer:
        """The next one where nobody listens: nothing was sent there. Whose certificate is wrong is not passed over."""
        *others, last = addresses
        for address in others:
            try:
                return await self._sent(message, address)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if _no_connection(error, "").failure is Failure.TLS:
                    raise
        return await self._sent(message, last)

    async def _sent(self, message: Message, address: str) -> Answer:
        """To this very address, by the name that the certificate must have."""
        url = httpx.URL(message.url)
        headers = {
            "host": urlsplit(message.url).netloc.rpartition("@")[2],
            "accept-encoding": "identity",
            "accept": "application/json",
            **message.headers,
        }
        client = self._client(url.host)
        call = client.build_request(
            message.method,
            url.copy_with(host=address, userinfo=b""),
            content=message.body or None,
            headers=[(name.encode("ascii"), _sayable(name, value)) for name, value in headers.items()],
            extensions={"sni_hostname": url.host},
        )
        self.count.sent += _size(call.headers) + len(message.method) + len(call.url.raw_path) + len(message.body)
        answer = await client.send(call, stream=True)
        self.count.received += _size(answer.headers)
        try:
            lower = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(answer.status_code, lower, await self._body(answer))
        finally:
            await answer.aclose()

    async def _body(self, answer: httpx.Response) -> bytes:
        if answer.headers.get("content-encoding", "identity").lower() != "identity":
            raise TransportError(Failure.ANSWER, "the answer is compressed, which nobody asked for")
        body = bytearray()
        async for piece in answer.aiter_raw(65536):
            body += piece
            self.count.received += len(piece)
            if len(body) > self._api.limit:
                raise TransportError(Failure.ANSWER, f"the answer is longer than {self._api.limit:,} bytes")
        return bytes(body)


def _size(headers: httpx.Headers) -> int:
    """As HTTP/1.1 writes them; HTTP/2 needs less."""
    return sum(len(name) + len(value) + 4 for name, value in headers.raw)


def _sayable(name: str, value: str) -> bytes:
    """Raises TransportError, which does not say the value: it may be a secret."""
    try:
        text = value.encode("latin-1")
    except UnicodeEncodeError:
        text = b"\n"
    if any((c < 32 and c != 9) or c == 127 for c in text):
        raise TransportError(Failure.REJECTED, f"the header `{name}` cannot hold its value", "no line breaks, Latin-1")
    return text


def joined(url: str, place: str) -> str:
    """A place that a server named. Raises TransportError for what is none."""
    try:
        found = urljoin(url, place)
        _ = urlsplit(found).port
    except ValueError as error:
        raise TransportError(Failure.ANSWER, "it names a place that is no URL") from error
    return found


def _no_connection(error: httpx.TransportError, host: str) -> TransportError:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            hint = "name the authority under `tls: ca:`, or mend the certificate"
            return TransportError(Failure.TLS, f"{host}: {cause.verify_message}", hint)
        if isinstance(cause, ssl.SSLError):
            return TransportError(Failure.TLS, f"{host}: {getattr(cause, 'reason', None) or cause.args[-1]}")
        cause = cause.__cause__ or cause.__context__
    hint = "is it running, and does it listen at that port? `url:` of the connection says where"
    return TransportError(Failure.REFUSED, f"{host}: {error}", hint)
