"""`fleet secrets`, as it is typed: keys, values, readers, and an editor whose plain text never meets a disk."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect
import pytest
import yaml

from fleet.secrets.keys import identity
from fleet.secrets.program import sops
from tests.cli.conftest import Done, Repository, git
from tests.secrets.keys import encrypted

VALUE = "correct horse battery staple"
ROLE = """\
resources:
  file:
    /etc/one: {content: !secret db.password}
    /etc/two: {content: "{{ secret('db.password') }}{{ secret('token') }}"}
"""
Run = Callable[..., Done]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    own = {f"FLEET_{name.upper()}_DIR": str(tmp_path / name) for name in ("state", "cache", "age")}
    own |= {"TMPDIR": str(tmp_path / "tmp"), "HOME": str(tmp_path / "home"), "TERM": "dumb"}
    for name in ("tmp", "home"):
        (tmp_path / name).mkdir()
    return {k: v for k, v in os.environ.items() if not k.startswith(("FLEET_", "SOPS_", "XDG_"))} | own


@pytest.fixture
def run(repository: Repository, environment: dict[str, str]) -> Run:
    """Runs `fleet secrets …` in the repository. given: its standard input."""

    def run(*words: str, given: str = "", **more: str) -> Done:
        call = [sys.executable, "-m", "fleet.cli.main", *words]
        done = subprocess.run(call, cwd=repository.path, env=environment | more, input=given, capture_output=True,
                              text=True, check=False, timeout=60)  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def keyed(run: Run, repository: Repository) -> Run:
    """With a key for dev and two secrets, committed."""
    assert run("secrets", "keygen", "-e", "dev").code == 0
    assert run("secrets", "set", "db.password", "-e", "dev", given=VALUE + "\n").code == 0
    assert run("secrets", "set", "token", "-e", "dev", given="tok-123").code == 0
    repository.write({"base/roles/common.yaml": ROLE}, "secrets")
    return run


def ciphertexts(repository: Repository) -> dict[str, str]:
    text = (repository.path / "environments/dev/secrets.sops.yaml").read_text()
    return {line.strip().split(":")[0]: line.strip() for line in text.splitlines() if "ENC[" in line}


def test_keygen_makes_a_key_and_a_rule_once(run: Run, repository: Repository, tmp_path: Path) -> None:
    first = run("secrets", "keygen", "-e", "dev", "--json").json
    key = tmp_path / "age/dev.txt"
    assert first["made"] and first["identity"] == str(key) and first["recipient"].startswith("age1")
    assert key.stat().st_mode & 0o777 == 0o600 and key.parent.stat().st_mode & 0o777 == 0o700
    rules = (repository.path / ".sops.yaml").read_text()
    assert "^environments/dev/" in rules and "^environments/base/" in rules and first["recipient"] in rules
    again = run("secrets", "keygen", "-e", "dev", "--json").json
    assert not again["made"] and again["recipient"] == first["recipient"]
    assert (repository.path / ".sops.yaml").read_text() == rules
    assert "every environment's key reads it" in run("secrets", "keygen", "-e", "base").err
    assert "there is no directory environments/dve; did you mean dev?" in run("secrets", "keygen", "-e", "dve").err


def test_alone_it_says_what_there_is_to_do(run: Run) -> None:
    done = run("secrets")
    assert done.code == 1 and "fleet secrets list, who, keygen, set, edit or rotate" in done.err


def test_a_rule_that_is_there_keeps_what_it_says(run: Run, repository: Repository) -> None:
    rules = "# ours\ncreation_rules:\n  # people\n  - path_regex: ^environments/dev/\n    age: age1somebody\n"
    (repository.path / ".sops.yaml").write_text(rules)
    made = run("secrets", "keygen", "-e", "dev", "--json").json["recipient"]
    said = (repository.path / ".sops.yaml").read_text()
    assert "# people" in said and f"age1somebody,{made}" in said


CATCH_ALL = "creation_rules:\n  - path_regex: nothing/\n    age: a\n  # all\n  - pgp: X\n"


@pytest.mark.parametrize("after", ["", "  # dev\n  - path_regex: ^environments/dev/\n    age: age1somebody\n"])
def test_a_new_rule_stands_before_what_would_win_over_it(run: Run, repository: Repository, after: str) -> None:
    """sops takes the first that matches. One that is there and never matched is moved."""
    (repository.path / ".sops.yaml").write_text(CATCH_ALL + after)
    made = run("secrets", "keygen", "-e", "dev", "--json").json["recipient"]
    rules = yaml.safe_load((repository.path / ".sops.yaml").read_text())["creation_rules"]
    assert [rule.get("path_regex", "") for rule in rules] == [
        "nothing/",
        "^environments/dev/",
        "^environments/base/",
        "",
    ]
    assert rules[1]["age"] == (f"age1somebody,{made}" if after else made)
    assert run("secrets", "set", "a", "-e", "base", given="x").code == 0
    assert run("secrets", "who", "a", "--working-tree", "--json").json["secrets"][0]["readers"] == [made]


def test_without_a_rule_the_next_step_is_told(run: Run) -> None:
    done = run("secrets", "set", "a", "-e", "dev", given="x")
    assert done.code == 1 and "fleet secrets keygen -e ENV" in done.err and "creation_rules" in done.err


VAULT_RULES = [
    "hc_vault_transit_uri: http://127.0.0.1:1/v1/transit/keys/k",
    "key_groups: [{age: [age1x], hc_vault: ['http://127.0.0.1:1/v1/transit/keys/k']}]",
]


@pytest.mark.parametrize("rule", VAULT_RULES)
def test_a_key_service_of_sops_yaml_is_asked_only_if_the_operator_allows_it(
    keyed: Run, repository: Repository, rule: str
) -> None:
    """Whoever may commit that file could have a login sent to themselves as well."""
    rules = f"creation_rules:\n  - path_regex: other\n    kms: arn:x\n  - path_regex: ^environments/\n    {rule}\n"
    (repository.path / ".sops.yaml").write_text(rules)
    for words in (["set", "a", "-e", "dev", "--host", "web-1"], ["rotate", "-e", "dev"]):
        done = keyed("secrets", *words, given="x-value")
        assert done.code == 1 and "that nobody allowed to dev: 'http://127.0.0.1:1'; if it is yours" in done.err
    allowed = {"FLEET_KEY_SERVICES": "dev=http://127.0.0.1:1", "VAULT_MAX_RETRIES": "0"}
    done = keyed("secrets", "set", "a", "-e", "dev", "--host", "web-1", given="x-value", **allowed)
    assert done.code == 1 and "nobody allowed" not in done.err  # nothing answers there
    assert keyed("secrets", "set", "token", "-e", "dev", given="x-value").code == 0  # its readers stay as they are


def test_a_file_that_cannot_be_read_is_left_alone(keyed: Run, repository: Repository) -> None:
    file = repository.path / "environments/dev/secrets.sops.yaml"
    file.write_text(file.read_text() + "\n--- {}\n")
    done = keyed("secrets", "set", "token", "-e", "dev", given="x-value")
    assert done.code == 1 and "cannot be read as a SOPS file" in done.err


def test_set_changes_one_value_and_no_other_ciphertext(keyed: Run, repository: Repository) -> None:
    before = ciphertexts(repository)
    done = keyed("secrets", "set", "token", "-e", "dev", given="another\n")
    assert (done.code, done.out) == (0, "wrote environments/dev/secrets.sops.yaml; commit it\n")
    after = ciphertexts(repository)
    assert before["password"] == after["password"] and before["token"] != after["token"]
    assert [p.name for p in (repository.path / "environments/dev").iterdir() if "sops" in p.name] == [
        "secrets.sops.yaml"
    ]


def test_many_at_once_lose_nothing(run: Run, repository: Repository, environment: dict[str, str]) -> None:
    """Also when there is no file yet."""
    assert run("secrets", "keygen", "-e", "dev").code == 0
    call = [sys.executable, "-m", "fleet.cli.main", "secrets", "set", "-e", "dev"]
    more: dict[str, Any] = {"cwd": repository.path, "env": environment, "stdout": subprocess.PIPE}
    children = [subprocess.Popen([*call, f"s{n}"], stdin=subprocess.PIPE, **more) for n in range(6)]
    for child in children:
        child.communicate(b"x-value", timeout=60)
    assert [child.returncode for child in children] == [0] * 6
    assert set(ciphertexts(repository)) >= {f"s{n}" for n in range(6)}


def test_what_another_holds_for_long_is_told(keyed: Run, repository: Repository) -> None:
    handle = os.open(repository.path / "environments", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        done = keyed("secrets", "set", "token", "-e", "dev", given="x")
    finally:
        os.close(handle)
    assert done.code == 1 and "another `fleet secrets` changes files here" in done.err


def test_set_puts_a_host_s_own_beside_its_overlay_and_a_layer_s_where_the_name_is(
    keyed: Run, repository: Repository
) -> None:
    done = keyed("secrets", "set", "token", "-e", "dev", "--host", "web-1", given="own")
    assert done.out == "wrote environments/dev/hosts/web-1.secrets.sops.yaml; commit it\n"
    done = keyed("secrets", "set", "token", "-e", "base", given="weak")
    assert done.out == "wrote environments/base/secrets.sops.yaml; commit it\n"
    said = keyed("secrets", "list", "--working-tree").out
    assert "token (web-1)" in said and "dev/hosts/web-1.secrets.sops.yaml:1:1" in said


@pytest.mark.parametrize("about", [("json", "json", "a.b"), ("dotenv", "env", "A_B")])
def test_set_keeps_the_format_of_a_file_that_is_there(
    keyed: Run, repository: Repository, tmp_path: Path, about: tuple[str, str, str]
) -> None:
    format_, ending, name = about
    recipient = (tmp_path / "age/dev.txt").read_text().split("public key: ")[1].split("\n")[0]
    first = b"FIRST=1\n" if format_ == "dotenv" else b'{"first": "1"}'
    where = repository.path / "environments/base"
    (where / f"secrets.sops.{ending}").write_bytes(encrypted(first, recipient, format_=format_))
    done = keyed("secrets", "set", name, "-e", "base", given="a 'new' value")
    assert (done.code, done.out) == (0, f"wrote environments/base/secrets.sops.{ending}; commit it\n"), done.err
    found = {one["name"]: one for one in keyed("secrets", "list", "--working-tree", "--json").json["secrets"]}
    assert found[name]["origin"]["file"] == f"base/secrets.sops.{ending}"


def test_names_that_cannot_be_are_refused(keyed: Run) -> None:
    assert "cannot be the name of a secret" in keyed("secrets", "set", "a b", "-e", "dev", given="x").err
    assert (
        "`db.password` is there already, so `db` cannot be" in keyed("secrets", "set", "db", "-e", "dev", given="x").err
    )
    away = keyed("secrets", "set", "a", "-e", "dev", "--host", "../../../away", given="x")
    assert away.code == 1 and "cannot be the name of a host" in away.err
    assert "standard input has no value" in keyed("secrets", "set", "new", "-e", "dev").err
    assert "`token` is there already" in keyed("secrets", "set", "token.x", "-e", "dev", given="x").err


def test_a_symlink_is_neither_followed_nor_replaced(keyed: Run, repository: Repository) -> None:
    where = repository.path / "environments/dev"
    (repository.path / "elsewhere").mkdir()
    (where / "secrets.sops.yaml").rename(repository.path / "elsewhere/other.yaml")
    shutil.rmtree(where / "hosts", ignore_errors=True)
    for name, target in (("secrets.sops.yaml", "../../elsewhere/other.yaml"), ("hosts", "../../elsewhere")):
        (where / name).symlink_to(target)
        before = everything(repository.path / "elsewhere")
        host = ["--host", "web-1"] if name == "hosts" else []
        done = keyed("secrets", "set", "token", "-e", "dev", *host, given="x")
        said = f"error: {where / name} is a symlink, which fleet does not read; put the real one there\n"
        assert (done.code, done.err) == (1, said)
        assert (where / name).is_symlink() and everything(repository.path / "elsewhere") == before


def everything(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.iterdir()}


def test_a_host_that_is_not_there_is_refused_at_once(keyed: Run, repository: Repository) -> None:
    """Not by the next `validate`."""
    repository.write({"dev/hosts.yaml": "hosts:\n  web-[01:12]: {address: 'x'}\n"})
    for words in (["set", "a"], ["edit"]):
        done = keyed("secrets", *words, "-e", "dev", "--host", "web-2", given="x")
        assert done.code == 1 and "there is no host 'web-2' in dev; did you mean web-02?" in done.err
    assert "there is no host 'web-02' in base" in keyed("secrets", "edit", "-e", "base", "--host", "web-02").err
    assert not (repository.path / "environments/dev/hosts/web-2.secrets.sops.yaml").exists()
    assert keyed("secrets", "set", "a", "-e", "dev", "--host", "web-12", given="x").code == 0


@pytest.mark.parametrize("format_", ["yaml", "json"])
def test_an_item_of_a_list_is_refused(keyed: Run, repository: Repository, tmp_path: Path, format_: str) -> None:
    """sops panics on it."""
    recipient = (tmp_path / "age/dev.txt").read_text().split("public key: ")[1].split("\n")[0]
    document = json.dumps({"a": {"l": ["x-value", "y-value"], "0": "z-value"}}).encode()
    file = repository.path / f"environments/base/secrets.sops.{format_}"
    file.write_bytes(encrypted(document, recipient, format_=format_))
    before = file.read_bytes()
    for name in ("a.l.0", "a.l.2", "a.l.b"):
        done = keyed("secrets", "set", name, "-e", "base", given="x")
        assert done.code == 1 and "`a.l` is a list, whose items" in done.err and "secrets edit -e base" in done.err
    assert file.read_bytes() == before
    assert keyed("secrets", "set", "a.0", "-e", "base", given="x").code == 0


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("about", [("encrypted_regex: ^data$", "db.password"), ("", "db.password_unencrypted")])
def test_what_sops_would_leave_in_plain_text_is_not_written(
    run: Run, repository: Repository, tmp_path: Path, about: tuple[str, str], there: bool
) -> None:
    """Many repositories have such a rule already. Said is only the name."""
    rule, name = about
    assert run("secrets", "keygen", "-e", "dev").code == 0
    rules = repository.path / ".sops.yaml"
    rules.write_text(rules.read_text().replace("  age:", f"  {rule}\n  age:") if rule else rules.read_text())
    file = repository.path / "environments/dev/secrets.sops.yaml"
    if there:
        assert run("secrets", "set", "data.a", "-e", "dev", given="fine").code == 0
    before = file.read_bytes() if there else None
    done = run("secrets", "set", name, "-e", "dev", given=VALUE)
    assert done.code == 1 and f"leaves `{name}` in plain text" in done.err and VALUE not in done.err
    assert (file.read_bytes() if file.exists() else None) == before
    assert everywhere(tmp_path, VALUE) == []


def test_a_value_is_asked_for_without_showing_it(
    keyed: Run, repository: Repository, environment: dict[str, str]
) -> None:
    words = ["-m", "fleet.cli.main", "secrets", "set", "typed", "-e", "dev"]
    child = pexpect.spawn(
        sys.executable, words, cwd=str(repository.path), env=environment, encoding="utf-8", timeout=20
    )
    child.expect("value of typed:")
    child.sendline("by-hand-1")
    child.expect("once more:")
    child.sendline("by-hand-1")
    child.expect("commit it")
    assert "by-hand-1" not in (child.before or "")
    child.expect(pexpect.EOF)


def test_who_can_read_it_what_uses_it_and_who_changed_it(keyed: Run) -> None:
    said = keyed("secrets", "who", "db.password", "-e", "dev").out
    assert said.startswith("db.password  in dev\n  file     dev/secrets.sops.yaml:2:5\n  readers  age1")
    assert "used by  file:/etc/one on web-1\n           file:/etc/two on web-1" in said
    assert "by Ann: secrets (" in said
    [found] = keyed("secrets", "who", "token", "-e", "dev", "--json").json["secrets"]
    assert found["used_by"] == {"file:/etc/two": ["web-1"]} and found["changed"]["author"] == "Ann"
    assert "there is no secret 'tokn'; did you mean token?" in keyed("secrets", "who", "tokn").err


def test_a_login_to_an_api_is_a_use(keyed: Run, repository: Repository) -> None:
    """Whoever reads "used by nothing" will remove it."""
    host = "hosts: {dns: {connection: {type: http, url: 'https://dns.example.org', auth: {bearer: !secret token}}}}\n"
    repository.write({"dev/hosts.yaml": host, "base/roles/common.yaml": "resources: {}\n"}, "an API")
    [found] = keyed("secrets", "who", "token", "-e", "dev", "--json").json["secrets"]
    assert found["used_by"] == {"connection": ["dns"]}
    assert "used by  connection on dns" in keyed("secrets", "who", "token").out


def test_without_the_key_everything_but_the_values_is_there(keyed: Run, tmp_path: Path) -> None:
    (tmp_path / "age/dev.txt").unlink()
    assert keyed("validate").code == 0
    assert "(secret db.password " in keyed("show", "web-1").out
    assert "secret db.password" in keyed("explain", "web-1", "file:/etc/one").out
    assert keyed("secrets", "list").code == 0
    for words in (["secrets", "set", "token", "-e", "dev"], ["secrets", "rotate", "-e", "dev"]):
        done = keyed(*words, given="x")
        assert done.code == 1 and "no key that is here can open it" in done.err, done


def test_diff_says_that_a_secret_changed(keyed: Run, repository: Repository) -> None:
    keyed("secrets", "set", "token", "-e", "dev", given="another")
    git(repository.path, "commit", "--quiet", "-am", "two")
    said = keyed("diff", "HEAD~1").out
    assert "~ file:/etc/two  1 secret changed: token" in said and "file:/etc/one" not in said
    assert "another" not in said and "tok-123" not in said


def test_rotate_gives_new_readers_and_keeps_the_values(keyed: Run, repository: Repository, tmp_path: Path) -> None:
    before = ciphertexts(repository)
    (tmp_path / "age/dev.txt").rename(tmp_path / "age/old.txt")
    new = keyed("secrets", "keygen", "-e", "dev")
    assert "files that are there keep their readers until: fleet secrets rotate -e dev" in new.out
    both = f"{(tmp_path / 'age/old.txt').read_text()}{(tmp_path / 'age/dev.txt').read_text()}"
    (tmp_path / "age/dev.txt").write_text(both)
    done = keyed("secrets", "rotate", "-e", "dev")
    assert done.code == 0, done.err
    assert all(before[name] != now for name, now in ciphertexts(repository).items())
    [found] = keyed("secrets", "who", "token", "--working-tree", "--json").json["secrets"]
    assert len(found["readers"]) == 2


def test_a_rotation_that_fails_leaves_the_file_and_nothing_beside_it(
    keyed: Run, repository: Repository, tmp_path: Path
) -> None:
    """sops writes new readers over the file itself: what ends it there would leave half of one."""
    new = identity(tmp_path / "new.txt")[0]
    rules = repository.path / ".sops.yaml"
    rules.write_text(rules.read_text().replace("age: ", f"age: {new},"))
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin/sops"
    fake.write_text(f'#!/bin/sh\n[ "$1" != rotate ] || {{ echo trouble >&2; exit 1; }}\nexec {sops()} "$@"\n')
    fake.chmod(0o755)
    file = repository.path / "environments/dev/secrets.sops.yaml"
    before, beside = file.read_bytes(), sorted(file.parent.iterdir())
    done = keyed("secrets", "rotate", "-e", "dev", PATH=f"{fake.parent}:{os.environ['PATH']}")
    assert done.code == 1 and "trouble" in done.err
    assert file.read_bytes() == before and sorted(file.parent.iterdir()) == beside
    assert list((tmp_path / "tmp").iterdir()) == []
    assert keyed("secrets", "rotate", "-e", "dev").code == 0 and new.encode() in file.read_bytes()


@pytest.mark.parametrize("words", [["set", "token"], ["rotate"]])
def test_a_disk_that_is_full_is_told_in_one_line(
    keyed: Run, repository: Repository, words: list[str], environment: dict[str, str]
) -> None:
    """A limit on the size of files stands in for it."""
    file = repository.path / "environments/dev/secrets.sops.yaml"
    before, beside = file.read_bytes(), sorted(file.parent.iterdir())
    limited = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))\nfrom fleet.cli.main import main\nmain()"
    call = [sys.executable, "-c", limited, "secrets", *words, "-e", "dev"]
    done = subprocess.run(call, cwd=repository.path, env=environment, input="x-value", capture_output=True, text=True,
                          check=False, timeout=60)  # fmt: skip
    assert done.returncode == 1 and "cannot be written: File too large; it is as it was" in done.stderr
    assert file.read_bytes() == before and sorted(file.parent.iterdir()) == beside


def editor(tmp_path: Path, script: str) -> str:
    path = tmp_path / "editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def everywhere(tmp_path: Path, *values: str) -> list[str]:
    """Files below the test's directories, and where the room was, that hold a value."""
    places = (tmp_path, Path("/mnt"), Path("/media"), Path("/srv"), Path("/dev/shm"))
    found: list[str] = []
    for path in (path for place in places for path in place.rglob("*") if path.is_file()):
        content = path.read_bytes()
        found += [str(path) for value in values if value.encode() in content and path.name != "editor"]
    return found


