"""The answers, one method each, told as text for OpenAPI. Views and checks of words only; none waits for a host."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from fleet.controller.view import Controller
from fleet.web.guard import asker_of, refusal
from fleet.web.openapi import DRIFT, QUEUE, document
from fleet.web.plain import Json
from fleet.web.said import MOST, body, meant, number, page, text, to_reconcile
from fleet.web.stream import Streams

Hook = Callable[[Mapping[str, str], bytes], bool | None]
Answer = Callable[[Request], Awaitable[Response]]
_PLAIN = "text/plain; version=0.0.4; charset=utf-8"
_OPEN = "application/openmetrics-text"


class Routes:
    """hook: whether a message of a Git server is new; None: it is not signed as it should be."""

    def __init__(self, controller: Controller, streams: Streams, hook: Hook | None) -> None:
        self._controller, self._streams, self._hook = controller, streams, hook

    def table(self) -> Mapping[tuple[str, str], Answer]:
        """(method, path) → answer; who may have it stands in access.py."""
        return {
            ("GET", "/healthz"): self.alive,
            ("GET", "/readyz"): self.ready,
            ("GET", "/metrics"): self.metrics,
            ("GET", "/v1/status"): self.status,
            ("GET", "/v1/environments"): self.environments,
            ("GET", "/v1/environments/{environment}"): self.environment,
            ("GET", "/v1/hosts"): self.hosts,
            ("GET", "/v1/hosts/{environment}/{name}"): self.host,
            ("GET", "/v1/drift"): self.drift,
            ("GET", "/v1/queue"): self.queue,
            ("GET", "/v1/events"): self.events,
            ("GET", "/v1/openapi.json"): self.openapi,
            ("POST", "/v1/reconcile"): self.reconcile,
            ("POST", "/v1/freeze"): self.freeze,
            ("DELETE", "/v1/freeze"): self.unfreeze,
            ("POST", "/v1/pause"): self.pause,
            ("POST", "/v1/resume"): self.resume,
            ("POST", "/v1/rollouts/{environment}/resume"): self.go_on,
            ("POST", "/v1/rollouts/{environment}/approve"): self.approve,
            ("POST", "/v1/accept"): self.accept,
            ("POST", "/hooks/git"): self.look,
        }

    async def alive(self, request: Request) -> Response:
        """The process answers."""
        return PlainTextResponse("alive\n")

    async def ready(self, request: Request) -> Response:
        """200 once the first compile is done, else 503."""
        ready = self._controller.view().ready
        return PlainTextResponse("ready\n" if ready else "not ready\n", 200 if ready else 503)

    async def metrics(self, request: Request) -> Response:
        """For Prometheus; with the traces of passes for those who accept OpenMetrics."""
        if _OPEN in request.headers.get("accept", ""):
            return Response(self._controller.metrics(True), media_type=f"{_OPEN}; version=1.0.0; charset=utf-8")
        return Response(self._controller.metrics(), media_type=_PLAIN)

    async def status(self, request: Request) -> Response:
        """The controller and its environments."""
        return Json(self._controller.view())

    async def environments(self, request: Request) -> Response:
        """Every environment."""
        return Json({"environments": self._controller.view().environments})

    async def environment(self, request: Request) -> Response:
        """One environment."""
        wanted = request.path_params["environment"]
        found = [one for one in self._controller.view().environments if one.name == wanted]
        return Json(found[0]) if found else refusal(404, "there is no such environment")

    async def hosts(self, request: Request) -> Response:
        """Hosts by label; `after` in the answer, given back as `after`, is the next page."""
        found, after = page(meant(self._controller.hosts(), request.query_params), request.query_params)
        return Json({"hosts": found, "after": after})

    async def host(self, request: Request) -> Response:
        """One host."""
        wanted = (request.path_params["environment"], request.path_params["name"])
        found = [one for one in self._controller.hosts() if (one.environment, one.name) == wanted]
        return Json(found[0]) if found else refusal(404, "there is no such host")

    async def drift(self, request: Request) -> Response:
        """Hosts that somebody else changed, or that are not yet as they should be, with diffs, and with what was run
        there by hand since they were last in sync; filters and pages as of hosts."""
        drifted = [one for one in meant(self._controller.hosts(), request.query_params) if one.drift or one.fought]
        found, after = page(drifted, request.query_params)
        execs = await self._controller.execs() if found else {}
        said = [
            {
                **{key: getattr(one, key) for key in DRIFT},
                "changes": self._controller.changes(one.environment, one.name),
                "execs": execs.get((one.environment, one.name), ()),
            }
            for one in found
        ]
        return Json({"hosts": said, "after": after})

    async def queue(self, request: Request) -> Response:
        """Hosts that are being looked at or changed, then those that are due, the latest first."""
        view = self._controller.view()
        due = [one for one in self._controller.hosts() if one.running or one.next < 0]
        said = sorted(due, key=lambda one: (not one.running, one.next, one.environment, one.name))
        hosts = [{key: getattr(one, key) for key in QUEUE} for one in said[:MOST]]
        return Json({"queue": view.queue, "running": view.running, "hosts": hosts})

    async def events(self, request: Request) -> Response:
        """Server-sent events, from after the number in Last-Event-ID or `after`, as far as they are kept."""
        said = request.headers.get("last-event-id") or request.query_params.get("after", "")
        return self._streams.answer(number(said, "after"))

    async def openapi(self, request: Request) -> Response:
        """This."""
        return Json(document({key: answer.__doc__ or "" for key, answer in self.table().items()}))

    async def reconcile(self, request: Request) -> Response:
        """Look at these hosts as soon as may be: one of hosts (ENVIRONMENT/NAME), environment, role, all: true."""
        asked = await body(request, "hosts", "environment", "role", "all")
        keys = to_reconcile(asked, self._controller.hosts())
        return Json({"hosts": self._controller.reconcile(keys, asker_of(request.scope).name)}, 202)

    async def freeze(self, request: Request) -> Response:
        """Nothing is changed anywhere until this is taken back."""
        return await self._ordered(request, "", text(await body(request, "reason"), "reason", empty=True))

    async def unfreeze(self, request: Request) -> Response:
        """Take the freeze back."""
        return await self._lifted(request, "")

    async def pause(self, request: Request) -> Response:
        """Nothing is changed there until this is taken back: ENVIRONMENT, ENVIRONMENT/HOST or role:NAME."""
        asked = await body(request, "scope", "reason")
        return await self._ordered(request, text(asked, "scope"), text(asked, "reason", empty=True))

    async def resume(self, request: Request) -> Response:
        """Take a pause back."""
        return await self._lifted(request, text(await body(request, "scope"), "scope"))

    async def go_on(self, request: Request) -> Response:
        """A rollout that stopped goes on."""
        done = await self._controller.go_on(request.path_params["environment"], asker_of(request.scope).name)
        return Json({}) if done else refusal(404, "no rollout of that environment has stopped")

    async def approve(self, request: Request) -> Response:
        """The rollout that waits for it may begin: the whole id of its revision, so that nobody approves unseen."""
        revision, environment = text(await body(request, "revision"), "revision"), request.path_params["environment"]
        done = await self._controller.approve(environment, revision, asker_of(request.scope).name)
        return (
            Json({"revision": revision}) if done else refusal(404, "no rollout of that environment waits for approval")
        )

    async def accept(self, request: Request) -> Response:
        """Go on from this commit, though the history was rewritten: its whole id, so that nobody accepts unseen."""
        commit = text(await body(request, "commit"), "commit")
        await self._controller.accept(commit, asker_of(request.scope).name)
        return Json({"commit": commit})

    async def look(self, request: Request) -> Response:
        """A Git server says that somebody pushed. Signed; may say "look now" and nothing else."""
        new = None if self._hook is None else self._hook(request.headers, await request.body())
        if new is None:
            return refusal(403, "not allowed")
        if new:
            self._controller.look()
        return Json({}, 202)

    async def _ordered(self, request: Request, scope: str, reason: str) -> Response:
        return Json(await self._controller.order(scope, asker_of(request.scope).name, reason))

    async def _lifted(self, request: Request, scope: str) -> Response:
        done = await self._controller.lift(scope, asker_of(request.scope).name)
        return Json({}) if done else refusal(404, "there is no such order")
