"""Writing objects of an API: one Change in, the requests that make it out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

from fleet.kinds import _http_read, _http_state
from fleet.kinds._http_read import SEEN
from fleet.kinds._http_spec import PLACE, CallSpec
from fleet.model import json_path, sealed
from fleet.model.api import Answered
from fleet.model.change import Change, Unreadable, Waiting
from fleet.model.host import Resource
from fleet.model.step import Check, Request, Step
from fleet.model.value import State

TYPES = {"merge-patch": "application/merge-patch+json", "json-patch": "application/json-patch+json",
         "text": "text/plain; charset=utf-8"}  # fmt: skip
GONE = (404, 410)
_HALVES = re.compile("[\ud800-\udfff]")


def steps(change: Change) -> tuple[Step, ...]:
    """Compare and swap comes first: If-Match where the API gave an ETag, else the object is read once more."""
    resource, before = change.resource, change.before
    spec = resource.spec
    check = Check(_http_read.request(resource), partial(_agrees, resource, before), done=partial(_done, resource))
    if before is None:
        if spec.made_by is None:
            return (_refusal(check, "it is not there, and nothing says how it is made: `create` or `write`"),)
        return (check, _request(spec.made_by, change))
    calls: Sequence[CallSpec]
    if change.after is None:
        calls = (spec.delete,)
    elif spec.update == "recreate":
        calls = (spec.delete, spec.made_by)
    else:
        calls = [one for one in spec.updates() if _meant(one, change.attributes)]
        unsaid = [name for name in change.attributes if not any(_meant(one, (name,)) for one in calls)]
        if unsaid:
            return (_refusal(check, f"nothing says how {', '.join(unsaid)} can be changed: `update`"),)
    for call in calls:
        if (lacks := _lacks(call, before[SEEN]["fields"])) is not None:
            return (_refusal(check, f"the object as it was read has no {{{lacks}}} for {call.path}: nothing was sent"),)
    # After the first of them the object is another, as its server sees it.
    found = tuple(_request(call, change, matched=not number) for number, call in enumerate(calls))
    return found if before[SEEN]["etag"] else (check, *found)


def _refusal(check: Check, why: str) -> Step:
    return Check(check.request, lambda answer: why)


def _meant(call: CallSpec, attributes: Sequence[str]) -> bool:
    if not call.only_for:
        return True
    return any(name == one or name.startswith(one + ".") for name in attributes for one in call.only_for)


def _agrees(resource: Resource, before: State | None, answer: Answered) -> str:
    now = _http_read.again(resource, answer)
    if isinstance(now, Unreadable | Waiting):
        return f"it cannot be read again: {now.reason}"
    if now is None or before is None:
        gone = "it is not there any more" if now is None else "it is there now, and was not"
        return "" if now is before else gone
    for name in resource.spec.fields():
        secret = sealed.holds((resource.desired or {}).get(name)) or sealed.holds(before.get(name))
        if not secret and now.get(name) != before.get(name):  # a secret is not here to be compared
            return f"{name} is no longer as it was seen"
    return ""


def _done(resource: Resource, answer: Answered) -> bool:
    """Whether the object is as it should be, as far as that can be seen from here."""
    now = _http_read.again(resource, answer)
    if not isinstance(now, Mapping):
        return now is None and resource.desired is None
    hidden = [name for name in resource.spec.write_only if name in (resource.desired or {})]
    open_ = {n: v for n, v in (resource.desired or {}).items() if n not in hidden and not sealed.holds(v)}
    return resource.desired is not None and all(now.get(name) == value for name, value in open_.items())


def _lacks(call: CallSpec, fields: Mapping[str, Any]) -> str | None:
    """A field that the path names and the object does not have, or not as one word of a path: `DELETE /things/` may
    well mean all of them."""
    for name in PLACE.findall(call.path):
        word = _word(fields, name)
        if word in ("", ".", "..") or _HALVES.search(word):
            return str(name)
    return None


def _request(call: CallSpec, change: Change, matched: bool = True) -> Request:
    """matched: only while the object is as it was read, where the API gave an ETag."""
    before = change.before or {}
    seen: Mapping[str, Any] = before.get(SEEN, {"etag": "", "fields": {}})
    headers = {"if-match": seen["etag"]} if matched and seen["etag"] and call.method != "POST" else {}
    if call.format in TYPES:
        headers["content-type"] = TYPES[call.format]
    path = PLACE.sub(lambda place: quote(_word(seen["fields"], place[1]), safe=""), call.path)
    return Request(
        call.method,
        path,
        _body(call, change, seen["fields"]),
        tuple(headers.items()),
        _http_read.route(call.path),
        (*call.accept, *(GONE if call.method == "DELETE" else ())),
        call.key,
        call.repeatable,
        change.resource.spec.api,
        job=call.job.job() if call.job is not None else None,
    )


def _word(fields: Mapping[str, Any], name: str) -> str:
    """ "" for what is nothing to stand in a path."""
    value = fields.get(name, json_path.field(name, fields))
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, int | float) else ""


def _body(call: CallSpec, change: Change, seen: Mapping[str, Any]) -> bytes:
    spec = change.resource.spec
    ours: Any = call.body
    if call.format == "text":
        return str(ours if ours is not None else "").encode()
    if ours is None:
        if call.method == "DELETE":
            return b""
        ours = dict(spec.body)
        if call.format == "merge-patch":
            ours = {}
            for name in change.attributes:
                ours = json_path.with_field(_keys(name, change), (change.after or {})[name], ours)
    if call.format == "json-patch" and call.body is None:
        ours = [_operation(name, change) for name in change.attributes]
    if call.keep and isinstance(ours, dict):
        kept = dict(seen) if "*" in call.keep else _http_state.nested({n: seen[n] for n in call.keep if n in seen})
        ours = _http_state.merged(kept, ours)
    text = json.dumps(_escaped(ours), ensure_ascii=False)
    # Halves of characters, which an API may well have answered, are nothing that UTF-8 has.
    return _HALVES.sub(lambda half: f"\\u{ord(half[0]):04x}", text).encode()


def _keys(name: str, change: Change) -> Sequence[str]:
    """The keys that lead to a declared field."""
    return json_path.leaves(dict(change.resource.spec.body))[name][0]


def _operation(name: str, change: Change) -> dict[str, Any]:
    """RFC 6902, §4: replace needs that it is there."""
    pointer = "/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in _keys(name, change))
    there = name in (change.before or {})
    return {"op": "replace" if there else "add", "path": pointer, "value": (change.after or {})[name]}


def _escaped(value: Any) -> Any:
    """A secret's place in JSON takes it as JSON has it."""
    if isinstance(value, str):
        return sealed.wrapped("json", value) if sealed.OPEN in value else value
    if isinstance(value, dict):
        return {key: _escaped(inner) for key, inner in value.items()}
    return [_escaped(inner) for inner in value] if isinstance(value, list | tuple) else value
