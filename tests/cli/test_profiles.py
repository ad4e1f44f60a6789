"""`fleet profiles`: what it shows, checks and writes, and what it refuses. In this process: each start costs."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from fleet.cli.main import run
from tests.cli.conftest import Done, Fleet, Repository
from tests.cli.test_completion import complete

POOL = """\
doc: A pool of a load balancer.
attributes:
  size: {type: integer, description: How many.}
object:
  read: {path: "/pools/{{ name | urlencode }}"}
  body: {size: "{{ size }}"}
  write: {method: PUT, path: "/pools/{{ name | urlencode }}"}
cases:
  resized:
    spec: {a: {size: 3}}
    server: {body: {size: 2}}
    expect: [{method: PUT, path: /pools/a, body: {size: 3}}]
"""
DOCUMENTS = Path(__file__).parents[1] / "desired/openapi"
SHIPPED = files("fleet") / "profiles"


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Fleet:
    """The command in this process, with a record and a cache of its own."""
    for name in [one for one in os.environ if one.startswith("FLEET_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FLEET_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("FLEET_CACHE_DIR", str(tmp_path / "cache"))

    def call(*words: str, cwd: Path = tmp_path) -> Done:
        monkeypatch.chdir(cwd)
        capsys.readouterr()
        code = run(words)
        said = capsys.readouterr()
        return Done(int(code), said.out, said.err)

    return call


def test_without_a_repository_those_that_come_with_fleet_are_listed_and_shown(fleet: Fleet) -> None:
    rows = fleet("profiles", "list", "--json").json["profiles"]
    assert {one["layer"] for one in rows} == {None} and all(one["cases"] for one in rows)
    assert [one["name"] for one in rows] == sorted(one.name.removesuffix(".yaml") for one in SHIPPED.iterdir())
    shown = fleet("profiles", "show", "consul_kv")
    assert "A key of Consul's key-value store." in shown.out and "  changed by hand" in shown.out
    assert "  value  " in shown.out and "From fleet/profiles/consul_kv.yaml" in shown.out
    whole = fleet("profiles", "show", "consul_kv", "--yaml")
    assert whole.out == (SHIPPED / "consul_kv.yaml").read_text()
    missing = fleet("profiles", "show", "consul_kw")
    assert missing.code == 1 and "did you mean consul_kv?" in missing.err


def test_profiles_of_layers_are_told_from_those_that_they_stand_before(repository: Repository, tmp_path: Path) -> None:
    own = {"base/profiles/pool.yaml": POOL, "dev/profiles/consul_kv.yaml": POOL, "dev/profiles/odd.yaml": "doc: x\n"}
    repository.write(own, "two")
    rows = {(one["name"], one["layer"]): one for one in repository("profiles", "list", "--json").json["profiles"]}
    assert rows["pool", "base"]["doc"] == "A pool of a load balancer." and rows["pool", "base"]["cases"] == 1
    assert rows["pool", "base"]["file"] == "base/profiles/pool.yaml"
    assert {("consul_kv", None), ("consul_kv", "dev")} <= rows.keys()
    assert "cannot be read" in rows["odd", "dev"]["doc"]
    said = repository("profiles", "show", "consul_kv")
    assert said.code == 1 and "in fleet, dev; say --layer LAYER" in said.err
    assert "A pool of" in repository("profiles", "show", "consul_kv", "--layer", "dev").out
    broken = repository("profiles", "show", "odd")
    assert broken.code == 1 and "dev/profiles/odd.yaml:1:1: a profile without `object`" in broken.err
    assert complete("fleet profiles show po", repository.path, tmp_path)[0] == [
        "pool",
        "powerdns_record",
        "powerdns_zone",
    ]


def test_check_plays_the_cases_and_tells_all_that_is_wrong_with_its_line(fleet: Fleet, tmp_path: Path) -> None:
    good, bad, bare = tmp_path / "good.yaml", tmp_path / "bad.yaml", tmp_path / "bare.yaml"
    good.write_text(POOL)
    bad.write_text(POOL.replace("size: 2", "size: 3"))
    bare.write_text(POOL.partition("cases:")[0])
    done = fleet("profiles", "check", "good.yaml", "bare.yaml")
    assert (done.code, done.out.splitlines()[-1]) == (0, "all is right")
    assert "good.yaml: 1 case\n" in done.out and "bare.yaml: no cases" in done.out
    failed = fleet("profiles", "check", "good.yaml", "bad.yaml")
    assert failed.code == 1 and "bad.yaml:9:3: case `resized` does not hold" in failed.err
    assert 'expected PUT /pools/a {"size": 3}' in failed.err and "found    in sync" in failed.err
    problems = fleet("profiles", "check", "bad.yaml", "--json").json["error"]["problems"]
    assert [(one["file"], one["line"]) for one in problems] == [("bad.yaml", 9)]
    none = fleet("profiles", "check", "none.yaml")
    assert none.code == 1 and "none.yaml cannot be read: No such file or directory" in none.err


def test_import_lists_what_looks_like_an_object_then_drafts_one_that_is_right(fleet: Fleet, tmp_path: Path) -> None:
    document = str(DOCUMENTS / "dns.yaml")
    listed = fleet("profiles", "import", document)
    assert "/zones/{name}" in listed.out and "GET all, GET, POST, PUT, DELETE" in listed.out
    rows = fleet("profiles", "import", document, "--json").json["candidates"]
    assert [one["list"] for one in rows] == ["/zones", "/zones/{zone_id}/records"]
    drafted = fleet("profiles", "import", document, "--path", "/zones/{name}")
    written = fleet("profiles", "import", document, "--path", "/zones/{name}", "-o", "zone.yaml")
    assert "zone.yaml is written" in written.out
    assert (tmp_path / "zone.yaml").read_text() == drafted.out
    assert yaml.safe_load(drafted.out)["object"]["create"] == {"method": "POST", "path": "/zones"}
    assert fleet("profiles", "check", "zone.yaml").code == 0
    again = fleet("profiles", "import", document, "--path", "/zones", "-o", "zone.yaml")
    assert again.code == 1 and "zone.yaml is already there; nothing was written" in again.err


@pytest.mark.parametrize(
    ("content", "words", "says"),
    [
        (None, (), "api.json cannot be read: No such file"),
        ('{"openapi": "3.0.0", "paths": {}}', (), "no path of api.json looks like an object"),
        ('{"openapi": "3.0.0"}', ("--path", "/x"), "api.json: at /paths: there is no path /x"),
        ('{"openapi": "3.0.0", "paths": {"/a": {"get": {}, "put": {}}}}', ("-o", "x.yaml"), "say which object: --path"),
        ('{"openapi": "3.0.0", "paths": {"/a": {"get": {}, "put": {}}}}', ("--path", "/a", "-o", "no/x.yaml"),
         "no/x.yaml cannot be written"),
        ('{"openapi": \n', (), "api.json:2:1: not JSON"),
    ],
)  # fmt: skip
def test_import_says_why_it_cannot(
    content: str | None, words: tuple[str, ...], says: str, fleet: Fleet, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "api.json").write_text(content)
    done = fleet("profiles", "import", "api.json", *words)
    assert done.code == 1 and says in done.err, done.err
