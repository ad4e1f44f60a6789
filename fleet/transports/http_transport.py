"""HTTP: Target in, Session out. One client for each Api, one gate for each server that they lead to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from fleet.model.api import Api, Auth, Tls
from fleet.model.host import Target
from fleet.model.port import Session
from fleet.model.secret import Secret, SecretSource
from fleet.model.traffic import Traffic
from fleet.transports.bastions import STALE
from fleet.transports.gate import Gate, real_clock
from fleet.transports.http import HttpSession
from fleet.transports.http_address import Resolve, resolve
from fleet.transports.http_auth import login
from fleet.transports.http_client import ApiClient, Span
from fleet.transports.http_tls import context
from fleet.transports.http_wire import Wire
from fleet.transports.meter import Meter
from fleet.transports.opening import opener_of

# (environment, where secrets are) → the secrets, by token.
Values = Callable[[str, Sequence[SecretSource]], Awaitable[Mapping[str, Secret]]]


class HttpTransport:
    """chance: a number in [0, 1) for jitter. values: decrypts. span: times a try."""

    def __init__(self, chance: Callable[[], float], values: Values, span: Span, resolver: Resolve = resolve) -> None:
        self._chance, self._values, self._span, self._resolver = chance, values, span, resolver
        self._gates: dict[tuple[str, str], Gate] = {}
        self._meter = Meter()
        self._clients: dict[Api, asyncio.Task[ApiClient]] = {}

    async def connect(self, target: Target) -> Session:
        """To the host itself, where it is an API, and to those that it names. Nothing is sent yet. Raises
        TransportError, SecretError."""
        apis = (*((target.api,) if target.api is not None else ()), *target.apis)
        return HttpSession({one.name: await self._client(one) for one in apis})

    async def aclose(self) -> None:
        clients, self._clients = list(self._clients.values()), {}
        for one in await asyncio.gather(*clients, return_exceptions=True):
            if isinstance(one, ApiClient):
                await one.aclose()

    @property
    def traffic(self) -> Mapping[str, Traffic]:
        return self._meter.traffic

    @property
    def breakers(self) -> Mapping[str, str]:
        """By scheme and authority, shared by all environments that ask there."""
        wanted = {name: gate for name, gate in self._gates.items() if gate.clock.now() - gate.asked <= STALE}
        states = {name: gate.breaker.state(gate.clock.now()) for name, gate in wanted.items()}
        return {f"{scheme}://{place}": state for (scheme, place), state in states.items() if state != "closed"}

    async def _client(self, api: Api) -> ApiClient:
        task = self._clients.get(api)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._clients[api] = asyncio.create_task(self._made(api))
        return await asyncio.shield(task)

    async def _made(self, api: Api) -> ApiClient:
        api = opened(api, opener_of(await self._values(api.environment, api.secrets)))
        parts = urlsplit(api.url)
        gate = self._gates.setdefault((parts.scheme, parts.netloc), Gate(real_clock(), self._chance))
        wire = Wire(api, context(api.tls), self._resolver, self._meter.of(api.environment))
        own = login(api.auth, api.url, wire, gate.clock.now)
        return ApiClient(api, gate, wire, own, self._span)


def opened(api: Api, text: Callable[[str], str]) -> Api:
    """The same with every secret in its place: for a client's own eyes."""
    tls = api.tls
    return replace(
        api,
        headers=tuple((name, text(value)) for name, value in api.headers),
        auth=Auth(api.auth.type, tuple((name, text(value)) for name, value in api.auth.values)),
        tls=Tls(text(tls.ca), text(tls.certificate), text(tls.key), tls.pins),
        secrets=(),
    )
