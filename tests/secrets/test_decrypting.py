"""Decryption by the real program: once a file, in memory, without a network, with the key of the environment alone."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import stat
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet.desired.sops import read
from fleet.errors import Problem, SecretError
from fleet.masking import Masker
from fleet.model import sealed
from fleet.model.key_service import KeyServices
from fleet.model.secret import SecretSource
from fleet.secrets.files import Sops
from fleet.secrets.identities import Identities
from fleet.secrets.keys import identity
from fleet.secrets.program import decrypt
from fleet.secrets.vault import Vault
from tests.secrets.keys import encrypted, make_key

NOWHERE = "http://127.0.0.1:1"


def source(name: str, content: bytes, format_: str = "yaml", services: tuple[str, ...] = ()) -> SecretSource:
    keys = tuple(name.split(".")) if format_ != "binary" else ("data",)
    return SecretSource(name, "0", "dev/secrets.sops.yaml", str(hash(content)), format_, keys, services)


class Opened:
    """A Vault over files in memory. spans: what was timed."""

    def __init__(
        self, directory: Path, files: Mapping[str, bytes], credentials: Path | None = None, allowed: str = ""
    ) -> None:
        self.spans: list[dict[str, Any]] = []
        self.masker = Masker()
        by_blob = {str(hash(content)): content for content in files.values()}
        identities = Identities(directory, credentials, KeyServices.parse(allowed))
        self.vault = Vault(identities, self.masker, lambda one: by_blob[one.blob], self._span)

    @contextmanager
    def _span(self, name: str, **more: Any) -> Iterator[None]:
        self.spans.append({"name": name, **more})
        yield

    def value(self, one: SecretSource, environment: str = "dev") -> bytes:
        found = asyncio.run(self.vault.of(environment, [one]))
        return found[sealed.reference(one.name, one.digest)].reveal()


@pytest.fixture(autouse=True)
def no_keys_of_mine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home/.config"))


@pytest.mark.parametrize(
    ("format_", "document", "name", "expected"),
    [
        ("yaml", {"db": {"password": "ä 'b'\n"}, "n": 5, "list": [True]}, "db.password", "ä 'b'\n".encode()),
        ("yaml", {"n": 5}, "n", b"5"),
        ("yaml", {"list": ["a", True]}, "list.1", b"true"),
        ("yaml", {"empty": ""}, "empty", b""),
        ("json", {"a": {"b": 1.5}}, "a.b", b"1.5"),
        ("dotenv", b"TOKEN=a=b c\n", "TOKEN", b"a=b c"),
        ("binary", bytes(range(256)), "blob", bytes(range(256))),
    ],
)
def test_every_format_gives_the_value(
    tmp_path: Path, format_: str, document: dict[str, object] | bytes, name: str, expected: bytes
) -> None:
    content = encrypted(document, make_key(tmp_path, "dev"), format_=format_)
    assert Opened(tmp_path, {"a": content}).value(source(name, content, format_)) == expected


def test_a_file_is_decrypted_once_however_many_ask(tmp_path: Path) -> None:
    content = encrypted({f"s{n}": f"value-{n}" for n in range(20)}, make_key(tmp_path, "dev"))
    opened = Opened(tmp_path, {"a": content})

    async def ask() -> None:
        await asyncio.gather(*(opened.vault.of("dev", [source(f"s{n}", content)]) for n in range(20) for _ in range(3)))

    asyncio.run(ask())
    assert [one["name"] for one in opened.spans] == ["decrypt"]
    assert opened.masker.text("<value-7>") == "<(secret s7)>"


def test_only_what_is_asked_for_is_kept(tmp_path: Path) -> None:
    content = encrypted({"a": "first-value", "b": "second-value"}, make_key(tmp_path, "dev"))
    opened = Opened(tmp_path, {"a": content})
    opened.value(source("a", content))
    assert opened.masker.text("first-value second-value") == "(secret a) second-value"


def test_a_file_of_production_is_no_use_in_dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though whoever runs fleet could open it: dev's own identity shuts out every other."""
    content = encrypted({"a": "of production"}, make_key(tmp_path, "production"))
    monkeypatch.setenv("SOPS_AGE_KEY_FILE", str(tmp_path / "production.txt"))
    make_key(tmp_path, "dev")
    opened = Opened(tmp_path, {"a": content})
    with pytest.raises(SecretError, match=r"dev/secrets.sops.yaml cannot be decrypted for dev: no key that is here"):
        opened.value(source("a", content))
    assert opened.value(source("a", content), "production") == b"of production"


