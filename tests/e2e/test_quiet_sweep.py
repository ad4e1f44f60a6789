"""A sweep that finds nothing starts no process on the host; and what is done by hand, it finds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from fleet.transports.controller import ControllerClient
from tests.e2e.conftest import Field, chosen_seat, make_field
from tests.e2e.running import serving, until

pytestmark = pytest.mark.hosts

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJA4YAtEp07M6bnBFsyNXNIL3blTBVnTk1yo9djwUMGO"
UNIT = "[Service]\nExecStart=/bin/sleep 1000\n[Install]\nWantedBy=multi-user.target\n"
ROLE = {
    "group": {"quiet": {}},
    "user": {"ann": {"group": "quiet"}, "bob": {"group": "quiet"}},
    "directory": {"/srv/quiet": {"mode": "0755"}},
    "file": {
        "/etc/app.conf": {"content": "one\n"},
        "/etc/bob.conf": {"content": "his\n", "owner": "bob"},
        "/etc/systemd/system/quiet.service": {"content": UNIT},
    },
    "symlink": {"/etc/app.link": {"target": "app.conf"}},
    "cron": {"quiet": {"schedule": "5 4 * * *", "user": "root", "command": "/bin/true"}},
    "package": {"coreutils": {}},
    "authorized_key": {"root/somebody": {"key": KEY}},
    "service": {"quiet": {"enabled": True}},
}
# What every look of ours calls. Each call is written down; a shell of its own would be too.
WATCHED = ("stat", "grep", "systemctl", "getent", "sha256sum", "dpkg-query", "cat")
WATCH = """
for one in {names}; do
  real=$(command -v "$one"); mv "$real" "$real.real"
  printf '#!/bin/dash\\necho %s >>/run/asked\\nexec %s.real "$@"\\n' "$one" "$real" >"$real"; chmod 755 "$real"
done; : >/run/asked
"""
BY_HAND = {
    "systemctl.real stop quiet": "systemctl.real is-active --quiet quiet",
    "systemctl.real disable quiet": "systemctl.real is-enabled --quiet quiet",
    "echo 2 >/etc/app.conf": '[ "$(cat.real /etc/app.conf)" = one ]',
    "sed -i /somebody/d /root/.ssh/authorized_keys": "grep.real -q somebody /root/.ssh/authorized_keys",
    "chmod 700 /srv/quiet": '[ "$(stat.real -c %a /srv/quiet)" = 755 ]',
    # What dpkg leaves when it is cut off half way; it reads that before its own file.
    "sed -n '/^Package: coreutils$/,/^$/p' /var/lib/dpkg/status | sed 's/ok installed/ok half-configured/' "
    ">/var/lib/dpkg/updates/0000": '[ -z "$(ls /var/lib/dpkg/updates)" ]',
    "usermod -u 4242 bob": '[ "$(stat.real -c %U /etc/bob.conf)" = bob ]',
    "userdel ann": "getent.real passwd ann >/dev/null",
}


@pytest.fixture
def machine(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Field]:
    made = make_field(tmp_path, 1, "systemd")
    made.seat = chosen_seat(request)
    try:
        yield made
    finally:
        made.sandbox.down()


def test_nothing_is_started_while_nothing_changes_and_each_change_by_hand_is_healed(machine: Field) -> None:
    setting = machine.on("h-1", "cat /proc/sys/vm/swappiness").strip()
    role = {**ROLE, "sysctl": {"vm.swappiness": {"value": setting}}}
    machine.write({"base/roles/all.yaml": json.dumps({"resources": role})})
    with serving(machine) as client:
        until(lambda: verdict(client) == "in sync", client=client)
        machine.on("h-1", WATCH.format(names=" ".join(WATCHED)))
        quiet_for(machine, client, 5)
        for text, healed in BY_HAND.items():
            machine.on("h-1", text)
            until(partial(says, machine, healed), client=client)
        quiet_for(machine, client, 3)


def says(machine: Field, condition: str) -> bool:
    return machine.on("h-1", f"{condition} && echo yes", check=False) == "yes\n"


def verdict(client: ControllerClient) -> str:
    return str(next(iter(client.hosts()), {}).get("verdict"))


def quiet_for(machine: Field, client: ControllerClient, sweeps: int) -> None:
    """Until so many sweeps in a row have called none of our programs."""

    def looked() -> float:
        return float(next(iter(client.hosts()))["looked"])

    def later(than: float) -> bool:
        return looked() > than

    def is_quiet() -> bool:
        before = machine.on("h-1", "wc -l </run/asked")
        for _ in range(sweeps):
            until(partial(later, looked()), client=client)
        return machine.on("h-1", "wc -l </run/asked") == before

    until(is_quiet, 60, client)
