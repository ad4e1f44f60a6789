"""One API as a place to ask: a Request in, an Answer out, or a TransportError that says what is known.

Paced by the API's gate; repeated only where repeating is safe. What cannot be understood is an error, never an answer:
nothing follows from it about what exists.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from typing import Any, Protocol

from fleet.errors import Failure, TransportError
from fleet.model.api import Api
from fleet.model.step import Request
from fleet.pacing import headers as words
from fleet.pacing.backoff import Backoff
from fleet.transports.gate import Gate
from fleet.transports.http_auth import Login
from fleet.transports.http_wire import Answer, Message, Wire, joined

IDEMPOTENT = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS")  # RFC 9110, §9.2.2
# Answers that say that nothing was done and that later it may be.
LATER = (429, 503)
_NOT_SENT = (Failure.REFUSED, Failure.TIMEOUT, Failure.DNS)
_TORN = (Failure.LOST,)
# Seconds that a request waits for an API that fails: a restart is waited out, an outage is told at once.
PATIENCE = 10.0


class Noted(Protocol):
    def set(self, **attributes: Any) -> None: ...


Span = Callable[..., AbstractContextManager[Noted]]


class _Unnoted:
    def set(self, **attributes: Any) -> None:
        """Nobody traces."""


@contextmanager
def untraced(name: str, **attributes: Any) -> Iterator[Noted]:
    yield _Unnoted()


class ApiClient:
    """gate: the API's own, shared with whoever else asks it. login, wire: of this Api, whose texts are opened in them.
    span: one for each try."""

    def __init__(self, api: Api, gate: Gate, wire: Wire, login: Login, span: Span = untraced) -> None:
        self._api, self._gate, self._wire, self._login, self._span = api, gate, wire, login, span
        self._backoff = Backoff(base=0.5, cap=30.0)
        gate.join(api.environment, api.rate, api.burst, api.concurrency)

    async def aclose(self) -> None:
        try:
            with suppress(TransportError):
                await self._login.logout()
        finally:
            await self._wire.aclose()

    async def ask(self, request: Request) -> Answer:
        """An answer with a 2xx status or one that the request accepts. Raises TransportError; after LOST, ANSWER and
        SERVER nobody knows whether it was carried out, after any other failure it was not."""
        attempt, renewed = 0, False
        if (pause := self._gate.breaker.wait(self._gate.clock.now())) > PATIENCE:
            raise TransportError(Failure.REFUSED, f"it failed again and again, and is left alone for {pause:.0f} s")
        if request.key:
            request = replace(request, headers=(*request.headers, ("idempotency-key", secrets.token_hex(16))))
        self._gate.budget.first(self._gate.clock.now())
        while True:
            attempt += 1
            pause = self._backoff.delay(attempt, self._gate.chance())
            own: dict[str, str] = {}
            try:
                answer = await self._paced(request, attempt, own)
            except TransportError as error:
                if not self._again(attempt, error.failure in _NOT_SENT or (_safe(request) and error.failure in _TORN)):
                    raise
            else:
                if answer.status in LATER:
                    pause = max(pause, words.wait(answer.headers, self._gate.clock.wall()))
                if 200 <= answer.status < 300 or answer.status in request.accept:
                    return answer
                if answer.status == 401 and not renewed and self._login.refused(own):
                    renewed = True
                    continue  # a session that ran out is no refusal
                if not self._again(attempt, answer.status == 429 or (_safe(request) and answer.status >= 500)):
                    raise _refused(answer)
            await self.wait(pause)
            self._wire.count.retries += 1

    def below(self, place: str) -> str:
        """The path of a place that the API named, below its URL. Raises TransportError when it is elsewhere."""
        root = self._api.url + "/"
        url = joined(root, place)
        if not url.startswith(root):
            raise TransportError(Failure.ANSWER, "it names a place outside of its own URL")
        return url.removeprefix(self._api.url)

    async def wait(self, seconds: float) -> None:
        over = asyncio.Event()
        timer = self._gate.clock.later(seconds, over.set)
        try:
            await over.wait()
        finally:
            timer.cancel()

    def _again(self, attempt: int, harmless: bool) -> bool:
        return harmless and attempt < self._api.tries and self._gate.budget.again(self._gate.clock.now())

    async def _paced(self, request: Request, attempt: int, own: dict[str, str]) -> Answer:
        """One try, in its turn. What it shows of the API's health is remembered for everybody. own: gets the headers
        of the login."""
        with self._span("request", method=request.method, route=request.route, attempt=attempt) as span:
            async with self._gate.turn(self._api.environment) as waited:
                span.set(waited=waited)
                own |= await self._login.headers()
                try:
                    answer = await self._wire.send(self._message(request, own))
                except TransportError as error:
                    if error.failure in _NOT_SENT or error.failure in _TORN:
                        self._gate.failed()
                    raise
                span.set(status=answer.status)
                if answer.status >= 500:
                    self._gate.failed()
                else:
                    self._gate.breaker.succeeded()
                if (pause := words.wait(answer.headers, self._gate.clock.wall())) > 0:
                    self._gate.hold(pause)
                return answer

    def _message(self, request: Request, own: Mapping[str, str]) -> Message:
        headers = {**dict(self._api.headers), **own}
        if request.body:
            headers["content-type"] = "application/json"
        return Message(request.method, self._api.url + request.path, headers | dict(request.headers), request.body)


def _safe(request: Request) -> bool:
    """Whether doing it twice is as good as doing it once."""
    return request.method in IDEMPOTENT or request.key or request.repeatable


def _refused(answer: Answer) -> TransportError:
    status = answer.status
    if 300 <= status < 400:
        hint = "redirects are not followed unless `redirects:` names the host; put the right address into `url:`"
        return TransportError(Failure.ANSWER, f"status {status}: it sends us elsewhere", hint)
    if status in (401, 403):
        return TransportError(Failure.AUTH, f"status {status}: it does not let us", "check `auth:` of the connection")
    if status == 429:
        return TransportError(Failure.LIMITED, "status 429: too many requests", "lower `rate:` of the connection")
    if status >= 500:
        return TransportError(Failure.SERVER, f"status {status}: trouble of its own")
    said = answer.body[:200].decode(errors="backslashreplace").strip()
    return TransportError(Failure.REJECTED, f"status {status}" + (f": {said}" if said else ""))
