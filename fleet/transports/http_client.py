"""One API as a place to ask: a Request in, an Answer out, or a TransportError that says what is known.

Bounded in time and size whatever the server does; paced by the API's gate; repeated only where repeating is safe. What
cannot be understood is an error, never an answer: nothing follows from it about what exists.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from fleet.errors import Failure, TransportError
from fleet.model.step import Request
from fleet.pacing import headers as words
from fleet.pacing.backoff import Backoff
from fleet.transports.http_address import Resolve, allowed, resolve
from fleet.transports.http_gate import Gate

IDEMPOTENT = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS")  # RFC 9110, §9.2.2
# Answers that say that nothing was done and that later it may be.
LATER = (429, 503)


@dataclass(frozen=True, slots=True)
class Api:
    """How one API is reached. url: its root, http or https. timeout: seconds for one try, with its answer.

    tries: at most. networks: those that are allowed though they are loopback or link-local. limit: bytes of an answer.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: ssl.SSLContext | None = None
    networks: tuple[str, ...] = ()
    timeout: float = 30.0
    tries: int = 4
    limit: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said, whole. headers: names in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

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


class ApiClient:
    """gate: the API's own, shared with whoever else asks it. chance: for the jitter between tries."""

    def __init__(self, api: Api, gate: Gate, chance: Callable[[], float], resolver: Resolve = resolve) -> None:
        self._api, self._gate, self._chance, self._resolve = api, gate, chance, resolver
        parts = urlsplit(api.url)
        self._host, self._secure = parts.hostname or "", parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 80)
        self._authority = parts.netloc.rpartition("@")[2]
        self._root = parts.path.rstrip("/")
        limits = httpx.Limits(max_connections=None, keepalive_expiry=30.0)
        self._client = httpx.AsyncClient(
            verify=api.tls or True,
            http2=True,
            limits=limits,
            timeout=httpx.Timeout(None, connect=api.timeout),
            trust_env=False,
            follow_redirects=False,
        )
        self._backoff = Backoff(base=0.5, cap=30.0)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def ask(self, request: Request, environment: str) -> Answer:
        """An answer with a 2xx status or one that the request accepts. Raises TransportError; after LOST and SERVER
        nobody knows whether it was carried out, after any other failure it was not."""
        attempt = 0
        self._gate.budget.first(self._gate.clock.now())
        while True:
            attempt += 1
            pause = self._backoff.delay(attempt, self._chance())
            try:
                answer = await self._paced(request, environment)
            except TransportError as error:
                if not self._again(attempt, error.failure in _NOT_SENT or (_safe(request) and error.failure in _TORN)):
                    raise
            else:
                if answer.status in LATER:
                    pause = max(pause, words.wait(answer.headers, self._gate.clock.wall()))
                if 200 <= answer.status < 300 or answer.status in request.accept:
                    return answer
                if not self._again(attempt, answer.status == 429 or (_safe(request) and answer.status >= 500)):
                    raise _refused(answer)
            await self._wait(pause)

    def _again(self, attempt: int, harmless: bool) -> bool:
        return harmless and attempt < self._api.tries and self._gate.budget.again(self._gate.clock.now())

    async def _wait(self, seconds: float) -> None:
        over = asyncio.Event()
        timer = self._gate.clock.later(seconds, over.set)
        try:
            await over.wait()
        finally:
            timer.cancel()

    async def _paced(self, request: Request, environment: str) -> Answer:
        """One try, in its turn. What it shows of the API's health is remembered for everybody."""
        async with self._gate.turn(environment):
            now = self._gate.clock.now
            try:
                answer = await self._once(request)
            except TransportError as error:
                if error.failure in _NOT_SENT or error.failure in _TORN:
                    self._gate.breaker.failed(now(), self._chance())
                raise
            if answer.status >= 500:
                self._gate.breaker.failed(now(), self._chance())
            else:
                self._gate.breaker.succeeded()
            if (pause := words.wait(answer.headers, self._gate.clock.wall())) > 0:
                self._gate.hold(pause)
            return answer

    async def _once(self, request: Request) -> Answer:
        addresses = allowed(await self._resolve(self._host, self._port), self._api.networks)
        if not addresses:
            hint = "if that is meant, list its network under `networks:` of the connection"
            raise TransportError(Failure.ADDRESS, f"{self._host} leads to addresses that are not allowed", hint)
        try:
            async with asyncio.timeout(self._api.timeout):
                return await self._sent(request, addresses[0])
        except TimeoutError as error:
            raise TransportError(Failure.LOST, f"no whole answer within {self._api.timeout:g} s") from error
        except httpx.ConnectTimeout as error:
            raise TransportError(Failure.TIMEOUT, f"{self._host} did not answer the call") from error
        except httpx.ConnectError as error:
            raise _no_connection(error, self._host) from error
        except httpx.HTTPError as error:
            said = str(error) or type(error).__name__
            raise TransportError(Failure.LOST, f"the connection broke: {said}") from error

    async def _sent(self, request: Request, address: str) -> Answer:
        """To this very address, by the name that the certificate must have."""
        where = f"[{address}]" if ":" in address else address
        scheme = "https" if self._secure else "http"
        url = f"{scheme}://{where}:{self._port}{self._root}{request.path}"
        asked = {
            "host": self._authority,
            "accept-encoding": "identity",
            "accept": "application/json",
            **self._api.headers,
        }
        if request.body:
            asked["content-type"] = "application/json"
        if request.key:
            asked["idempotency-key"] = request.key
        asked |= request.headers
        content, name = request.body or None, {"sni_hostname": self._host}
        call = self._client.build_request(request.method, url, content=content, headers=asked, extensions=name)
        answer = await self._client.send(call, stream=True)
        try:
            return Answer(answer.status_code, _lower(answer.headers), await self._body(answer))
        finally:
            await answer.aclose()

    async def _body(self, answer: httpx.Response) -> bytes:
        if answer.headers.get("content-encoding", "identity").lower() != "identity":
            raise TransportError(Failure.ANSWER, "the answer is compressed, which nobody asked for")
        body = bytearray()
        async for piece in answer.aiter_raw(65536):
            body += piece
            if len(body) > self._api.limit:
                raise TransportError(Failure.ANSWER, f"the answer is longer than {self._api.limit:,} bytes")
        return bytes(body)


