"""The routes. Each checks who asks before anything else; none waits for a host."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from fleet.controller.view import Controller, HostView
from fleet.errors import FleetError, GitError, UsageError
from fleet.web.access import ALLOWED, TABLE, Access, Asker
from fleet.web.limits import Bounded
from fleet.web.openapi import document

KEEP_ALIVE = 15.0
Hook = Callable[[Mapping[str, str], bytes], bool | None]
Answer = Callable[[Request, Asker], Awaitable[Response]]


def application(controller: Controller, access: Access, hook: Hook | None = None) -> Starlette:
    """hook: whether a message of a Git server is new; None: it is not signed as it should be."""
    api = _Api(controller, hook)
    answers: Mapping[tuple[str, str], Answer] = {
        ("GET", "/healthz"): api.alive,
        ("GET", "/readyz"): api.ready,
        ("GET", "/metrics"): api.metrics,
        ("GET", "/v1/status"): api.status,
        ("GET", "/v1/hosts"): api.hosts,
        ("GET", "/v1/hosts/{environment}/{name}"): api.host,
        ("GET", "/v1/events"): api.events,
        ("GET", "/v1/openapi.json"): api.openapi,
        ("POST", "/v1/reconcile"): api.reconcile,
        ("POST", "/v1/orders"): api.order,
        ("POST", "/v1/orders/lift"): api.lift,
        ("POST", "/v1/rollouts/{environment}/resume"): api.go_on,
        ("POST", "/v1/accept"): api.accept,
        ("POST", "/hooks/git"): api.look,
    }
    routes = [Route(path, _guarded(access, (method, path), one), methods=[method])
              for (method, path), one in answers.items()]  # fmt: skip
    return Starlette(routes=routes, middleware=[Middleware(Bounded)])


def _guarded(access: Access, key: tuple[str, str], answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    needed = TABLE.get(key, "nobody")

    async def guarded(request: Request) -> Response:
        asker = access.asker(request)
        if needed != "anybody" and (why := access.refused(request)):
            return _no(403, why)
        if needed not in ALLOWED[asker.role]:
            return _no(403 if asker.name else 401, "not allowed" if asker.name else "who asks?")
        if key[0] == "POST" and needed == "operate" and not _is_json(request):
            return _no(415, "expected application/json")
        try:
            return await answer(request, asker)
        except (UsageError, GitError) as error:
            return _no(400, str(error))
        except FleetError as error:
            return _no(500, str(error))

    return guarded


def _is_json(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


class _Api:
    def __init__(self, controller: Controller, hook: Hook | None) -> None:
        self._controller, self._hook = controller, hook

    async def alive(self, request: Request, asker: Asker) -> Response:
        return PlainTextResponse("alive\n")

    async def ready(self, request: Request, asker: Asker) -> Response:
        ready = self._controller.view().ready
        return PlainTextResponse("ready\n" if ready else "not ready\n", 200 if ready else 503)

    async def metrics(self, request: Request, asker: Asker) -> Response:
        return PlainTextResponse(self._controller.metrics(), media_type="text/plain; version=0.0.4")

    async def status(self, request: Request, asker: Asker) -> Response:
        return _json(self._controller.view())

    async def hosts(self, request: Request, asker: Asker) -> Response:
        """environment, host (a shell pattern), role, verdict: all that is given must hold. after, limit: by label."""
        asked = request.query_params
        found = sorted((one for one in self._controller.hosts() if _meant(one, asked)), key=_label)
        found = [one for one in found if _label(one) > asked.get("after", "")]
        limit = int(asked["limit"]) if asked.get("limit", "").isdecimal() else len(found)
        more = _label(found[limit - 1]) if 0 < limit < len(found) else ""
        return _json({"hosts": found[:limit], "after": more})

    async def host(self, request: Request, asker: Asker) -> Response:
        wanted = (request.path_params["environment"], request.path_params["name"])
        for one in self._controller.hosts():
            if (one.environment, one.name) == wanted:
                return _json(one)
        return _no(404, "there is no such host")

    async def events(self, request: Request, asker: Asker) -> Response:
        said = request.headers.get("last-event-id") or request.query_params.get("after", "")
        after = int(said) if said.isdecimal() else 0
        return StreamingResponse(_stream(self._controller, after), media_type="text/event-stream")

    async def openapi(self, request: Request, asker: Asker) -> Response:
        return JSONResponse(document())

    async def reconcile(self, request: Request, asker: Asker) -> Response:
        """hosts: [ENVIRONMENT/NAME, …], which must not be empty: nobody means all hosts by leaving something out."""
        asked = await _said(request)
        names = asked.get("hosts")
        if not isinstance(names, list) or not names or not all(isinstance(one, str) and "/" in one for one in names):
            raise UsageError("expected hosts: a list of ENVIRONMENT/NAME")
        keys = [(one.partition("/")[0], one.partition("/")[2]) for one in names]
        return _json({"hosts": self._controller.reconcile(keys, asker.name)}, 202)

    async def order(self, request: Request, asker: Asker) -> Response:
        """scope: "" freezes everything; ENVIRONMENT, ENVIRONMENT/HOST, role:NAME pause some of it. reason: why."""
        asked = await _said(request)
        return _json(await self._controller.order(_text(asked, "scope"), asker.name, _text(asked, "reason")))

    async def lift(self, request: Request, asker: Asker) -> Response:
        scope = _text(await _said(request), "scope")
        if not await self._controller.lift(scope, asker.name):
            return _no(404, "there is no such order")
        return _json({})

    async def go_on(self, request: Request, asker: Asker) -> Response:
        if not self._controller.go_on(request.path_params["environment"], asker.name):
            return _no(404, "no rollout of that environment has stopped")
        return _json({})

    async def accept(self, request: Request, asker: Asker) -> Response:
        """commit: its whole id, so that nobody accepts what they have not seen."""
        commit = _text(await _said(request), "commit")
        await self._controller.accept(commit, asker.name)
        return _json({"commit": commit})

    async def look(self, request: Request, asker: Asker) -> Response:
        body = await request.body()
        new = None if self._hook is None else self._hook(request.headers, body)
        if new is None:
            return _no(403, "not signed")
        if new:
            self._controller.look()
        return _json({}, 202)


def _meant(one: HostView, asked: Mapping[str, str]) -> bool:
    return (
        asked.get("environment", one.environment) == one.environment
        and asked.get("verdict", one.verdict) == one.verdict
        and ("role" not in asked or asked["role"] in one.roles)
        and ("host" not in asked or fnmatchcase(one.name, asked["host"]))
    )


def _label(one: HostView) -> str:
    return f"{one.environment}/{one.name}"


async def _said(request: Request) -> Mapping[str, Any]:
    try:
        found = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise UsageError("expected a JSON object") from error
    if not isinstance(found, dict):
        raise UsageError("expected a JSON object")
    return found


def _text(asked: Mapping[str, Any], name: str) -> str:
    value = asked.get(name)
    if not isinstance(value, str) or len(value) > 1000:
        raise UsageError(f"expected {name}: a text of at most 1,000 characters")
    return value


async def _stream(controller: Controller, after: int) -> AsyncIterator[str]:
    """https://html.spec.whatwg.org/multipage/server-sent-events.html; a comment now and then keeps the line open."""
    events = controller.events(after)
    coming = asyncio.ensure_future(anext(events))
    try:
        while True:
            done, _ = await asyncio.wait([coming], timeout=KEEP_ALIVE)
            if not done:
                yield ": still here\n\n"
                continue
            try:
                one = coming.result()
            except StopAsyncIteration:
                return
            yield f"id: {one.number}\nevent: {one.type}\ndata: {json.dumps(dataclasses.asdict(one), default=str)}\n\n"
            coming = asyncio.ensure_future(anext(events))
    finally:
        coming.cancel()
        with suppress(asyncio.CancelledError, StopAsyncIteration):
            await coming


def _json(value: Any, status: int = 200) -> Response:
    return JSONResponse(_plain(value), status)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one) for one in value]
    # Names and errors of hosts may hold what is no valid text.
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def _no(status: int, why: str) -> Response:
    return JSONResponse({"error": why}, status)
