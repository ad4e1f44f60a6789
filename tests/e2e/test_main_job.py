"""The main job on real hosts, through the real command: commit → plan → apply → nothing to do → drift → healed."""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path

import pytest

from tests.e2e.conftest import Field

pytestmark = pytest.mark.hosts

ROLE = """\
resources:
  file:
    /etc/motd: {content: "one\\n", mode: "0644"}
    /etc/fleet-test/a.conf: {content: "a\\n"}
  directory:
    /etc/fleet-test: {mode: "0750"}
  user:
    fleetuser: {shell: /bin/sh}
"""


def test_plan_apply_plan_drift_heal(lab: Field) -> None:
    """Exit codes 2, 0, 0, 2, 0, and the hosts' own word for what is on them."""
    lab.write({"base/roles/all.yaml": ROLE})
    first = lab.fleet("plan")
    assert first.code == 2, first.out + first.err
    assert "3 hosts" in first.out and "directory:/etc/fleet-test" in first.out
    applied = lab.fleet("apply", "--yes", "--json")
    assert applied.code == 0, applied.out + applied.err
    assert lab.on("h-2", "cat /etc/motd /etc/fleet-test/a.conf; stat -c %a /etc/fleet-test; id -un fleetuser") == (
        "one\na\n750\nfleetuser\n"
    )
    assert lab.fleet("plan").code == 0
    lab.on("h-2", "echo two >> /etc/motd")
    drift = lab.fleet("plan")
    assert drift.code == 2 and "-two" in drift.out and "2 hosts in sync" in drift.out
    assert lab.fleet("apply", "--yes").code == 0
    assert lab.on("h-2", "cat /etc/motd") == "one\n"


def test_a_host_that_is_gone_is_unreachable_never_failed_and_holds_up_nobody(lab: Field) -> None:
    lab.write({"base/roles/all.yaml": ROLE})
    os.kill(lab.host("h-1").pid, signal.SIGKILL)
    done = lab.fleet("apply", "--yes", "--json")
    verdicts = {h["host"]: h["verdict"] for h in done.json["hosts"]}
    assert done.code == 4, done.err
    assert verdicts == {"h-1": "unreachable", "h-2": "changed", "h-3": "changed"}
    assert "refused" in lab.fleet("plan").out


def test_a_changed_host_key_stops_that_host_before_anything_is_sent(lab: Field) -> None:
    lab.write({"base/roles/all.yaml": ROLE})
    other = lab.host("h-2").host_key
    known = lab.repository / "environments/lab/known_hosts"
    lines = known.read_text().splitlines()
    lines[0] = " ".join([lines[0].split()[0], *other.split()])
    lab.write({"lab/known_hosts": "\n".join(lines) + "\n"})
    done = lab.fleet("apply", "--yes")
    assert done.code == 4 and "fleet hosts enroll -e lab --host h-1" in done.out
    assert lab.on("h-1", "test ! -e /etc/fleet-test && test ! -e /var/lib/fleet && echo untouched") == "untouched\n"


def test_a_host_remembers_its_environment(lab: Field) -> None:
    """The same host in another environment's inventory is refused: exit code 5, nothing changed."""
    lab.write({"base/roles/all.yaml": ROLE})
    assert lab.fleet("apply", "--yes").code == 0
    moved = {"lab/hosts.yaml": "hosts: {}\n"}
    for name in ("hosts.yaml", "known_hosts"):
        moved[f"other/{name}"] = (lab.repository / "environments/lab" / name).read_text()
    moved["base/roles/all.yaml"] = ROLE.replace("one", "other")
    lab.write(moved)
    done = lab.fleet("apply", "--yes")
    assert done.code == 5 and "belongs to environment 'lab'" in done.out
    assert lab.on("h-1", "cat /etc/motd") == "one\n"


