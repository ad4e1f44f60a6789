"""What stands before every route: whose page asks, who asks, what is needed for it, how much is read. In that order, so
that nothing is read from whom nothing is done for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, MutableMapping
from email.utils import formatdate
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from fleet.web.access import ALLOWED, TABLE, Admits, Asker, Permission
from fleet.web.limits import BODY, HEADERS, STRAY, TooLargeError, again, body_of
from fleet.web.plain import Json

_PATHS = tuple((method, compile_path(path)[0], needed) for (method, path), needed in TABLE.items())


def needed_for(method: str, path: str) -> Permission:
    """Of what is in no table, even whether it is there is told only to those who may read."""
    asked = "GET" if method == "HEAD" else method
    return next((needed for m, pattern, needed in _PATHS if m == asked and pattern.match(path)), "read")


class Guard:
    """slow: seconds that a body may take."""

    def __init__(self, app: ASGIApp, access: Admits, slow: float) -> None:
        self._app, self._access, self._slow = app, access, slow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        send, headers = _with_headers(send), Headers(scope=scope)
        needed = needed_for(scope["method"], scope["path"])
        no = self._refusal(scope, headers, needed)
        most = BODY if needed in ("hook", "operate") and no is None else STRAY
        late: Response | None = None
        try:
            async with asyncio.timeout(self._slow):
                # Of what is refused as well, as far as it is small: who is still sending does not hear the answer.
                body = await body_of(receive, headers.get("content-length"), most)
        except TooLargeError:
            late = refusal(413, "that is too much at once")
        except TimeoutError:
            late = refusal(408, "it took too long to come")
        except EOFError:
            return
        if late is not None:
            # What is still to come is not read, and so cannot be told from a next request.
            no = no or late
            no.headers["connection"] = "close"
        await (no or self._app)(scope, receive if no else again(body, receive), send)

    def _refusal(self, scope: Scope, headers: Mapping[str, str], needed: Permission) -> Response | None:
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        peer = state.get("peer")
        if why := self._access.refused(peer, headers):
            return refusal(403, why)
        asker = self._access.asker(peer, headers.get("authorization", ""))
        if needed not in ALLOWED[asker.role]:
            if peer is None and not asker.name:
                return refusal(401, "who asks?", {"www-authenticate": "Bearer"})
            return refusal(403, "not allowed")
        if needed == "operate" and scope["method"] == "POST" and not _is_json(headers):
            return refusal(415, "expected application/json")
        state["asker"] = asker
        return None


def asker_of(scope: Scope) -> Asker:
    found = scope["state"]["asker"]
    assert isinstance(found, Asker)
    return found


def refusal(status: int, why: str, headers: Mapping[str, str] | None = None) -> Response:
    return Json({"error": why}, status, headers)


def _is_json(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


def _with_headers(send: Send) -> Send:
    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            own = list(message.get("headers", []))
            said = {name for name, _ in own}
            date = (b"date", formatdate(usegmt=True).encode())
            message = {**message, "headers": [*own, *(one for one in (*HEADERS, date) if one[0] not in said)]}
        await send(message)

    return sending
