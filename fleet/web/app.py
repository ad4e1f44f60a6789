"""The application: who may ask is decided before a route is reached, and what fails is told as JSON like the rest."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fleet.controller.view import Controller
from fleet.errors import FleetError, GitError, UsageError
from fleet.web.access import Admits
from fleet.web.guard import Guard, refusal
from fleet.web.limits import HEADERS, Limits
from fleet.web.routes import Hook, Routes
from fleet.web.stream import Streams


def application(
    controller: Controller, access: Admits, hook: Hook | None = None, streams: Streams | None = None
) -> Starlette:
    """hook: whether a message of a Git server is new; None: it is not signed as it should be. streams: readers of
    events, in `state.streams`, which whoever stops the server closes."""
    streams = streams or Streams(controller)
    routes = Routes(controller, streams, hook)
    app = Starlette(
        routes=[Route(path, one, methods=[method]) for (method, path), one in routes.table().items()],
        middleware=[Middleware(Guard, access=access, slow=Limits().slow)],
        exception_handlers={
            HTTPException: _absent,
            UsageError: _wrong,
            GitError: _wrong,
            FleetError: _failed,
            Exception: _broken,
        },
    )
    app.router.redirect_slashes = False
    app.state.streams = streams
    return app


async def _absent(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refusal(error.status_code, error.detail.lower(), error.headers)


async def _wrong(request: Request, error: Exception) -> Response:
    return refusal(400, str(error))


async def _failed(request: Request, error: Exception) -> Response:
    return refusal(500, str(error))


async def _broken(request: Request, error: Exception) -> Response:
    """Beyond the guard, so with its headers; what happened is logged and not told."""
    return refusal(500, "that did not work; see the log", {name.decode(): value.decode() for name, value in HEADERS})
