"""The other side of web/: asks a controller that runs on this machine, over its unix socket."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from fleet.errors import Failure, TransportError, UsageError

SECONDS = 15.0
SILENCE = 60.0  # of one who says every 15 seconds that it is still there


class ControllerClient:
    """Every method raises TransportError: nobody listens, or does not answer; UsageError: what is asked is refused."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def status(self) -> dict[str, Any]:
        """See controller/view.py: ControllerView."""
        return self._ask("GET", "/v1/status")

    def hosts(self) -> list[dict[str, Any]]:
        """See HostView. All of them, by label."""
        return self._pages("/v1/hosts")

    def drift(self) -> list[dict[str, Any]]:
        """Those that differ, each with its `changes`. See ChangeView."""
        return self._pages("/v1/drift")

    def metrics(self) -> str:
        with self._client() as client:
            answer = client.get("/metrics")
            if answer.is_error:
                _checked(answer)
            return answer.text

    def reconcile(self, hosts: Sequence[str]) -> int:
        """hosts: ENVIRONMENT/NAME. How many of them are known."""
        return int(self._ask("POST", "/v1/reconcile", {"hosts": list(hosts)})["hosts"])

    def order(self, scope: str, reason: str) -> dict[str, Any]:
        """scope "": everything."""
        if not scope:
            return self._ask("POST", "/v1/freeze", {"reason": reason})
        return self._ask("POST", "/v1/pause", {"scope": scope, "reason": reason})

    def lift(self, scope: str) -> bool:
        """scope "": of everything."""
        return self._there("POST", "/v1/resume", {"scope": scope}) if scope else self._there("DELETE", "/v1/freeze", {})

    def accept(self, commit: str) -> None:
        """Git is asked meanwhile, which may take its time."""
        with self._client(httpx.Timeout(SECONDS, read=120)) as client:
            _checked(client.post("/v1/accept", json={"commit": commit}))

    def approve(self, environment: str, revision: str) -> None:
        """revision: its whole id."""
        self._ask("POST", f"/v1/rollouts/{quote(environment, safe='')}/approve", {"revision": revision})

    def go_on(self, environment: str) -> bool:
        return self._there("POST", f"/v1/rollouts/{quote(environment, safe='')}/resume", {})

    def events(self, after: int = 0, follow: bool = True) -> Iterator[dict[str, Any]]:
        """From that number on; without follow, as far as there are any now."""
        patience = SILENCE if follow else 0.5
        with self._client(httpx.Timeout(SECONDS, read=patience)) as client:
            try:
                with client.stream("GET", "/v1/events", params={"after": after}) as answer:
                    if answer.is_error:
                        answer.read()
                        _checked(answer)
                    for line in answer.iter_lines():
                        if line.startswith("data: "):
                            yield json.loads(line.removeprefix("data: "))
            except httpx.ReadTimeout:
                if follow:
                    raise

    def _pages(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after = ""
        while True:
            page = self._ask("GET", path, query={"after": after})
            found += page["hosts"]
            after = page["after"]
            if not after:
                return found

    def _there(self, method: str, path: str, body: Mapping[str, Any]) -> bool:
        with self._client() as client:
            answer = client.request(method, path, json=body)
        if answer.status_code == 404:
            return False
        _checked(answer)
        return True

    def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        with self._client() as client:
            return _checked(client.request(method, path, json=body, params=query))

    @contextmanager
    def _client(self, timeout: httpx.Timeout | float = SECONDS) -> Iterator[httpx.Client]:
        transport = httpx.HTTPTransport(uds=str(self._path))
        try:
            with httpx.Client(transport=transport, base_url="http://fleet", timeout=timeout, trust_env=False) as client:
                yield client
        except httpx.ConnectError as error:
            if _refused_to_us(error):
                hint = "ask as the user that it runs as, or as root"
                raise TransportError(Failure.AUTH, f"{self._path} may not be opened by this user", hint) from error
            hint = "start it with `fleet serve`, or say with FLEET_SOCKET where it listens"
            raise TransportError(Failure.REFUSED, f"no controller listens at {self._path}", hint) from error
        except httpx.HTTPError as error:
            raise TransportError(Failure.LOST, f"the controller at {self._path} does not answer: {error}") from error


def _refused_to_us(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, PermissionError):
        error = error.__cause__ or error.__context__
    return error is not None


def _checked(answer: httpx.Response) -> dict[str, Any]:
    status = answer.status_code
    try:
        found = answer.json()
    except ValueError as error:
        raise TransportError(Failure.ANSWER, f"the controller said something else (status {status})") from error
    if not isinstance(found, dict):
        raise TransportError(Failure.ANSWER, f"the controller said something else (status {status})")
    said = str(found.get("error", status))
    if status in (401, 403):
        raise TransportError(Failure.AUTH, f"the controller says: {said}", "ask as the user that it runs as")
    if status >= 500:
        raise TransportError(Failure.SERVER, f"the controller says: {said}")
    if status >= 400:
        raise UsageError(said)
    return found
