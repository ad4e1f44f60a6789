"""Whole commands on real throw-away hosts: plan, apply, drift, unreachable hosts, and the documents of them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from fleet.sandbox import HostRequest, Sandbox
from tests.cli.conftest import Repository

pytestmark = pytest.mark.hosts

ROLE = """\
vars: {{token: hunter2}}
resources:
  file:
    {path}/motd:
      content: "one\\ntwo\\nthree\\n"
      mode: "0644"
    {path}/secret:
      content: "{{{{ token }}}}"
      mode: "0600"
      sensitive: true
  directory:
    {path}: {{mode: "0755"}}
"""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    made = Sandbox(tmp_path_factory.mktemp("hosts"))
    try:
        made.up([HostRequest(f"web-{i}", "dev") for i in (1, 2, 3)])
        yield made
    finally:
        made.down()


@pytest.fixture
def fleet_of(repository: Repository, sandbox: Sandbox, tmp_path: Path) -> Repository:
    """Three hosts and a path of this test's own on each."""
    path = f"/srv/{tmp_path.name}"
    hosts = "hosts:\n" + "".join(
        f"  {h.name}: {{address: {h.address}, labels: {{tier: web}}}}\n" for h in sandbox.hosts
    )
    connection = f"connection: {{port: 2222, connect_timeout: 60, key_file: {sandbox.key_file}}}\n"
    known = "".join(host.known_hosts_line + "\n" for host in sandbox.hosts)
    files = {"dev/hosts.yaml": hosts, "dev/environment.yaml": connection, "dev/known_hosts": known}
    repository.write({**files, "base/roles/common.yaml": ROLE.format(path=path)}, "hosts")
    return repository


def on_host(sandbox: Sandbox, name: str, script: str) -> str:
    """What a script says on one host, run by hand."""
    words = sandbox.ssh_words(sandbox.find(name))
    ran = pexpect.run(" ".join(words) + f" '{script}'", withexitstatus=True, encoding="utf-8")
    assert isinstance(ran, tuple) and ran[1] == 0, ran
    return str(ran[0])


def test_plan_apply_and_drift_from_end_to_end(fleet_of: Repository, sandbox: Sandbox, tmp_path: Path) -> None:
    """2 pending; applied; 0 in sync; one host changed by hand: 2, with the diff; healed. A secret is never printed."""
    path = f"/srv/{tmp_path.name}"
    said = []
    planned = fleet_of("plan", "--trace")
    said.append(planned)
    assert planned.code == 2, planned
    assert "3 hosts, same change: would change\n  dev: web-[1:3]\n" in planned.out
    assert "run `fleet apply` to make these changes" in planned.out
    assert "slowest hosts" in planned.out
    applied = fleet_of("apply", "--yes")
    said.append(applied)
    assert applied.code == 0, applied
    assert "3 hosts, same change: changed, and the second look agrees" in applied.out
    assert fleet_of("plan").out.startswith("3 hosts in sync\n")

    on_host(sandbox, "web-2", f"echo evil >> {path}/motd; chmod 600 {path}/motd; echo x > {path}/secret")
    drifted = fleet_of("plan", "-e", "dev")
    said.append(drifted)
    assert drifted.code == 2
    assert "mode 0600 → 0644" in drifted.out
    assert "\n      -evil\n" in drifted.out
    assert "secret changed" in drifted.out
    assert "run `fleet apply -e dev` to make" in drifted.out
    healed = fleet_of("apply", "--yes", "--json")
    said.append(healed)
    assert healed.json["summary"] == {"in sync": 2, "changed": 1}
    assert on_host(sandbox, "web-2", f"cat {path}/motd").split() == ["one", "two", "three"]
    for done in said:
        assert "hunter2" not in done.out + done.err

    status = fleet_of("status")
    assert (status.code, "2 in sync" in status.out, "1 changed" in status.out) == (0, True, True)
    runs = fleet_of("history", "--json").json["runs"]
    assert [run["command"] for run in runs] == ["apply", "plan", "plan", "apply", "plan"]
    changes = fleet_of("history", "--host", "web-2", "--resource", f"file:{path}/motd", "--json").json["changes"]
    assert [(c["action"], c["status"]) for c in changes] == [("update", "ok"), ("create", "ok")]


def test_hosts_out_of_reach_are_unreachable_never_failed(fleet_of: Repository, sandbox: Sandbox) -> None:
    """Six more that nothing listens at, though their keys are pinned."""
    files = {
        name: (fleet_of.path / "environments" / name).read_text() for name in ("dev/hosts.yaml", "dev/known_hosts")
    }
    files["dev/hosts.yaml"] += "  web-[4:9]: {address: '127.9.77.{{ index }}'}\n"
    files["dev/known_hosts"] += f"[127.9.77.*]:2222 {sandbox.hosts[0].host_key}\n"
    fleet_of.write(files, "more hosts")
    done = fleet_of("plan", "--json")
    assert (done.code, done.json["summary"]) == (4, {"pending": 3, "unreachable": 6})
    shown = fleet_of("plan").out
    assert "6 hosts unreachable: refused; not looked at, nothing changed\n  dev: web-[4:9]\n" in shown
    assert "failed" not in shown


