"""`service` on a host with a real systemd: started, enabled, reloaded once, restarted for a new unit, masked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Field, make_field

pytestmark = pytest.mark.hosts

ROLE = """\
resources:
  file:
    /etc/fleet-a.conf: {{content: "{a}\\n"}}
    /etc/fleet-b.conf: {{content: "{b}\\n"}}
    /etc/systemd/system/fleet-test.service:
      content: |
        [Service]
        ExecStart=/bin/sleep {seconds}
        ExecReload=/bin/sh -c 'echo reload >> /run/fleet-reloads'
        [Install]
        WantedBy=multi-user.target
  service:
    fleet-test:
      running: {running}
      enabled: true
      reload_on: [file:/etc/fleet-a.conf, file:/etc/fleet-b.conf]
      restart_on: [file:/etc/systemd/system/fleet-test.service]
"""
STATE = "systemctl is-active fleet-test; systemctl is-enabled fleet-test; cat /run/fleet-reloads 2>/dev/null; true"
MAIN = "systemctl show -p MainPID --value fleet-test"


def role(a: str = "1", b: str = "1", seconds: int = 1000, running: str = "true") -> dict[str, str]:
    return {"base/roles/all.yaml": ROLE.format(a=a, b=b, seconds=seconds, running=running)}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Field]:
    made = make_field(tmp_path, 1, "systemd")
    try:
        yield made
    finally:
        made.sandbox.down()


def test_a_service_follows_its_files_and_its_unit(host: Field) -> None:
    host.write(role())
    first = host.fleet("apply", "--yes")
    assert first.code == 0, first.out + first.err
    assert host.on("h-1", STATE) == "active\nenabled\n", "started, so nothing to reload"
    assert host.fleet("plan").code == 0

    host.write(role(a="2", b="2"))
    assert host.fleet("apply", "--yes").code == 0
    assert host.on("h-1", STATE) == "active\nenabled\nreload\n", "two files changed: reloaded once"

    before = host.on("h-1", MAIN)
    host.write(role(a="2", b="2", seconds=2000))
    done = host.fleet("apply", "--yes")
    assert done.code == 0, done.out
    assert host.on("h-1", MAIN) != before, "restarted"
    assert "sleep 2000" in host.on("h-1", "tr '\\0' ' ' < /proc/$(" + MAIN + ")/cmdline"), "systemd read the new unit"
    assert host.fleet("plan").code == 0

    host.on("h-1", "systemctl stop fleet-test")
    drift = host.fleet("plan")
    assert drift.code == 2 and "running no → yes" in drift.out, drift.out
    host.write(role(a="2", b="2", seconds=2000, running="false"))
    assert host.fleet("plan").code == 0


def test_a_reload_that_was_lost_is_done_by_the_next_pass(host: Field) -> None:
    """The file was changed and its service's reload was written down, but the apply ended before it was done."""
    host.write(role())
    assert host.fleet("apply", "--yes").code == 0
    host.on(
        "h-1",
        "d=/var/lib/fleet/due; n=$(printf %s service:fleet-test | sha256sum | cut -d' ' -f1); "
        "echo 'reload service:fleet-test' > $d/$n",
    )
    assert host.fleet("plan").code == 2
    done = host.fleet("apply", "--yes")
    assert done.code == 0, done.out + done.err
    assert host.on("h-1", STATE) == "active\nenabled\nreload\n"
    assert host.on("h-1", "ls -A /var/lib/fleet/due") == "", "and struck out"
    assert host.fleet("plan").code == 0