_NOT_SENT = (Failure.REFUSED, Failure.TIMEOUT, Failure.DNS)
_TORN = (Failure.LOST,)


def _safe(request: Request) -> bool:
    """Whether doing it twice is as good as doing it once."""
    return request.method in IDEMPOTENT or bool(request.key)


def _lower(found: httpx.Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in found.items()}


def _refused(answer: Answer) -> TransportError:
    status = answer.status
    if 300 <= status < 400:
        hint = "redirects are not followed; put the right address into `url:`"
        return TransportError(Failure.ANSWER, f"status {status}: it sends us elsewhere", hint)
    if status in (401, 403):
        return TransportError(Failure.AUTH, f"status {status}: it does not let us", "check `auth:` of the connection")
    if status == 429:
        return TransportError(Failure.LIMITED, "status 429: too many requests", "lower `rate:` of the connection")
    if status >= 500:
        return TransportError(Failure.SERVER, f"status {status}: trouble of its own")
    said = answer.body[:200].decode(errors="backslashreplace").strip()
    return TransportError(Failure.REJECTED, f"status {status}" + (f": {said}" if said else ""))


def _no_connection(error: httpx.ConnectError, host: str) -> TransportError:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            hint = "name the authority under `tls: ca:`, or mend the certificate"
            return TransportError(Failure.TLS, f"{host}: {cause.verify_message}", hint)
        if isinstance(cause, ssl.SSLError):
            return TransportError(Failure.TLS, f"{host}: {cause.reason or cause}")
        cause = cause.__cause__ or cause.__context__
    return TransportError(Failure.REFUSED, f"{host}: {error}")