def test_a_host_whose_key_is_not_pinned_is_not_spoken_to(fleet_of: Repository) -> None:
    fleet_of.write({"dev/known_hosts": "# nobody\n"}, "forget")
    done = fleet_of("plan", "--host", "web-1")
    assert done.code == 4
    assert "1 host unreachable: host key" in done.out


def test_apply_asks_on_a_terminal_and_a_no_changes_nothing(fleet_of: Repository, tmp_path: Path) -> None:
    """Then a yes does, in the same look: sessions stay open while the question stands."""
    environment = {**os.environ, "FLEET_STATE_DIR": str(tmp_path / "state"), "FLEET_CACHE_DIR": str(tmp_path / "cache")}
    call = ["-m", "fleet.cli.main", "apply", "--no-color"]
    for answer, code, said in (("n", 2, "nothing was changed"), ("y", 0, "changed, and the second look agrees")):
        child = pexpect.spawn(
            sys.executable, call, cwd=str(fleet_of.path), env=environment, encoding="utf-8", timeout=30
        )  # fmt: skip
        child.expect(re.escape("make 9 changes on 3 hosts? [y/N]"))
        child.sendline(answer)
        child.expect(pexpect.EOF)
        child.close()
        assert (child.exitstatus, said in (child.before or "")) == (code, True), child.before
    assert fleet_of("plan").code == 0


def test_ctrl_c_while_hosts_are_being_changed_says_what_is_known(fleet_of: Repository, tmp_path: Path) -> None:
    """web-1 is done, web-2 hangs in a change and is unknown, web-3 waits for its turn; afterwards all is well again."""
    role = f"/srv/{tmp_path.name}"
    hang = f"resources:\n  file:\n    {role}/motd:\n      validate: sh -c 'sleep 60' {{path}}\n"
    fleet_of.write({"dev/hosts/web-2.yaml": hang}, "hang")
    environment = {**os.environ, "FLEET_STATE_DIR": str(tmp_path / "state"), "FLEET_CACHE_DIR": str(tmp_path / "cache")}
    child = pexpect.spawn(
        sys.executable, ["-m", "fleet.cli.main", "apply", "--yes", "--no-color"],
        cwd=str(fleet_of.path), env=environment, encoding="utf-8", timeout=30, dimensions=(24, 80),
    )  # fmt: skip
    child.expect("2/3")
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    shown = child.before or ""
    assert child.exitstatus == 130, shown
    assert "interrupted" in shown
    assert "1 host: unknown: lost while being changed" in shown
    assert "2 changed, 1 unknown" in shown
    fleet_of.write({"dev/hosts/web-2.yaml": "vars: {}\n"}, "mend")
    again = fleet_of("apply", "--yes")
    assert again.code == 0, again


def test_enrolling_pins_what_hosts_show_and_never_a_changed_key_unasked(fleet_of: Repository, sandbox: Sandbox) -> None:
    """Three new keys, with the fingerprints that ssh-keygen prints; then one pinned otherwise; then replaced."""
    known = fleet_of.path / "environments/dev/known_hosts"
    known.unlink()
    asked = fleet_of("hosts", "enroll", "--working-tree")
    assert (asked.code, "say --yes" in asked.err, known.exists()) == (1, True, False)
    done = fleet_of("hosts", "enroll", "--working-tree", "--yes")
    assert done.code == 0, done
    lines = {host.known_hosts_line for host in sandbox.hosts}
    assert set(known.read_text().splitlines()) == lines
    assert fleet_of("plan", "--working-tree").code == 2
    shown = pexpect.run(f"ssh-keygen -lf {known}", encoding="utf-8")
    for line in str(shown).splitlines():
        assert line.split()[1] in done.out

    first, *rest = sorted(lines)
    forged = first.rsplit(" ", 1)[0] + " " + rest[0].rsplit(" ", 1)[1]
    known.write_text("\n".join([forged, *rest]) + "\n")
    changed = fleet_of("hosts", "enroll", "--working-tree", "--yes", "--json")
    assert (changed.code, len(changed.json["changed"]), changed.json["written"]) == (5, 1, [])
    assert forged in known.read_text()
    replaced = fleet_of("hosts", "enroll", "--working-tree", "--yes", "--replace")
    assert replaced.code == 0, replaced
    assert set(known.read_text().splitlines()) == lines


@pytest.mark.parametrize(("said", "code"), [("n", 2), ("", 2), ("y", 0)])
def test_enrolling_asks_on_a_terminal_and_only_yes_is_yes(fleet_of: Repository, said: str, code: int) -> None:
    known = fleet_of.path / "environments/dev/known_hosts"
    known.unlink()
    child = pexpect.spawn(
        sys.executable,
        ["-m", "fleet.cli.main", "hosts", "enroll", "--working-tree"],
        env={**os.environ, "FLEET_STATE_DIR": str(fleet_of.path / "state"), "TERM": "xterm"},
        cwd=str(fleet_of.path),
        timeout=60,
    )
    child.expect_exact("Pin these keys?")
    child.sendline(said)
    child.expect(pexpect.EOF)
    child.close()
    assert (child.exitstatus, known.exists()) == (code, code == 0), child.before
