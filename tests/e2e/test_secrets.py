"""Secrets on real hosts: put there, found in sync, found changed, healed; decrypted once, for whom they are only."""

from __future__ import annotations

import json
import os
import shlex

import pytest

from fleet.sandbox.example import commit
from fleet.secrets.program import sops
from tests.e2e.conftest import Field
from tests.secrets.keys import encrypted, make_key

pytestmark = pytest.mark.hosts

ROLE = """\
resources:
  file:
    /etc/app.conf:
      content: |
        user = app
        password = {{ secret('password') }}
        url = https://{{ secret('password') | urlencode }}@db/
    /etc/app.p12: {content: !secret app.p12}
  block:
    /etc/hosts#app: {content: "# {{ secret('password') }}"}
"""
VALUE = "p4ss wörd/'\"$x"
BINARY = bytes(range(256)) * 3


@pytest.fixture
def secret(lab: Field) -> Field:
    """Its environment has a text and a binary secret; h-2 has a value of its own."""
    recipient = make_key(lab.root / "age", "lab")
    lab.lines |= {"FLEET_AGE_DIR": str(lab.root / "age")}
    where = lab.repository / "environments/lab"
    for path, content in {
        "secrets.sops.yaml": encrypted({"password": VALUE, "unused": "never-asked-for"}, recipient),
        "secrets/app.p12.sops": encrypted(BINARY, recipient, format_="binary"),
        "hosts/h-2.secrets.sops.yaml": encrypted({"password": "of-h-2-only"}, recipient),
    }.items():
        (where / path).parent.mkdir(parents=True, exist_ok=True)
        (where / path).write_bytes(content)
    lab.write({"base/roles/all.yaml": ROLE})
    return lab


def test_put_there_in_sync_changed_by_hand_and_healed(secret: Field) -> None:
    assert secret.fleet("apply", "--yes").code == 0
    expected = f"user = app\npassword = {VALUE}\nurl = https://p4ss%20w%C3%B6rd%2F%27%22%24x@db/\n640 root\n"
    assert secret.on("h-1", "cat /etc/app.conf; stat -c '%a %U' /etc/app.conf") == expected
    assert "password = of-h-2-only\n" in secret.on("h-2", "cat /etc/app.conf")
    hexed = secret.on("h-3", "od -An -v -tx1 /etc/app.p12 | tr -d ' \\n'")
    assert bytes.fromhex(hexed) == BINARY
    assert secret.on("h-1", "grep -A1 BEGIN /etc/hosts | tail -1") == f"# {VALUE}\n"
    again = secret.fleet("plan", "--json")
    assert again.code == 0 and again.json["summary"] == {"in sync": 3}
    secret.on("h-1", "sed -i 's/^password.*/password = by-hand/' /etc/app.conf; chmod 604 /etc/app.conf")
    drift = secret.fleet("plan")
    assert drift.code == 2 and "-password = (not shown)" in drift.out and "by-hand" not in drift.out
    assert "mode 0604 → 0640" in drift.out and "2 hosts in sync" in drift.out
    assert secret.fleet("apply", "--yes").code == 0
    assert secret.on("h-1", "cat /etc/app.conf; stat -c '%a %U' /etc/app.conf") == expected


def test_a_file_made_for_a_block_with_a_secret_is_not_everybody_s(secret: Field) -> None:
    role = "resources:\n  block:\n    /etc/new#a: {content: !secret password, create: true}\n"
    secret.write({"base/roles/all.yaml": role + "    /etc/hosts#a: {content: !secret password, create: true}\n"})
    before = secret.on("h-1", "stat -c %a /etc/hosts")
    assert secret.fleet("apply", "--yes").code == 0
    assert secret.on("h-1", "stat -c %a /etc/new /etc/hosts") == f"640\n{before}"


def test_a_line_is_masked_before_it_is_cut(secret: Field) -> None:
    """What a screen holds ends within the secret, which by then is no longer known for one."""
    secret.write({"base/roles/all.yaml": ROLE.replace("  block:", "    /etc/plain: {content: plain}\n  block:")})
    line = "x" * 494 + VALUE
    for host in ("h-1", "h-3"):
        secret.on(host, f"printf '%s\\nplain\\n' {shlex.quote(line)} >/etc/plain")
    said = secret.fleet("plan", "-v", "--host", "h-1", "--host", "h-3").out
    assert "-xxxx" in said and "xp4ss" not in said