def test_killed_in_the_middle_of_an_apply_the_file_is_old_or_new_and_the_next_run_finishes(lab: Field) -> None:
    """SIGKILL of the controller while a host is busy: an honest record, no half file, and the next apply completes."""
    slow = ROLE + '  command:\n    wait: {shell: "touch /root/began; sleep 30.125", unless: test -e /root/done}\n'
    lab.write({"base/roles/all.yaml": slow})
    process = lab.start("apply", "--yes")
    while "yes" not in lab.on("h-1", "test -e /root/began && echo yes; true"):
        assert process.poll() is None
    process.kill()
    process.communicate()
    assert lab.on("h-1", "cat /etc/motd 2>/dev/null; ls -A /etc/fleet-test") in ("one\na.conf\n", "one\n")
    database = Path(lab.environment["FLEET_STATE_DIR"]) / "history.db"
    with sqlite3.connect(database) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert "nobody knows" in lab.fleet("status").out
    lab.on("h-1", "touch /root/done; pkill -f '[s]leep 30.125'; true")
    lab.on("h-2", "touch /root/done; pkill -f '[s]leep 30.125'; true")
    lab.on("h-3", "touch /root/done; pkill -f '[s]leep 30.125'; true")
    lab.write({"base/roles/all.yaml": ROLE.replace("one", "two")})
    done = lab.fleet("apply", "--yes")
    assert done.code == 0, done.out + done.err
    left = lab.on("h-1", "cat /etc/motd; ls -A /etc/fleet-test; ls /var/lib/fleet/lock 2>/dev/null; true")
    assert left == "two\na.conf\n", "no temporary file, no lock"


def test_ctrl_c_ends_cleanly_and_says_what_was_not_done(lab: Field) -> None:
    lab.write({"base/roles/all.yaml": 'resources:\n  command:\n    wait: {shell: "sleep 77", unless: "false"}\n'})
    process = lab.start("apply", "--yes")
    while "sleep" not in lab.on("h-1", "ps ax -o args | grep '^sleep 77'; true"):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130 and "interrupted" in out
    assert lab.on("h-1", "ps ax -o args | grep '^sleep 77'; true") == "", "nothing of ours runs on"


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        ("mount -t tmpfs -o size=16k tmpfs /etc/fleet-test && head -c 12k /dev/zero > /etc/fleet-test/full", "space"),
        ("mount -t tmpfs -o ro tmpfs /etc/fleet-test", "Read-only file system"),
    ],
    ids=["no space left", "read-only"],
)
def test_a_full_or_read_only_disk_fails_with_its_own_words_and_leaves_nothing_half(
    lab: Field, breaks: str, said: str
) -> None:
    big = "x" * 30000
    role = (
        f'resources:\n  file:\n    /etc/fleet-test/a.conf: {{content: "{big}"}}\n    /etc/motd: {{content: "one\\n"}}\n'
    )
    lab.write({"base/roles/all.yaml": role})
    lab.on("h-1", "mkdir -p /etc/fleet-test && " + breaks)
    lab.on("h-2", "mkdir -p /etc/fleet-test")
    lab.on("h-3", "mkdir -p /etc/fleet-test")
    done = lab.fleet("apply", "--yes")
    assert done.code == 3, done.out + done.err
    assert said.lower() in done.out.lower(), done.out
    assert lab.on("h-1", "ls -A /etc/fleet-test; cat /etc/motd") in ("full\none\n", "one\n")
    assert lab.on("h-2", "wc -c < /etc/fleet-test/a.conf") == "30000\n"


def test_no_stat_on_a_host_makes_its_resources_unreadable_not_absent(lab: Field) -> None:
    lab.write({"base/roles/all.yaml": ROLE})
    assert lab.fleet("apply", "--yes").code == 0
    lab.on("h-1", "rm -f $(command -v stat)")
    done = lab.fleet("plan")
    assert done.code == 3, done.out
    assert "2 hosts in sync" in done.out and "+ file:/etc/motd" not in done.out


def test_escapes_and_bad_utf8_from_a_host_never_reach_the_terminal(lab: Field) -> None:
    lab.write({"base/roles/all.yaml": ROLE})
    lab.on("h-1", "printf '\\033]0;owned\\007\\033[31m\\377\\302\\n' > /etc/motd")
    out = lab.fleet("plan").out
    assert "\x1b" not in out and "\x07" not in out and "\\x1b" in out and "\\xff" in out