def test_edit_shows_plain_text_in_memory_only(keyed: Run, repository: Repository, tmp_path: Path) -> None:
    saw = tmp_path / "saw"
    sees = f'grep -c "{VALUE}" "$1" >{saw}; stat -f -c %T "$1" >>{saw}; sed -i s/tok-123/tok-edited/ "$1"'
    done = keyed("secrets", "edit", "-e", "dev", EDITOR=editor(tmp_path, sees))
    if "cannot be made a private place" in done.err:
        pytest.skip(done.err)
    assert (done.code, done.out) == (0, "wrote environments/dev/secrets.sops.yaml; commit it\n"), done.err
    assert saw.read_text() == "1\ntmpfs\n"
    assert everywhere(tmp_path, VALUE, "tok-edited") == []
    before = ciphertexts(repository)
    assert keyed("secrets", "edit", "-e", "dev", EDITOR="true").out == "nothing was changed\n"
    assert ciphertexts(repository) == before
    broken = keyed("secrets", "edit", "-e", "dev", EDITOR="false")
    assert broken.code == 1 and "the file is as it was" in broken.err and ciphertexts(repository) == before


def test_what_changed_while_the_editor_was_open_is_not_written_over(
    keyed: Run, repository: Repository, tmp_path: Path
) -> None:
    """A pull, say. Nothing of either is lost."""
    file = repository.path / "environments/dev/secrets.sops.yaml"
    changes = f'echo "# pulled" >>{file}; sed -i s/tok-123/tok-edited/ "$1"'
    done = keyed("secrets", "edit", "-e", "dev", EDITOR=editor(tmp_path, changes))
    if "cannot be made a private place" in done.err:
        pytest.skip(done.err)
    assert done.code == 1 and "was changed meanwhile" in done.err, done.err
    assert file.read_text().endswith("# pulled\n")
    mine = file.with_name(".secrets.sops.yaml.edited").read_text()
    assert "ENC[" in mine and "tok-edited" not in mine and "# pulled" not in mine


