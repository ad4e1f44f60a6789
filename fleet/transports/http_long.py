"""What takes more than one request: answers that come page by page, and jobs that go on after their answer."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlsplit

from fleet.errors import Failure, TransportError
from fleet.model import json_path
from fleet.model.api import Answered
from fleet.model.step import Job, Pages, Request
from fleet.transports.http_client import ApiClient
from fleet.transports.http_wire import Answer, joined

# What a kind may ask of the headers.
KEPT = ("etag", "link", "location", "retry-after")
MAX_PAGES = 10_000
_LINK = re.compile(r'<([^<>]*)>((?:\s*;\s*[\w*-]+(?:\s*=\s*(?:"[^"]*"|[^\s",;]+))?)*)')
_REL = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s",;]+))', re.IGNORECASE)


async def ask(client: ApiClient, request: Request) -> Answered:
    """All pages. Raises TransportError; what of a list is missing is never taken for absent."""
    path, said, seen = _first(request), None, set[str]()
    bodies: list[Any] = []
    while path:
        if path in seen:
            raise TransportError(Failure.ANSWER, "the pages of the answer go round")
        if len(seen) >= MAX_PAGES:
            raise TransportError(Failure.ANSWER, f"the answer goes on for more than {MAX_PAGES:,} pages")
        seen.add(path)
        more = replace(request, path=path, pages=None, job=None)
        answer = await client.ask(replace(more, accept=()) if len(seen) > 1 else more)
        said = answered(answer, request.raw)
        if request.pages and not said.body and said.status < 300:
            raise TransportError(Failure.ANSWER, f"page {len(seen)} of the answer is empty")
        bodies += said.body
        path = _next(request, path, said, len(seen)) if request.pages and said.status < 300 else ""
    assert said is not None
    return Answered(said.status, said.headers, bodies)


def answered(answer: Answer, raw: bool = False) -> Answered:
    """raw: as text, whatever it is. Raises TransportError when what should be JSON is not."""
    kept = {name: answer.headers[name] for name in KEPT if name in answer.headers}
    if raw:
        return Answered(answer.status, kept, [answer.body.decode(errors="replace")], seconds=answer.seconds)
    body = [answer.json()] if answer.body and answer.status < 300 else []
    return Answered(answer.status, kept, body)


async def finished(client: ApiClient, request: Request, found: Answered) -> Answered:
    """Once its job is done. Raises TransportError: SERVER when the job failed, LOST when it did not end in time."""
    job = request.job
    path = "" if job is None else _where(job, client, found)
    if job is None or not path:
        return found
    poll = Request("GET", path, api=request.api, route=f"{request.route} job")
    left = job.within
    while left > 0:
        await client.wait(max(job.every, 0.1))
        left -= max(job.every, 0.1)
        try:
            now = answered(await client.ask(poll))
        except TransportError as error:  # the job was begun, and nobody knows how it ends
            raise TransportError(Failure.LOST, f"its job cannot be asked about: {error.message}", error.hint) from error
        state = json_path.first(job.field, now.body[0]) if job.field and now.body else None
        if job.field and state in job.failed:
            raise TransportError(Failure.REJECTED, f"the job that it began ended as {state!r}")
        if state in job.done if job.field else now.status != 202:
            return found
    raise TransportError(Failure.LOST, f"the job that it began was not done within {job.within:g} s")


def _where(job: Job, client: ApiClient, found: Answered) -> str:
    """ "" when there is no job: it was done at once."""
    if job.at.startswith("/"):
        return job.at
    place: Any = found.headers.get("location", "") if job.at == "location" else ""
    if job.at != "location" and found.body:
        place = json_path.first(job.at, found.body[0])
    if found.status != 202 and job.at == "location":
        return ""
    return client.below(place) if isinstance(place, str) and place else ""


def _first(request: Request) -> str:
    pages = request.pages
    return _with(request.path, pages, str(pages.first)) if pages and pages.by == "number" else request.path


def _next(request: Request, path: str, said: Answered, count: int) -> str:
    pages, body = request.pages, said.body[0] if said.body else None
    assert pages is not None
    if pages.by == "link":
        return _linked(said.headers.get("link", ""), path)
    if pages.by == "cursor":
        cursor = json_path.first(pages.at, body)
        return _with(request.path, pages, str(cursor)) if cursor not in (json_path.MISSING, None, "", False) else ""
    return _with(request.path, pages, str(pages.first + count)) if json_path.find(pages.at, body) else ""


def _with(path: str, pages: Pages, value: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}{quote(pages.parameter)}={quote(value, safe='')}"


def _linked(header: str, path: str) -> str:
    """The page that rel="next" names, by its query: the place is ours to know (a proxy may name another host)."""
    for target, parameters in _LINK.findall(header):
        rel = _REL.search(parameters)
        if rel and "next" in (rel[1] or rel[2]).lower().split():
            query = urlsplit(joined(path, target)).query
            if not query:
                raise TransportError(Failure.ANSWER, "its next page is at a place without a query")
            return f"{path.partition('?')[0]}?{query}"
    return ""
