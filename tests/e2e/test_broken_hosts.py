"""Hosts that are broken in the ways hosts are: each ends in its own words, and the others go on."""

from __future__ import annotations

import socket

import pytest

from tests.e2e.conftest import Field

pytestmark = pytest.mark.hosts

MOTD = 'resources:\n  file:\n    /etc/motd: {content: "one\\n"}\n'
LOGIN = """useradd -m -p '*' ops && mkdir -m 700 ~ops/.ssh &&
cp /root/.ssh/authorized_keys ~ops/.ssh/ && chown -R ops: ~ops/.ssh"""


def hosts_yaml(lab: Field, first: str) -> str:
    """hosts.yaml with another connection for h-1."""
    lines = [f"  {h.name}: {{address: {h.address}, connection: {{port: {h.port}}}}}" for h in lab.sandbox.hosts]
    one = lab.host("h-1")
    lines[0] = f"  h-1: {{address: {one.address}, connection: {{port: {one.port}, {first}}}}}"
    return "hosts:\n" + "\n".join(lines) + "\n"


def test_a_host_that_accepts_and_says_nothing_times_out_and_holds_up_nobody(lab: Field) -> None:
    with socket.create_server(("127.9.250.250", 0)) as silent:
        port = silent.getsockname()[1]
        text = hosts_yaml(lab, "connect_timeout: 1").replace(lab.host("h-1").address, "127.9.250.250", 1)
        text = text.replace(f"port: {lab.host('h-1').port}", f"port: {port}", 1)
        known = f"[127.9.250.250]:{port} {lab.host('h-1').host_key}\n"
        known += (lab.repository / "environments/lab/known_hosts").read_text()
        lab.write({"base/roles/all.yaml": MOTD, "lab/hosts.yaml": text, "lab/known_hosts": known})
        done = lab.fleet("apply", "--yes", "--json")
    verdicts = {h["host"]: h["verdict"] for h in done.json["hosts"]}
    assert (done.code, verdicts) == (4, {"h-1": "unreachable", "h-2": "changed", "h-3": "changed"})
    assert "did not answer within 1 s" in done.out or "timeout" in done.out


def test_a_user_without_permission_fails_and_says_what_was_denied(lab: Field) -> None:
    lab.on("h-1", LOGIN)
    lab.write({"base/roles/all.yaml": MOTD, "lab/hosts.yaml": hosts_yaml(lab, "user: ops")})
    done = lab.fleet("apply", "--yes")
    assert done.code == 3, done.out
    assert "ermission denied" in done.out
    assert lab.on("h-2", "cat /etc/motd") == "one\n"


def test_sudo_that_wants_a_password_is_said_at_once(lab: Field) -> None:
    lab.on("h-1", LOGIN + " && echo 'ops ALL=(ALL) ALL' > /etc/sudoers.d/ops")
    lab.write({"base/roles/all.yaml": MOTD, "lab/hosts.yaml": hosts_yaml(lab, "user: ops, become: sudo")})
    done = lab.fleet("plan")
    assert done.code == 4 and "become" in done.out and "NOPASSWD" in done.out, done.out


def test_sudo_without_a_password_becomes_root(lab: Field) -> None:
    lab.on("h-1", LOGIN + " && echo 'ops ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/ops")
    lab.write({"base/roles/all.yaml": MOTD, "lab/hosts.yaml": hosts_yaml(lab, "user: ops, become: sudo")})
    done = lab.fleet("apply", "--yes")
    assert done.code == 0, done.out + done.err
    assert lab.on("h-1", "cat /etc/motd; stat -c %U /etc/motd") == "one\nroot\n"
