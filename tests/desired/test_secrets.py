"""Secrets by name: what a SOPS file says without its key, which layer wins, and what of it a host's digest sees."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet.desired.compile import Compiler, Fleet
from fleet.desired.explain import explain
from fleet.desired.load import load
from fleet.desired.sops import read
from fleet.desired.source import memory_tree
from fleet.errors import Problem
from fleet.kinds import KINDS
from fleet.model import sealed
from fleet.model.key_service import KeyServices
from fleet.secrets.keys import identity
from tests.secrets.keys import encrypted

HOSTS = b"hosts:\n  web-1: {}\n  web-2: {}\n"
ROLE = b"resources:\n  file:\n    /etc/x:\n      content: '<{{ secret(\"db.password\") }}>'\n"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Two recipients."""
    where: Path = tmp_path_factory.mktemp("keys")
    return identity(where / "one.txt")[0], identity(where / "two.txt")[0]


def compiled(files: dict[str, bytes], environment: str = "dev") -> Fleet:
    usual = {f"{environment}/hosts.yaml": HOSTS, "base/roles/app.yaml": ROLE,
             "base/environment.yaml": b"roles: {app: {}}\n"}  # fmt: skip
    fleet = Compiler(KINDS).compile(load(memory_tree(usual | files), KINDS))
    assert fleet.problems == ()
    return fleet


def sources(fleet: Fleet, host: str = "web-1") -> dict[str, str]:
    """Secret → the file that it comes from."""
    return {one.name: one.path for one in fleet.environments["dev"].hosts[host].secrets}


def text(fleet: Fleet, host: str = "web-1") -> str:
    resource = fleet.environments["dev"].hosts[host].resource("file:/etc/x")
    assert resource is not None and resource.content is not None
    return resource.content.decode()


@pytest.mark.parametrize(
    ("name", "document", "format_", "expected"),
    [
        ("dev/secrets.sops.yaml", {"db": {"password": "x", "port": 5}, "list": ["a", "b"], "empty": ""}, "yaml",
         {"db.password", "db.port", "list.0", "list.1", "empty"}),
        ("dev/secrets.sops.json", {"db": {"password": "x"}, "on": True}, "json", {"db.password", "on"}),
        ("dev/secrets.sops.env", b"DB_PASSWORD=x\n# a comment\nTOKEN=a=b\n", "dotenv", {"DB_PASSWORD", "TOKEN"}),
        ("dev/secrets/tls.key.sops", bytes(range(256)), "binary", {"tls.key"}),
    ],
)  # fmt: skip
def test_names_and_readers_are_known_without_a_key(
    keys: tuple[str, str], name: str, document: dict[str, object] | bytes, format_: str, expected: set[str]
) -> None:
    problems: list[Problem] = []
    file = read(name, "", encrypted(document, *keys, format_=format_), problems)
    assert problems == []
    assert set(file.entries) == expected and file.recipients == set(keys)
    lines = {one.origin.line for one in file.entries.values()}
    assert len(lines) == len(expected) and min(lines) >= 1


def test_a_key_service_is_noticed() -> None:
    enc = "ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]"
    kms = f"a: {enc}\nsops:\n  kms:\n  - arn: arn:aws:kms:x\n  mac: {enc}\n".encode()
    file = read("dev/secrets.sops.yaml", "", kms, [])
    assert file.services == ("arn:aws:kms:x",) and file.recipients == {"arn:aws:kms:x"}


VAULT = {"vault_address": "http://mine", "engine_path": "e", "key_name": "k", "enc": "x"}
AZURE = {"vault_url": "https://a", "name": "k", "enc": "x"}


@pytest.mark.parametrize("format_", ["yaml", "json", "dotenv"])
def test_the_key_services_of_every_format_are_found(format_: str) -> None:
    ending = {"dotenv": "env"}.get(format_, format_)
    for metadata in (
        {"hc_vault": [VAULT], "azure_kv": [AZURE], "age": [{"recipient": "age1x", "enc": "x"}]},
        {"key_groups": [{"hc_vault": [VAULT]}, {"azure_kv": [AZURE], "age": [{"recipient": "age1x"}]}]},
    ):
        problems: list[Problem] = []
        file = read(f"dev/secrets.sops.{ending}", "", written(metadata, format_), problems)
        assert problems == [] and file.services == ("http://mine", "https://a")
        assert file.recipients == {"http://mine", "https://a", "age1x"}


