"""What is gone from Git and may be removed: only what the ledger proves to be ours, and nothing that is named still."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fleet.controller.prune import orphans
from fleet.desired.profiles import every_kind
from fleet.errors import Origin
from fleet.kinds import _http_removal, http_object
from fleet.kinds.http_object import HttpObjectSpec
from fleet.model.api import Api, Auth, Tls
from fleet.model.host import Graph, HostSpec, Resource, Target
from fleet.model.made import Made

API = Api("https://api.example.org", "dev", "things")
KEY = ("dev", "h1")


def thing(name: str, api: str = "things", **read: Any) -> Resource:
    path = {"path": "/things", "items": "$", "match": {"name": name}, **read}
    said = {"read": path, "api": api, "body": {"a": 1}, "delete": {"method": "DELETE", "path": "/things/{id}"}}
    spec = HttpObjectSpec.model_validate(said)
    desired = http_object.state(name, spec, None)
    return Resource(f"http_object:{name}", "http_object", name, spec, desired, role="all", origin=Origin("f", 1, 1))


def host(*resources: Resource, apis: tuple[Api, ...] = (API,)) -> HostSpec:
    target = Target("h1", "dev", apis=apis)
    return HostSpec("h1", "dev", target, (), {}, resources, Graph((), {}, {}), "")


def made(one: Resource, url: str = API.url) -> Made:
    return Made(url, _http_removal.place(one), one.id, _http_removal.memento(one) or {})


def gone(*hosts: HostSpec, ledger: tuple[Made, ...]) -> list[str]:
    return orphans(hosts, {KEY: ledger}, every_kind()).names()


def test_what_git_names_no_more_is_gone_and_the_rest_is_not() -> None:
    one, two = thing("one"), thing("two")
    assert gone(host(one), ledger=(made(one), made(two))) == ["dev/h1 http_object:two"]


def test_an_object_that_is_only_read_in_another_way_now_is_named_still() -> None:
    """Another page size, another list: removing it would take away what Git asks for."""
    one = thing("one")
    for read in ({"path": "/things?limit=100"}, {"match": {"name": "one", "kind": "x"}}):
        assert gone(host(thing("one", **read)), ledger=(made(one),)) == [], read


def test_an_object_that_is_called_otherwise_and_asked_for_otherwise_at_once_is_named_still() -> None:
    one = thing("one")
    said: dict[str, Any] = {"path": "/things/?limit=100", "match": {"name": "one"}}
    assert gone(host(thing("renamed", **said)), ledger=(made(one),)) == []
    other: dict[str, Any] = {"path": "/others", "match": {"name": "one"}}
    assert gone(host(thing("renamed", **other)), ledger=(made(one),)) == ["dev/h1 http_object:one"]


def test_an_object_of_another_server_is_left_where_it_is() -> None:
    one = thing("one")
    found = orphans([host()], {KEY: [made(one, "https://old.example.org")]}, every_kind())
    assert (found.names(), [left.resource for left in found.left]) == ([], ["http_object:one"])


def test_an_object_behind_a_url_that_two_tenants_share_is_left_to_a_person() -> None:
    """Nobody can tell by its url which of them it was made for, and the other's may be called the same."""
    other = replace(API, name="others", headers=(("x-tenant", "2"),))
    one = thing("one")
    found = orphans([host(apis=(API, other))], {KEY: [made(one)]}, every_kind())
    assert (found.names(), len(found.left)) == ([], 1)
    again = replace(API, name="again", rate=5.0)
    assert gone(host(apis=(API, again)), ledger=(made(one),)) == ["dev/h1 http_object:one"], "the same tenant"
    login = replace(API, name="login", auth=Auth("bearer", (("token", "b"),)))
    assert gone(host(apis=(API, login)), ledger=(made(one),)) == []
    certificate = replace(API, name="certificate", tls=Tls(certificate="other"))
    assert gone(host(apis=(API, certificate)), ledger=(made(one),)) == []
