"""Profiles: those that fleet brings are right, their examples compile; what is wrong with one is told with its line."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest
import yaml

from fleet.desired.compile import Compiler
from fleet.desired.load import load
from fleet.desired.profiles import every_kind
from fleet.desired.source import memory_tree
from fleet.kinds import KINDS
from fleet.kinds.http_object import HttpObjectSpec

PROFILES = sorted(set(every_kind()) - set(KINDS))
HOSTS = "hosts:\n  api: {connection: {type: http, url: 'https://api.example/v1'}}\n"


def compiled(files: dict[str, str]) -> tuple[Any, list[str]]:
    given = {"dev/hosts.yaml": HOSTS, "base/environment.yaml": "roles: {all: {}}\n", **files}
    loaded = load(memory_tree({path: text.encode() for path, text in given.items()}), every_kind())
    found = Compiler(every_kind()).compile(loaded)
    return found, [str(one) for one in found.problems]


@pytest.mark.parametrize("name", PROFILES)
def test_the_example_of_a_profile_compiles_and_every_attribute_is_described(name: str) -> None:
    kind = every_kind()[name]
    text = (kind.Spec.__doc__ or "").partition("\n\n")[2]
    example = text[: text.find("\n\n")] if "\n\n" in text else text
    example = example.replace("[...]", "[]").replace("!secret ", "")
    role = "resources:\n" + textwrap.indent(example, "  ")
    fleet, problems = compiled({"base/roles/all.yaml": role})
    assert problems == []
    (host,) = fleet.hosts
    said = yaml.safe_load(example)[name]
    assert {one.name for one in host.resources} == set(said)
    assert all(isinstance(one.spec, HttpObjectSpec) and one.desired is not None for one in host.resources)
    assert all(about["description"].endswith(".") for about in kind.Spec.model_json_schema()["properties"].values())
    assert kind.doc.endswith(".")


OWN = """\
doc: A pool of a load balancer.
attributes:
  size: {type: integer, minimum: 1, description: How many.}
  token: {type: string, writeOnly: true, description: What it knows.}
required: [size]
object:
  read: {path: "/pools/{{ name | urlencode }}"}
  body: {size: "{{ size }}", token: "{{ token }}"}
  write: {method: PUT, path: "/pools/{{ name | urlencode }}"}
"""


def test_a_profile_of_ones_own_is_a_kind_like_any_other() -> None:
    files = {"base/profiles/pool.yaml": OWN, "base/roles/all.yaml": "resources: {pool: {a b: {size: 3}}}\n"}
    fleet, problems = compiled(files)
    assert problems == []
    (one,) = next(iter(fleet.hosts)).resources
    assert (one.id, one.desired, one.spec.read.path) == ("pool:a b", {"size": 3}, "/pools/a%20b")


def test_an_environment_s_own_profile_is_there_only_and_shadows_a_weaker_layer_s() -> None:
    files = {
        "base/profiles/pool.yaml": OWN,
        "dev/profiles/pool.yaml": OWN.replace("/pools/", "/v2/pools/"),
        "other/hosts.yaml": HOSTS,
        "base/roles/all.yaml": "resources: {pool: {a: {size: 3}}}\n",
    }
    fleet, problems = compiled(files)
    assert problems == []
    paths = {host.environment: host.resources[0].spec.read.path for host in fleet.hosts}
    assert paths == {"dev": "/v2/pools/a", "other": "/pools/a"}


ROLE = "resources: {pool: {a: {size: 3}}}\n"


@pytest.mark.parametrize(
    ("change", "role", "where", "says"),
    [
        (("doc: A pool of a load balancer.\n", ""), ROLE, "base/profiles/pool.yaml:1:1", "a profile without `doc`"),
        (("type: integer", "type: int"), ROLE, "base/profiles/pool.yaml:3:3", "`size` has no type"),
        (("minimum", "minimal"), ROLE, "base/profiles/pool.yaml:3:3", "`minimal` is nothing to say of an attribute"),
        (("description: How many.", "default: 1"), ROLE, "base/profiles/pool.yaml:3:3", "`size` has no description"),
        (("  size:", "  ensure:"), ROLE, "base/profiles/pool.yaml:3:3", "an attribute cannot be called `ensure`"),
        (("required: [size]", "required: [sise]"), ROLE, "base/profiles/pool.yaml:5", "`sise` is required and no"),
        (("required:", "requires:"), ROLE, "base/profiles/pool.yaml:5:1", "unknown key `requires`"),
        (("{{ size }}", "{{ sise }}"), ROLE, "base/profiles/pool.yaml:8:16", "`sise` is not defined"),
        (("write:", "wirte:"), ROLE, "base/profiles/pool.yaml:9:3", "`wirte` is nothing to say of an object"),
        (("method: PUT", "method: SET"), ROLE, "base/profiles/pool.yaml:9", "the profile makes no object of pool:a"),
        (("", ""), ROLE.replace("size: 3", "size: 0"), "base/roles/all.yaml", "`size` of pool:a is not right"),
        (("", ""), ROLE.replace("size: 3", "sise: 3"), "base/roles/all.yaml", "unknown attribute `sise`"),
        (("", ""), ROLE.replace("size: 3", ""), "base/roles/all.yaml", "pool:a lacks `size`"),
        (("", ""), ROLE.replace("size: 3", "size: 3, api: lb"), "base/roles/all.yaml", "there is no API `lb`"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_profile_or_its_use_is_told_with_its_place(
    change: tuple[str, str], role: str, where: str, says: str
) -> None:
    assert change[0] in OWN
    _, problems = compiled({"base/profiles/pool.yaml": OWN.replace(*change, 1), "base/roles/all.yaml": role})
    assert len(problems) >= 1 and any(one.startswith(where) and says in one for one in problems), problems


def test_the_name_of_a_kind_in_python_is_taken() -> None:
    _, problems = compiled({"base/profiles/file.yaml": OWN, "base/roles/all.yaml": "{}\n"})
    assert "`file` is a kind already" in problems[0]