@pytest.mark.parametrize("format_", ["json", "dotenv"])
@pytest.mark.parametrize(
    "metadata",
    [
        {"HC_VAULT": [VAULT]},
        {"hc_vault": [{k.upper(): v for k, v in VAULT.items()}]},
        {"key_groups": [{"Hc_Vault": [VAULT]}]},
        {"new_kms": [{"id": "x"}]},
        {"hc_vault": {"0": VAULT}},
        {"hc_vault": [VAULT | {"key_name": "../../secret/data/x"}]},
        {"key_groups": [{"hc_vault": [VAULT | {"engine_path": "../secret"}]}]},
    ],
)
def test_keys_that_sops_may_read_in_another_way_are_refused(format_: str, metadata: dict[str, Any]) -> None:
    """Go takes names in JSON, and so in dotenv's metadata, whatever their case."""
    problems: list[Problem] = []
    file = read({"json": "dev/x.json", "dotenv": "dev/x.env"}[format_], "", written(metadata, format_), problems)
    assert "a form that sops does not write" in str(problems[0])
    assert KeyServices.parse("*=* *=*/*").refused("dev", file.services)


@pytest.mark.parametrize("text", ['"sops": {"hc_vault": []}, "sops": {}', '"sops": {"mac": "x"}, "SOPS": {}',
                                  '"sops": {"mac": "x"}, "\u017fops": {}'])  # fmt: skip
def test_two_that_are_sops_are_refused(text: str) -> None:
    problems: list[Problem] = []
    file = read("dev/secrets.sops.json", "", f"{{{text}}}".encode(), problems)
    assert problems and file.services and KeyServices.parse("*=* *=*/*").refused("dev", file.services)


def written(metadata: dict[str, Any], format_: str) -> bytes:
    """A SOPS file with these keys, as sops writes them."""
    enc = "ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]"
    if format_ != "dotenv":
        return json.dumps({"a": enc, "sops": {**metadata, "mac": enc, "version": "3"}}).encode()
    lines = [f"a={enc}", f"sops_mac={enc}", *(f"sops{key}={text}" for key, text in flat(metadata))]
    return "\n".join(lines).replace("sops__map_", "sops_").encode()


def flat(value: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict | list):
        yield "", str(value)
        return
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        word = f"__map_{key}" if isinstance(value, dict) else f"__list_{key}"
        yield from ((word + rest, text) for rest, text in flat(inner))


def test_the_strongest_layer_wins_and_a_host_over_it(keys: tuple[str, str]) -> None:
    base = {"base/secrets.sops.yaml": encrypted({"db": {"password": "one"}}, *keys)}
    assert sources(compiled(base)) == {"db.password": "base/secrets.sops.yaml"}
    dev = base | {"dev/secrets.sops.json": encrypted({"db": {"password": "two"}}, *keys, format_="json")}
    assert sources(compiled(dev)) == {"db.password": "dev/secrets.sops.json"}
    own = dev | {"dev/hosts/web-2.secrets.sops.yaml": encrypted({"db": {"password": "three"}}, *keys)}
    fleet = compiled(own)
    assert sources(fleet, "web-1") == {"db.password": "dev/secrets.sops.json"}
    assert sources(fleet, "web-2") == {"db.password": "dev/hosts/web-2.secrets.sops.yaml"}
    host = fleet.environments["dev"].hosts["web-2"]
    said = explain(fleet, host, "file:/etc/x", "content")[0].uses[0]
    assert said.name == "secret db.password"
    assert [(one.layer, one.origin.file.partition("/")[2], one.won) for one in said.lines] == [
        ("dev", "hosts/web-2.secrets.sops.yaml", True),
        ("dev", "secrets.sops.json", False),
        ("base", "secrets.sops.yaml", False),
    ]


def test_a_change_of_value_is_a_change_of_those_who_use_it_only(keys: tuple[str, str]) -> None:
    one = {"dev/secrets.sops.yaml": encrypted({"db": {"password": "one"}, "other": "x"}, *keys)}
    two = {"dev/secrets.sops.yaml": encrypted({"db": {"password": "two"}, "other": "x"}, *keys)}
    before, after = compiled(one), compiled(two)
    assert text(before) != text(after) and sealed.shown(text(before)).startswith("<(secret db.password ")
    plain = {"base/roles/app.yaml": b"resources: {file: {/etc/x: {content: a}}}\n"}
    digests = [compiled(one | plain).environments["dev"].hosts["web-1"].digest,
               compiled(two | plain).environments["dev"].hosts["web-1"].digest]  # fmt: skip
    assert digests[0] == digests[1]