@pytest.mark.parametrize("sort", ["age", "ssh"])
def test_naming_a_key_service_lets_no_other_identity_in(tmp_path: Path, sort: str) -> None:
    """Who can read a file stands in it outside of its MAC: whoever copies it can add a key service."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    recipient, _ = identity(home / ".config/sops/age/keys.txt")
    if sort == "ssh":
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / ".ssh/id_ed25519")]
        subprocess.run(words, check=True)
        recipient = (home / ".ssh/id_ed25519.pub").read_text().strip()
    make_key(tmp_path, "dev")
    document = json.loads(encrypted(b'{"a": "of production"}', recipient, format_="json"))
    service = {"vault_address": NOWHERE, "engine_path": "e", "key_name": "k", "enc": "x"}
    document["sops"]["hc_vault"] = [{**service, "created_at": "2026-01-01T00:00:00Z"}]
    content = json.dumps(document).encode()
    with pytest.raises(SecretError, match="no key that is here can open it"):
        Opened(tmp_path, {"a": content}, allowed=f"dev={NOWHERE}").value(source("a", content, "json", (NOWHERE,)))


def test_a_key_service_that_the_operator_did_not_allow_is_never_asked(
    tmp_path: Path, fake_sops: Callable[[str], None]
) -> None:
    """Whoever may commit a file could have the operator's login sent to themselves."""
    fake_sops(f'touch {tmp_path}/ran; echo \'{{"a": "x-value"}}\'')
    mine = source("a", b"x", services=("https://ours", "http://mine:8200"))
    refused = r"environments/dev/secrets.sops.yaml wants a key service asked that nobody allowed to dev: "
    for allowed in ("dev=https://ours", "dev=https://ours production=http://mine:8200"):
        with pytest.raises(SecretError, match=rf"{refused}'http://mine:8200'; .* dev=http://mine:8200 to FLEET_KEY"):
            Opened(tmp_path, {"a": b"x"}, allowed=allowed).value(mine)
    with pytest.raises(SecretError, match="'https://ours@mine'; no setting allows"):
        Opened(tmp_path, {"a": b"x"}).value(source("a", b"x", services=("https://ours@mine",)))
    assert not (tmp_path / "ran").exists()
    opened = Opened(tmp_path, {"a": b"x"}, allowed="dev=https://ours dev=http://mine:8200")
    assert opened.value(mine) == b"x-value"
    with pytest.raises(SecretError, match=r"environments/other/x.yaml .* nobody allowed to other"):
        opened.value(replace(mine, path="other/x.yaml", digest="1"))  # decrypted, as another environment's


def test_no_token_goes_to_the_server_of_whoever_wrote_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real program, with and without leave."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        document = json.loads(encrypted(b'{"a": "b"}', identity(tmp_path / "other")[0], format_="json"))
        vault = {"vault_address": address, "engine_path": "e", "key_name": "k", "enc": "x"}
        document["sops"] |= {"age": [], "hc_vault": [{**vault, "created_at": "2026-01-01T00:00:00Z"}]}
        content = json.dumps(document).encode()
        problems: list[Problem] = []
        services = read("dev/secrets.sops.json", "", content, problems).services
        assert problems == [] and services == (address,)
        monkeypatch.setenv("VAULT_TOKEN", "of-the-operator")
        monkeypatch.setenv("VAULT_MAX_RETRIES", "0")
        server.settimeout(0.3)
        with pytest.raises(SecretError, match="nobody allowed"):
            Opened(tmp_path, {"a": content}).value(source("a", content, "json", services))
        with pytest.raises(TimeoutError):
            server.accept()
        server.settimeout(20)
        heard: list[bytes] = []

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                heard.append(connection.recv(4096))

        listening = threading.Thread(target=answer)
        listening.start()
        with pytest.raises(SecretError, match="no key that is here"):
            Opened(tmp_path, {"a": content}, allowed=f"dev={address}").value(source("a", content, "json", services))
        listening.join()
        assert b"of-the-operator" in heard[0]


