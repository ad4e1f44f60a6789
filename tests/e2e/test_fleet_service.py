"""`fleet serve` as a service with a real systemd, under the unit that `fleet service install` writes.

`make test-unit` runs all tests of a controller so; here are those that touch most of what the unit shuts.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.desired.remotes import smart_http
from tests.e2e import test_serve
from tests.e2e.conftest import Field
from tests.e2e.running import role, until
from tests.e2e.seat import Seat

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("seat")]

IMPATIENT = "printf '[Service]\\nWatchdogSec=4\\nRestartSec=1\\n' > /etc/systemd/system/fleet.service.d/more.conf"


@pytest.fixture
def service(lab: Field, seat: Seat) -> Field:
    lab.seat = seat
    return lab


@pytest.mark.parametrize(
    "test",
    [
        test_serve.test_a_commit_reaches_every_host_and_what_is_changed_by_hand_is_healed,
        test_serve.test_a_signed_message_of_a_git_server_brings_a_commit_at_once_and_a_flood_costs_little,
        test_serve.test_a_newer_commit_takes_over_between_two_resources_of_a_script,
    ],
    ids=lambda test: test.__name__.removeprefix("test_"),
)
def test_under_the_unit(service: Field, test: Callable[[Field], None]) -> None:
    test(service)


def test_the_service_is_told_of_and_started_again_when_it_hangs(service: Field, seat: Seat) -> None:
    service.write({"base/roles/all.yaml": role("one\n"), "base/environment.yaml": "roles: {all: {}}\nsweep: 1s\n"})
    seat.take(service.root, service.sandbox.key_file)
    seat.on(IMPATIENT)
    with smart_http(service.repository) as web:
        seat.start(f"{web.url}/.git", {"FLEET_POLL": "1"})
        until(lambda: service.on("h-1", "cat /etc/app.conf", check=False) == "one\n", 40)
        until(lambda: "StatusText=3 in sync" in seat.on("systemctl show fleet -p StatusText"))
        told = seat.on("systemctl show fleet -p NRestarts -p User")
        assert "NRestarts=0" in told and "User=fleet" in told
        assert "the controller started" in seat.on("FLEET_SOCKET=/run/fleet/fleet.sock fleet status")
        # A reload reads its settings again; the journal has the log as JSON, and knows how bad each line is.
        seat.on("echo 'passes: 7' >> /etc/fleet/config.yaml; systemctl reload fleet")
        until(lambda: "setting passes: 256 -> 7" in seat.journal())
        (line,) = seat.on("journalctl -u fleet -o json --no-pager | grep 'setting passes'").splitlines()
        entry = json.loads(line)
        assert entry["PRIORITY"] == "6" and json.loads(entry["MESSAGE"])["event"] == "settings"
        assert "NRestarts=0" in seat.on("systemctl show fleet -p NRestarts")
        # It hangs: the watchdog ends it, systemd starts it again, and it goes on.
        seat.on("kill -STOP $(systemctl show fleet -p MainPID --value)")
        until(lambda: "NRestarts=1" in seat.on("systemctl show fleet -p NRestarts"), 60)
        service.on("h-1", "rm -f /etc/app.conf")
        until(lambda: service.on("h-1", "cat /etc/app.conf", check=False) == "one\n", 40)
        seat.stop(restarts=1)
    owned = seat.on("stat -c '%U %a' /var/lib/fleet /var/lib/fleet/history.db").split()
    assert owned == ["fleet", "700", "fleet", "600"]


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