def test_the_same_commit_compiles_to_the_same_bytes(keys: tuple[str, str]) -> None:
    files = {"dev/secrets.sops.yaml": encrypted({"db": {"password": "one"}}, *keys)}
    first, second = compiled(files), compiled(files)
    assert first.environments["dev"].hosts["web-1"].digest == second.environments["dev"].hosts["web-1"].digest


def test_a_secret_goes_through_variables_and_forms(keys: tuple[str, str]) -> None:
    role = b"""\
vars:
  url: "postgres://app:{{ secret('db.password') | urlencode }}@db"
  nested: {a: [!secret db.password]}
resources:
  file:
    /etc/x:
      content: |
        {{ url }} {{ nested.a[0] | quote }} {{ nested | tojson }} {{ ("u:" ~ nested.a[0]) | base64 }}
        {{ nested.a | join(",") }} {{ missing | default(secret("db.password")) }}
          {{ secret("db.password") | indent(2) }}
"""
    files = {"dev/secrets.sops.yaml": encrypted({"db": {"password": "one"}}, *keys), "base/roles/app.yaml": role}
    opened = sealed.opened(text(compiled(files)), lambda token: b'a"b\nc').decode()
    assert opened == (
        'postgres://app:a%22b%0Ac@db \'a"b\nc\' {"a": ["a\\"b\\nc"]} dTphImIKYw==\na"b\nc a"b\nc\n  a"b\n  c\n'
    )


def test_bytes_that_look_like_a_mark_are_bytes_where_a_file_is_taken_as_it_is(keys: tuple[str, str]) -> None:
    source = sealed.reference("db.password", "0").encode() + b"\xef\xb7\x90"
    files = {"base/files/raw": source, "base/roles/app.yaml": b"resources: {file: {/etc/x: {source: raw}}}\n"}
    host = compiled(files).environments["dev"].hosts["web-1"]
    assert host.resources[0].content == source and host.resources[0].secrets == () == host.secrets


def warnings(files: dict[str, bytes]) -> list[str]:
    return [str(one) for one in compiled(files | {"prod/hosts.yaml": HOSTS}).warnings]


def test_a_key_of_two_environments_is_warned_of(keys: tuple[str, str]) -> None:
    """A file of production that was copied into dev is the same case: nothing in it says where it belongs."""
    one, two = keys
    secret = {"db": {"password": "x"}}
    apart = {"dev/secrets.sops.yaml": encrypted(secret, one), "prod/secrets.sops.yaml": encrypted(secret, two)}
    assert warnings(apart) == []
    copied = apart | {"dev/secrets.sops.yaml": apart["prod/secrets.sops.yaml"]}
    [said] = warnings(copied)
    assert said.startswith("dev/secrets.sops.yaml:1:1: warning: dev and prod have secrets that one key can read: age1")
    assert "see also: prod/secrets.sops.yaml:1:1" in said and "one age identity per environment" in said
    everybody = f"roles: {{app: {{}}}}\nsecrets: {{shared_recipients: [{two}]}}\n".encode()
    assert warnings(copied | {"base/environment.yaml": everybody}) == []


def test_a_secret_that_everybody_on_the_host_may_read_is_warned_of_once(keys: tuple[str, str]) -> None:
    secret = {"dev/secrets.sops.yaml": encrypted({"db": {"password": "x"}}, keys[0])}
    for mode, fine in (("0640", True), ("0600", True), ("0644", False), ("0604", False), ("0651", False)):
        role = ROLE + f'      mode: "{mode}"\n'.encode()
        said = warnings(secret | {"base/roles/app.yaml": role, "prod/environment.yaml": b"extends: dev\n"})
        assert (said == []) is fine
        if not fine:
            [one] = said
            assert f"file:/etc/x holds a secret, and everybody on the host may read it (mode {mode})" in one
    assert warnings(secret | {"prod/environment.yaml": b"extends: dev\n"}) == []


def test_what_builds_on_another_environment_may_share_its_key(keys: tuple[str, str]) -> None:
    files = {f"{name}/secrets.sops.yaml": encrypted({"db": {"password": "x"}}, keys[0]) for name in ("base", "dev")}
    assert warnings(files | {"prod/environment.yaml": b"extends: dev\n"}) == []
