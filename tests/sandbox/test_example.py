"""The shipped example: every rule of merging is in it once, it becomes a repository, and it converges on real hosts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.errors import SandboxError
from fleet.sandbox import HostRequest, Sandbox, SandboxHost, rooms, state
from fleet.sandbox.example import commit, example_directory, pin, prepare

LAB = {
    "environment.yaml": "vars: {domain: lab.example.org}\nconnection: {port: 2222}\n",
    "hosts.yaml": "hosts:\n  web-1: {address: ADDRESS, labels: {tier: web}}\n",
}
RULES = (
    *(r"!append \[", r": !remove", r": !replace \{", r": !raw ", r"^extends: dev", r"web-\[01:40\]", r"db-\[a,b,c\]"),
    *(r"hosts\(role=", r"via: gate", r"creates:", r"reload_on:", r"needs: \[", r"match: \{"),
)


def fleet(repository: Path, *words: str, key: Path = Path("/nonexistent")) -> subprocess.CompletedProcess[str]:
    own = {"FLEET_KEY_FILE": str(key)}
    own |= {f"FLEET_{name}_DIR": str(repository.parent / name.lower()) for name in ("STATE", "CACHE")}
    call = [sys.executable, "-m", "fleet.cli.main", *words]
    return subprocess.run(call, cwd=repository, env=os.environ | own, capture_output=True, text=True, check=False)


def git(repository: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(repository), *words], capture_output=True, text=True, check=True).stdout


def texts() -> dict[str, str]:
    root = example_directory()
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*.yaml")}


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_shown(rule: str) -> None:
    found = [name for name, text in texts().items() if re.search(rule, text, re.M)]
    found += [p.name for p in example_directory().rglob("*.j2") if re.search(rule, p.read_text())]
    assert found


def test_what_the_readme_of_the_example_points_at_is_there() -> None:
    """Each `path` in its table exists, and each rule stands in the file that it names."""
    root = example_directory()
    table = (root / "README.md").read_text()
    paths = re.findall(r"`((?:base|dev|staging|production)/[^`]*)`", table)
    assert len(paths) > 12 and all((root / path).exists() for path in paths)
    for line in table.splitlines():
        said = re.match(r"\| `(!\w+)` \| (?:`([^`]+)` in )?`([^`]+)` \|", line)
        if said:
            assert said[1] in (root / said[3]).read_text() and (said[2] or "") in (root / said[3]).read_text()


def test_it_becomes_a_repository_with_its_keys_pinned(tmp_path: Path) -> None:
    """One commit with the example exactly as it is, then one with the keys, for each environment its own."""
    repository = prepare(tmp_path / "repository")
    assert git(repository, "log", "--format=%an %s") == "Example Team The example fleet\n"
    done = fleet(repository, "validate")
    assert done.returncode == 0, done.stderr
    assert "valid: 66 hosts in 3 environments" in done.stdout
    with pytest.raises(SandboxError, match="already there"):
        prepare(tmp_path / "repository")
    hosts = [SandboxHost("web-1", env, f"127.9.{n}.1", 2222, "plain", host_key="ssh-ed25519 AAAA") for n, env in
             enumerate(("dev", "staging"), 1)]  # fmt: skip
    (tmp_path / "hosts").mkdir()
    state.write(tmp_path / "hosts", hosts)
    for _ in range(2):
        pin(repository, Sandbox(tmp_path / "hosts"))
    assert git(repository, "log", "--format=%s").splitlines()[0] == "Pin the keys of the throw-away hosts"
    assert git(repository, "rev-list", "--count", "HEAD") == "2\n"
    assert git(repository, "show", "HEAD:environments/staging/known_hosts") == "[127.9.2.1]:2222 ssh-ed25519 AAAA\n"


@pytest.fixture
def systemd_host(tmp_path: Path) -> Iterator[Sandbox]:
    """One with a real systemd, on which packages can be had from the network."""
    sandbox = Sandbox(tmp_path / "hosts")
    try:
        assert rooms.check("systemd") == "systemd"
    except SandboxError as error:
        pytest.skip(str(error))
    sandbox.up([HostRequest("web-1", "lab")], "systemd")
    script = "apt-get update -qq && apt-get install --download-only -yqq nginx"
    words = [*sandbox.ssh_words(sandbox.hosts[0]), script]
    if subprocess.run(words, capture_output=True, check=False, timeout=200).returncode:
        sandbox.down()
        pytest.skip("no package archive can be reached from here")
    yield sandbox
    sandbox.down()


@pytest.mark.hosts
@pytest.mark.timeout(300)
@pytest.mark.skipif(shutil.which("dpkg") is None, reason="the example is for Debian")
def test_its_web_server_is_a_web_server(systemd_host: Sandbox, tmp_path: Path) -> None:
    """`base` alone, on a host with systemd: one apply installs nginx, replaces what the package brought, and starts it
    with a configuration that nginx accepts; the second plan is empty; a change of the template reloads it once."""
    host = systemd_host.hosts[0]
    repository = prepare(tmp_path / "repository")
    (repository / "environments/lab").mkdir()
    for name, text in LAB.items():
        (repository / "environments/lab" / name).write_text(text.replace("ADDRESS", host.address))
    pin(repository, systemd_host)

    def run(*words: str) -> str:
        done = fleet(repository, *words, "-e", "lab", key=systemd_host.key_file)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def on(script: str) -> str:
        words = [*systemd_host.ssh_words(host), script]
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=30).stdout.strip()

    run("apply", "--yes")
    assert "1 host in sync" in run("plan")
    assert on("systemctl is-active nginx; systemctl is-enabled nginx; nginx -tq; ls /etc/nginx/sites-enabled") == (
        "active\nenabled\nshop"
    )
    started = on("systemctl show -p MainPID --value nginx")
    template = repository / "environments/base/files/web/nginx.conf.j2"
    template.write_text(template.read_text().replace("sendfile on;", "sendfile off;"))
    commit(repository, "No sendfile")
    assert "reload" in run("apply", "--yes")
    assert (
        on("systemctl show -p MainPID --value nginx; nginx -T 2>/dev/null | grep -c 'sendfile off'") == f"{started}\n1"
    )
    assert "1 host in sync" in run("plan")
