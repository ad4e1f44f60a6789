"""Reading objects of an API: resources in, one request for each place they stand at; answers in, what is there out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fleet.kinds import _http_state
from fleet.kinds._http_spec import PLACE
from fleet.model import json_path
from fleet.model.api import Answered
from fleet.model.change import Observed, Unreadable, Waiting
from fleet.model.host import Resource
from fleet.model.kind import Probe
from fleet.model.step import Outcome, Request, Script, Status

# Of an observed state: what is needed to write, and is nothing to compare.
SEEN = "@"


def observe(resources: Sequence[Resource]) -> Probe:
    asks = {one.id: (request(one), *_pending(one)) for one in resources}
    requests = list(dict.fromkeys(asked for several in asks.values() for asked in several))
    numbers = {one: number for number, one in enumerate(requests)}

    def read(outcome: Outcome) -> Mapping[str, Observed]:
        said = answers(outcome)
        lists: dict[tuple[int, str], _Items | Unreadable] = {}
        found: dict[str, Observed] = {}
        for one in resources:
            first, *later = asks[one.id]
            number = numbers[first]
            found[one.id] = _observed(one, said[number], lists, number)
            for asked in later:
                found[one.id] = _awaited(one, found[one.id], said[numbers[asked]])
        return found

    return Probe(Script(""), read, tuple(requests))


def answers(outcome: Outcome) -> Sequence[Answered]:
    """One for each request, in order. Raises ValueError with the reason when nobody was asked."""
    if outcome.status is not Status.OK:
        raise ValueError(outcome.output.decode(errors="backslashreplace") or str(outcome.status))
    return outcome.answers


def request(resource: Resource) -> Request:
    read = resource.spec.read
    pages = read.pages.pages(read.items or "$") if read.pages is not None else None
    return Request("GET", read.path, route=route(read.path), accept=read.missing, api=resource.spec.api, pages=pages)


def _pending(resource: Resource) -> Sequence[Request]:
    read = resource.spec.read
    if read.pending is None:
        return ()
    path = read.pending.path
    return (Request("GET", path, route=route(path), accept=read.missing, api=resource.spec.api),)


def _awaited(resource: Resource, seen: Observed, answer: Answered) -> Observed:
    """Waiting, when all that differs is as it should be where it stands for later."""
    if not isinstance(seen, Mapping) or resource.desired is None or answer.error or not answer.body:
        return seen
    spec = resource.spec
    where = spec.read.pending.object
    later = answer.body[0] if where is None else json_path.first(where, answer.body[0])
    differs = {name: value for name, value in resource.desired.items() if seen.get(name) != value}
    if not differs or _http_state.observed(differs, later, spec.compared()) != differs:
        return seen
    return Waiting("as declared after a reboot: " + ", ".join(differs))


def route(path: str) -> str:
    """For traces: the path's first words, without what may say too much."""
    return "/".join(path.partition("?")[0].split("/")[:3])


def again(resource: Resource, answer: Answered) -> Observed:
    """The same for one object and its own answer."""
    return _observed(resource, answer, {}, 0)


class _Items:
    """A list, found once by the fields that its objects are told apart by."""

    def __init__(self, items: Sequence[Any]) -> None:
        self._items = items
        self._tables: dict[tuple[str, ...], dict[tuple[str, ...], list[Any]]] = {}

    def of(self, match: Mapping[str, Any]) -> list[Any]:
        plain = {name: value for name, value in match.items() if not isinstance(value, list)}
        names = tuple(sorted(plain))
        if names not in self._tables:
            table = self._tables[names] = {}
            for one in self._items:
                table.setdefault(_key([json_path.field(name, one) for name in names]), []).append(one)
        found = self._tables[names].get(_key([plain[name] for name in names]), [])
        return [one for one in found if _http_state.matches(match, one)]


def _key(values: Sequence[Any]) -> tuple[str, ...]:
    """To be looked up by: what `==` takes for equal has one key, and `matches` decides. Texts, the usual, stay."""
    return tuple(one if type(one) is str else _word(one) for one in values)


def _word(value: Any) -> str:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return json.dumps(int(value) if whole else value, sort_keys=True, default=repr)


def _observed(
    resource: Resource, answer: Answered, lists: dict[tuple[int, str], _Items | Unreadable], number: int
) -> Observed:
    spec, read = resource.spec, resource.spec.read
    if answer.error:
        return Unreadable(answer.error)
    if answer.status in read.missing:
        return None
    if read.items is not None:
        key = (number, read.items)
        if key not in lists:
            lists[key] = _items(read.items, answer)
        items = lists[key]
        if isinstance(items, Unreadable):
            return items
        found = items.of(read.match)
        if len(found) > 1:
            return Unreadable(f"{len(found)} objects match; `match` should tell one from all others")
        if not found:
            return None
        seen = found[0]
    else:
        body = answer.body[0] if answer.body else None
        seen = body if read.object is None else json_path.first(read.object, body)
        if not isinstance(seen, dict) or not _http_state.matches(read.match, seen):
            return Unreadable("the answer is not the object that was asked for")
    fields = spec.fields() if resource.desired is None else resource.desired
    return {**_http_state.observed(fields, seen, spec.compared()), SEEN: _kept(spec, seen, answer)}


def _items(where: str, answer: Answered) -> _Items | Unreadable:
    """Of all pages. An answer without a list is no empty list: perhaps it is an error with a status of 200."""
    found: list[Any] = []
    for body in answer.body:
        lists = json_path.find(where, body)
        if not lists or not all(isinstance(one, list) for one in lists):
            return Unreadable(f"the answer has no list at {where}")
        found += [item for one in lists for item in one]
    return _Items(found) if answer.body else Unreadable("the answer is empty")


def _kept(spec: Any, seen: Any, answer: Answered) -> dict[str, Any]:
    """What the calls will need of it."""
    calls = spec.calls()
    if any("*" in call.keep for call in calls):
        fields = dict(seen)
    else:
        names = {n for call in calls for n in (*call.keep, *(PLACE.findall(call.path) if "{" in call.path else ()))}
        values = {name: json_path.field(name, seen) for name in sorted(names)} if names else {}
        fields = {name: value for name, value in values.items() if value is not json_path.MISSING}
    etag = answer.headers.get("etag", "") if spec.read.items is None else ""
    if etag.startswith("W/"):  # RFC 9110, §13.1.1: If-Match compares strongly, so that this one never would match
        etag = ""
    return {"etag": etag, "fields": fields}