def test_each_file_is_decrypted_once_and_counted_in_the_trace(secret: Field) -> None:
    told = secret.fleet("plan", "--json", "--trace").json["trace"]
    decrypted = [host for host in told["hosts"] if "decrypt" in host["stages"]]
    # Three files, three hosts: whoever came first for a file waited for it.
    assert 1 <= len(decrypted) <= 3


def test_a_host_without_secrets_needs_no_key(secret: Field) -> None:
    (secret.root / "age/lab.txt").unlink()
    secret.write({"base/roles/all.yaml": "resources: {}\n", "lab/hosts/h-1.yaml": ROLE})
    done = secret.fleet("plan", "--json")
    verdicts = {host["host"]: host["verdict"] for host in done.json["hosts"]}
    assert verdicts == {"h-1": "failed", "h-2": "in sync", "h-3": "in sync"}
    [failed] = [host for host in done.json["hosts"] if host["host"] == "h-1"]
    assert (
        failed["error"]["type"] == "secret" and "lab.txt, or name it in SOPS_AGE_KEY_FILE" in failed["error"]["message"]
    )


def test_a_secret_with_a_nul_byte_is_for_files_only(secret: Field) -> None:
    secret.write({"base/roles/all.yaml": "resources: {block: {/etc/hosts#app: {content: !secret app.p12}}}\n"})
    done = secret.fleet("apply", "--yes")
    assert done.code == 3 and "app.p12: a secret with a NUL byte can only be the content of a file" in done.out
    assert "report" not in done.out and "fleet" not in secret.on("h-1", "cat /etc/hosts")


def test_a_host_whose_key_is_not_pinned_never_gets_as_far_as_a_secret(secret: Field) -> None:
    """Nothing is decrypted for it, and not a byte of anything is sent."""
    spy = secret.root / "spy"
    spy.mkdir()
    log = spy / "log"
    (spy / "sops").write_text(f'#!/bin/sh\necho called >>{log}\nexec {sops()} "$@"\n')
    (spy / "sops").chmod(0o755)
    secret.lines["PATH"] = f"{spy}:{os.environ['PATH']}"
    known = secret.repository / "environments/lab/known_hosts"
    lines = known.read_text().splitlines()
    swapped = [" ".join([line.split()[0], *lines[-1 - n].split()[1:]]) for n, line in enumerate(lines)]
    known.write_text("\n".join(swapped[:1] + lines[1:2] + swapped[2:]) + "\n")
    commit(secret.repository, "wrong keys")
    done = secret.fleet("plan", "--host", "h-1", "--json")
    assert done.json["hosts"][0]["verdict"] == "unreachable" and json.dumps(done.json).count("host key") >= 1
    assert not log.exists()
    assert secret.fleet("plan", "--host", "h-2").code == 2
    assert log.exists()


def test_what_held_a_secret_is_not_shown_when_it_comes_back_without_one(secret: Field) -> None:
    """Not after a revision that does not manage it, and not when a file takes the place of its block."""
    role = "resources:\n  file: {/etc/one: {content: !secret password}}\n"
    role += "  block: {/etc/two#app: {content: !secret password, create: true}}\n"
    secret.write({"base/roles/all.yaml": role})
    assert secret.fleet("apply", "--yes").code == 0
    plain = "resources: {file: {/etc/one: {content: plain}, /etc/two: {content: plain}}}\n"
    secret.write({"base/roles/all.yaml": plain})
    said = secret.fleet("plan", "-vv")
    assert said.code == 2 and VALUE not in said.out and "of-h-2-only" not in said.out
    secret.write({"base/roles/all.yaml": "resources: {}\n"})
    assert secret.fleet("apply", "--yes").code == 0
    secret.write({"base/roles/all.yaml": plain})
    said = secret.fleet("plan", "-vv")
    assert said.code == 2 and VALUE not in said.out and "of-h-2-only" not in said.out
    assert secret.fleet("apply", "--yes").code == 0
    secret.write({"base/roles/all.yaml": plain.replace("plain", "changed")})
    assert "-plain" in secret.fleet("plan", "-vv").out
