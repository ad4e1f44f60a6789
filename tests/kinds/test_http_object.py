"""What an `http_object` asks of an API, as requests: nothing is sent to a place that nobody meant."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fleet.errors import Origin
from fleet.kinds import http_object
from fleet.kinds.http_object import HttpObjectSpec
from fleet.model.api import Answered
from fleet.model.change import Change, Unreadable
from fleet.model.host import Resource
from fleet.model.step import Check, Outcome, Request, Status, Step

DELETE = {"method": "DELETE", "path": "/things/{id}"}
UPDATE = {"method": "PUT", "path": "/things/{id}"}


def thing(**said: Any) -> Resource:
    spec = HttpObjectSpec(**{"read": {"path": "/things/1"}, **said})
    desired = http_object.state("a", spec, None)
    return Resource("http_object:a", "http_object", "a", spec, desired, role="all", origin=Origin("f", 1, 1))


def seen(resource: Resource, body: Any, status: int = 200, **headers: str) -> Any:
    probe = http_object.observe([resource])
    answered = Answered(status, headers, (body,))
    return probe.read(Outcome("look:0", Status.OK, answers=(answered,) * len(probe.requests)))[resource.id]


def changed(resource: Resource, before: Any) -> tuple[Step, ...]:
    desired = resource.desired
    names = () if before is None or desired is None else tuple(n for n in desired if before.get(n) != desired[n])
    change = Change(resource, before, desired, names)
    return http_object.fix([change])[resource.id]


def requests(steps: tuple[Step, ...]) -> list[Request]:
    return [one for one in steps if isinstance(one, Request)]


def refused(steps: tuple[Step, ...]) -> str:
    """Why nothing is sent at all."""
    assert requests(steps) == []
    (check,) = steps
    assert isinstance(check, Check)
    return check.agrees(Answered(200, {}, ({},)))


ODD: tuple[Any, ...] = ("", ".", "..", None, [], {"a": 1}, "\ud800")


@pytest.mark.parametrize("body", [{}, *({"id": odd} for odd in ODD)], ids=repr)
@pytest.mark.parametrize("ensure", ["present", "absent"])
def test_an_object_without_the_field_that_its_path_names_is_left_alone(body: Any, ensure: str) -> None:
    """`DELETE /things/` may well mean all of them."""
    one = thing(body={"size": 2}, update=UPDATE, delete=DELETE, ensure=ensure)
    said = refused(changed(one, seen(one, {"size": 1, **body})))
    assert "{id}" in said and "/things/{id}" in said, said


def test_a_field_in_a_path_is_one_word_of_it() -> None:
    one = thing(body={}, delete=DELETE, ensure="absent")
    (request,) = requests(changed(one, seen(one, {"id": "a/../b?c#d e"})))
    assert request.path == "/things/a%2F..%2Fb%3Fc%23d%20e"


def test_an_etag_holds_for_the_first_of_several_requests_only() -> None:
    """After that the object is another, as the server sees it."""
    two = ({"method": "PATCH", "path": "/things/1/a"}, {"method": "PATCH", "path": "/things/1/b"})
    one = thing(body={"size": 2}, update=two)
    first, second = requests(changed(one, seen(one, {"size": 1}, etag='"v1"')))
    assert (dict(first.headers).get("if-match"), dict(second.headers).get("if-match")) == ('"v1"', None)
    anew = thing(body={"size": 2}, update="recreate", delete={"method": "DELETE", "path": "/things/1"},
                 create={"method": "PUT", "path": "/things/1"})  # fmt: skip
    gone, made = requests(changed(anew, seen(anew, {"size": 1}, etag='"v1"')))
    assert ("if-match" in dict(gone.headers), "if-match" in dict(made.headers)) == (True, False)


def test_a_weak_etag_proves_nothing_so_the_object_is_read_again() -> None:
    """RFC 9110, §13.1.1: If-Match compares strongly, a weak one never matches."""
    one = thing(body={"size": 2}, update={"method": "PUT", "path": "/things/1"})
    check, request = changed(one, seen(one, {"size": 1}, etag='W/"v1"'))
    assert isinstance(check, Check) and isinstance(request, Request)
    assert "if-match" not in dict(request.headers)


@pytest.mark.parametrize("number", [10**400, -(10**400), 1e400, float("nan")], ids=["big", "small", "inf", "nan"])
@pytest.mark.parametrize("how", [{}, {"compare_as": {"size": "number"}}])
def test_numbers_beyond_all_measure_are_just_other_numbers(number: Any, how: Any) -> None:
    one = thing(body={"size": 1}, update={"method": "PUT", "path": "/things/1"}, **how)
    assert seen(one, {"size": number})["size"] is number
    listed = thing(body={"size": 1}, read={"path": "/things", "items": "$", "match": {"id": 1}})
    assert seen(listed, [{"id": number, "size": 1}]) is None


def test_a_field_that_should_be_null_is_so_where_the_server_leaves_it_out() -> None:
    one = thing(body={"note": None, "size": 1}, update={"method": "PUT", "path": "/things/1"})
    assert one.desired is not None
    for body in ({"size": 1}, {"size": 1, "note": None}):
        assert {name: seen(one, body).get(name, "no") for name in one.desired} == one.desired
    assert seen(one, {"size": 1, "note": "x"})["note"] == "x"


DOTTED = {"labels": {"app.example.org/name": "web", "plain": "a"}, "a.b": {"c": 1}}


def test_keys_with_dots_are_found_and_written_as_they_are() -> None:
    server = {"labels": {"app.example.org/name": "web", "plain": "a", "other": "x"}, "a.b": {"c": 1}}
    one = thing(body=DOTTED, update={"method": "PATCH", "path": "/things/1", "format": "merge-patch"})
    assert one.desired is not None
    found = seen(one, server)
    assert {name: found.get(name) for name in one.desired} == one.desired
    edited = {"labels": {"app.example.org/name": "db", "plain": "a"}, "a.b": {"c": 2}}
    (merge,) = requests(changed(one, seen(one, edited)))
    assert json.loads(merge.body) == {"labels": {"app.example.org/name": "web"}, "a.b": {"c": 1}}
    two = thing(body=DOTTED, update={"method": "PATCH", "path": "/things/1", "format": "json-patch"})
    (patch,) = requests(changed(two, seen(two, edited)))
    pointers = {one["path"] for one in json.loads(patch.body)}
    assert pointers == {"/labels/app.example.org~1name", "/a.b/c"}


def test_half_a_character_that_an_api_answered_goes_back_as_it_came() -> None:
    call = {"method": "PUT", "path": "/things/1", "keep": ["*"]}
    one = thing(body={"size": 2}, update=call)
    (request,) = requests(changed(one, seen(one, json.loads('{"size": 1, "note": "\\ud800 é"}'))))
    assert json.loads(request.body) == {"size": 2, "note": "\ud800 é"}


def test_a_list_of_an_answer_that_is_none_is_unreadable_and_never_absent() -> None:
    one = thing(read={"path": "/things", "items": "$.items", "match": {"id": 1}}, body={"size": 1})
    for body in ({"error": "try later"}, {"items": None}, {"items": {"id": 1}}, "", None):
        assert isinstance(seen(one, body), Unreadable), body