@pytest.mark.skipif(shutil.which("vim") is None, reason="no vim here")
def test_a_vim_that_keeps_copies_of_everything_keeps_none_of_secrets(keyed: Run, tmp_path: Path) -> None:
    """Settings of the user's own come after `--cmd`. With a key of their own the editor has their HOME, too."""
    key = (tmp_path / "age/dev.txt").rename(tmp_path / "mine.txt")
    kept = [tmp_path / "home" / name for name in ("undo", "backup", "swap")]
    for path in kept:
        path.mkdir()
    undo, backup, swap = kept
    wanted = (
        f"undofile undodir={undo}//\nset backup backupdir={backup}//\nset swapfile updatecount=1 directory={swap}//"
    )
    (tmp_path / "home/.vimrc").write_text(f"set {wanted}\n")
    words = 'vim -T dumb -c "%s/tok-123/tok-edited/" -c wq'
    done = keyed("secrets", "edit", "-e", "dev", EDITOR=words, SOPS_AGE_KEY_FILE=str(key))
    if "cannot be made a private place" in done.err:
        pytest.skip(done.err)
    assert done.code == 0 and "wrote environments/dev/secrets.sops.yaml" in done.out, done.err
    assert everywhere(tmp_path, VALUE, "tok-123", "tok-edited") == []


@pytest.mark.parametrize("sort", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_an_edit_that_is_killed_leaves_nothing(
    keyed: Run, repository: Repository, tmp_path: Path, environment: dict[str, str], sort: signal.Signals
) -> None:
    os.mkfifo(tmp_path / "ready")
    waits = f'grep -q "{VALUE}" "$1" && echo yes >{tmp_path}/ready; exec sleep 100'
    call = [sys.executable, "-m", "fleet.cli.main", "secrets", "edit", "-e", "dev"]
    before = ciphertexts(repository)
    more: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(call, cwd=repository.path, env=environment | {"EDITOR": editor(tmp_path, waits)},
                          start_new_session=True, **more) as child:  # fmt: skip
        handle = os.open(tmp_path / "ready", os.O_RDWR)
        assert os.read(handle, 10) == b"yes\n"
        os.killpg(child.pid, sort)
        os.close(handle)
    assert child.returncode != 0
    assert everywhere(tmp_path, VALUE) == []
    assert ciphertexts(repository) == before
    assert [p.name for p in (repository.path / "environments/dev").iterdir() if p.name.startswith(".")] == []