def test_a_key_service_s_client_still_finds_its_login(tmp_path: Path) -> None:
    credentials = tmp_path / "home/.aws/credentials"
    credentials.parent.mkdir(parents=True)
    credentials.write_text("")
    make_key(tmp_path, "dev")
    found = environment(tmp_path, remote=True)
    assert found["AWS_SHARED_CREDENTIALS_FILE"] == str(credentials) and found["HOME"] == "/nonexistent"
    assert "AWS_SHARED_CREDENTIALS_FILE" not in environment(tmp_path)


def test_without_an_identity_of_its_own_whoever_runs_fleet_uses_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipient, _ = identity(tmp_path / "mine")
    content = encrypted({"a": "x-value"}, recipient)
    opened = Opened(tmp_path / "none", {"a": content})
    with pytest.raises(SecretError, match="put the age identity into"):
        opened.value(source("a", content))
    monkeypatch.setenv("SOPS_AGE_KEY", (tmp_path / "mine").read_text())
    assert opened.value(source("a", content)) == b"x-value"


@pytest.fixture
def pgp(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A key in the keyring of whoever runs fleet: its fingerprint."""
    keyring = Path(tempfile.mkdtemp(prefix="gpg-"))  # gpg's sockets need a short path
    monkeypatch.setenv("GNUPGHOME", str(keyring))
    make = ["gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "a@example.org", "default", "default"]
    try:
        subprocess.run([*make, "never"], check=True, capture_output=True)
        words = ["gpg", "--list-keys", "--with-colons"]
        listed = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        yield next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], check=False, capture_output=True)
        shutil.rmtree(keyring, ignore_errors=True)


def test_a_pgp_key_of_whoever_runs_fleet_opens_only_where_there_is_no_identity(tmp_path: Path, pgp: str) -> None:
    content = encrypted({"a": "x-value"}, pgp=pgp)
    assert Opened(tmp_path, {"a": content}).value(source("a", content)) == b"x-value"
    make_key(tmp_path, "dev")
    service = (NOWHERE,)
    for services in ((), service):
        opened = Opened(tmp_path, {"a": content}, allowed=f"dev={NOWHERE}")
        with pytest.raises(SecretError, match="no key that is here can open it"):
            opened.value(source("a", content, services=services))


def test_people_with_pgp_keys_stay_readers_where_there_is_an_identity(tmp_path: Path, pgp: str) -> None:
    """Encrypting for them takes their public keys; only what the identity alone opens is encrypted for them anew."""
    identities, file = Identities(tmp_path / "keys"), tmp_path / "r/environments/dev/secrets.sops.yaml"
    recipient = make_key(tmp_path / "keys", "dev")
    file.parent.mkdir(parents=True)
    rule = {"path_regex": "", "pgp": pgp, "age": recipient}
    (tmp_path / "r/.sops.yaml").write_text(json.dumps({"creation_rules": [rule]}))
    work = Sops(file, "yaml", identities.child_environment("dev", remote=False), identities.keyring)
    work.create(b'{"a": "x-value"}')
    work.set(["a"], "y-value")
    work.rotate()
    content = file.read_bytes()
    assert read("dev/secrets.sops.yaml", "", content, []).recipients == {pgp, recipient}
    assert Opened(tmp_path / "keys", {"a": content}).value(source("a", content)) == b"y-value"
    file.write_bytes(encrypted({"a": "of production"}, pgp=pgp))
    with pytest.raises(SecretError, match="no key that is here can open it"):
        work.rotate()


def test_systemd_credentials_come_first(tmp_path: Path) -> None:
    content = encrypted({"a": "x-value"}, make_key(tmp_path / "made", "key"))
    make_key(tmp_path / "files", "dev")
    (tmp_path / "credentials").mkdir()
    (tmp_path / "made/key.txt").rename(tmp_path / "credentials/age.dev")
    opened = Opened(tmp_path / "files", {"a": content}, tmp_path / "credentials")
    assert opened.value(source("a", content)) == b"x-value"


def test_a_file_that_was_changed_by_hand_is_refused(tmp_path: Path) -> None:
    content = encrypted({"a": "x-value", "b_unencrypted": "open"}, make_key(tmp_path, "dev"))
    changed = content.replace(b"b_unencrypted: open", b"b_unencrypted: other")
    assert changed != content
    with pytest.raises(SecretError, match="its MAC does not match"):
        Opened(tmp_path, {"a": changed}).value(source("a", changed))


@pytest.fixture
def fake_sops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A program called sops that says what it can see."""

    def write(script: str) -> None:
        path = tmp_path / "bin/sops"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ncat >/dev/null\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")

    return write


def environment(directory: Path, remote: bool = False) -> Mapping[str, str]:
    return Identities(directory).child_environment("dev", remote)


def test_the_child_has_no_network_unless_a_key_service_is_named(
    tmp_path: Path, fake_sops: Callable[[str], None]
) -> None:
    fake_sops("readlink /proc/self/ns/net; grep -c : /proc/net/dev")
    alone = asyncio.run(decrypt(b"", "yaml", environment(tmp_path), remote=False)).split()
    if alone[0].decode() == str(Path("/proc/self/ns/net").readlink()):
        pytest.skip("no namespace can be made here")
    assert alone[1] == b"1"  # its own loopback, which is down
    among = asyncio.run(decrypt(b"", "yaml", environment(tmp_path), remote=True)).split()
    assert among[0].decode() == str(Path("/proc/self/ns/net").readlink())


def test_no_word_of_a_file_gives_sops_the_network(tmp_path: Path, fake_sops: Callable[[str], None]) -> None:
    """It repeats the names of keys; only unshare's own complaint says that there can be no namespace."""
    fake_sops("echo run >>" + str(tmp_path / "runs") + "; echo 'no key: unshare: FAILED' >&2; exit 1")
    with pytest.raises(SecretError, match="FAILED"):
        asyncio.run(decrypt(b"", "yaml", environment(tmp_path), remote=False))
    assert (tmp_path / "runs").read_text() == "run\n"


def test_the_child_gets_only_what_it_needs(
    tmp_path: Path, fake_sops: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_sops("env; tr '\\0' ' ' </proc/$$/cmdline")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-somebody-else")
    said = asyncio.run(decrypt(b"", "yaml", environment(tmp_path), remote=False)).decode()
    assert "of-somebody-else" not in said and "decrypt --input-type yaml --output-type json" in said
    said = asyncio.run(decrypt(b"", "yaml", environment(tmp_path, remote=True), remote=True)).decode()
    assert "of-somebody-else" in said


def test_what_sops_says_is_short_and_no_value(tmp_path: Path, fake_sops: Callable[[str], None]) -> None:
    fake_sops("echo 'some trouble' >&2; exit 7")
    with pytest.raises(SecretError, match=r"^some trouble$"):
        asyncio.run(decrypt(b"", "yaml", environment(tmp_path), remote=False))
    fake_sops("echo '{\"a\": '")
    content = json.dumps({"a": 1}).encode()
    with pytest.raises(SecretError, match="not JSON"):
        Opened(tmp_path, {"a": content}).value(source("a", content))


def test_no_sops_at_all_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.secrets.program.shutil.which", lambda *_, **__: None)
    with pytest.raises(SecretError, match="the program sops is not there; install sops"):
        asyncio.run(decrypt(b"", "yaml", environment(tmp_path), remote=False))


def test_no_core_file_can_hold_a_secret(tmp_path: Path) -> None:
    import resource

    content = encrypted({"a": "x-value"}, make_key(tmp_path, "dev"))
    Opened(tmp_path, {"a": content}).value(source("a", content))
    assert resource.getrlimit(resource.RLIMIT_CORE)[0] == 0
