"""Hosts that live in a directory of this machine: `up`, `down`, `list`. What runs is written down before it starts.

A directory holds `sandbox.json`, the login key `id_ed25519`, `known_hosts`, `ssh_config`, one folder per host. `down`
ends only processes inside these hosts (by mount namespace and root), also after a crash of whoever called `up`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from fleet.errors import SandboxError
from fleet.sandbox import processes, rooms
from fleet.sandbox.cgroups import Cgroups
from fleet.sandbox.copied import COPIED, make_template
from fleet.sandbox.keys import login_key, make_key
from fleet.sandbox.launch import PLAIN, SYSTEMD

PORT = 2222
START_SECONDS = 60.0
_UNSHARE = ("unshare", "-m", "-u", "--propagation", "private")


@dataclass(frozen=True, slots=True)
class HostRequest:
    """A host that should exist. address "": the next free one of 127.9.200.0/21."""

    name: str
    environment: str = "sandbox"
    address: str = ""
    port: int = PORT


@dataclass(frozen=True, slots=True)
class SandboxHost:
    """A host that was started. started: its process's start time, proc(5): a re-used id is not taken for it."""

    name: str
    environment: str
    address: str
    port: int
    flavour: str
    pid: int = 0
    started: int = 0
    namespace: str = ""
    host_key: str = ""

    @property
    def folder(self) -> str:
        return f"{self.environment}.{self.name}"

    @property
    def running(self) -> bool:
        return self.pid > 0 and processes.start_time(self.pid) == self.started

    @property
    def known_hosts_line(self) -> str:
        return f"[{self.address}]:{self.port} {self.host_key}"


class Sandbox:
    """The hosts below one directory. Not for two callers at once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self.key_file = self.directory / "id_ed25519"

    @property
    def hosts(self) -> tuple[SandboxHost, ...]:
        """What was started and not taken down; some may have died since, see `SandboxHost.running`."""
        try:
            said = json.loads((self.directory / "sandbox.json").read_text())
        except FileNotFoundError:
            return ()
        return tuple(SandboxHost(**one) for one in said)

    def find(self, name: str) -> SandboxHost:
        """By NAME or ENVIRONMENT/NAME. Raises SandboxError."""
        found = [h for h in self.hosts if name in (h.name, f"{h.environment}/{h.name}")]
        if len(found) != 1:
            known = (
                ", ".join(f"{h.environment}/{h.name}" for h in self.hosts[:10]) or "none; start some: fleet sandbox up"
            )
            raise SandboxError(f"{'no' if not found else 'more than one'} throw-away host {name!r}; there are: {known}")
        return found[0]

    def up(self, wanted: Sequence[HostRequest], flavour: str = "plain") -> tuple[SandboxHost, ...]:
        """Start what is not running yet. Raises SandboxError in one line; nothing is left behind then."""
        used = rooms.check(flavour)
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        public = login_key(self.key_file)
        old = {(h.environment, h.name): h for h in self.hosts if h.running}
        new = [
            self._prepare(request, used, public)
            for request in _addressed(wanted, list(old.values()))
            if (request.environment, request.name) not in old
        ]
        hosts = [*old.values(), *new]
        self._write(hosts)
        if used == "copied" and new:
            make_template(self.directory / "template")
        try:
            started = [self._start(host) for host in new]
            self._write([*old.values(), *started])
            self._wait(started)
        except BaseException:
            self.down()
            raise
        return tuple(started)

    def down(self) -> int:
        """End all hosts and remove the directory's contents; returns how many there were. Safe to repeat."""
        hosts = self.hosts
        namespaces = {h.namespace for h in hosts}
        namespaces |= {processes.mount_namespace(h.pid) for h in hosts if h.running}
        deadline = time.monotonic() + 20
        while left := set(processes.inside(namespaces, self.directory)):
            for pid in left:
                processes.end(pid)
            if time.monotonic() > deadline:
                raise SandboxError(f"processes {sorted(left)} of throw-away hosts do not end")
        Cgroups(self.directory).remove()
        if self.directory.exists():
            shutil.rmtree(self.directory)
        return len(hosts)

    def ssh_words(self, host: SandboxHost) -> list[str]:
        """The real client's command line for one host."""
        known = self.directory / "known_hosts"
        options = [f"UserKnownHostsFile={known}", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes", "LogLevel=ERROR"]
        flags = [word for option in options for word in ("-o", option)]
        return ["ssh", "-F", "none", "-i", str(self.key_file), *flags, "-p", str(host.port), f"root@{host.address}"]

    def _prepare(self, request: HostRequest, flavour: str, public: str) -> SandboxHost:
        private, host_key = make_key()
        host = SandboxHost(request.name, request.environment, request.address, request.port, flavour, host_key=host_key)
        folder = self.directory / "hosts" / host.folder
        (folder / "fs").mkdir(parents=True, exist_ok=True)
        (folder / "key").touch(mode=0o600)
        (folder / "key").write_bytes(private)
        (folder / "authorized_keys").write_text(public + "\n")
        return host

    def _start(self, host: SandboxHost) -> SandboxHost:
        folder = self.directory / "hosts" / host.folder
        arguments = [str(folder), host.name, host.address, str(host.port)]
        if host.flavour == "systemd":
            words = [
                "unshare",
                "-m",
                "-u",
                "-p",
                "-C",
                "-i",
                "-f",
                "--propagation",
                "private",
                "sh",
                "-c",
                SYSTEMD,
                "sh",
            ]
            before = Cgroups(self.directory).enter(host.folder)
        elif host.flavour == "copied":
            words, before = ["sh", "-c", COPIED, "sh"], None
            arguments.append(str(self.directory / "template"))
        else:
            words, before = [*_UNSHARE, "sh", "-c", PLAIN, "sh"], None
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*words, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=before,  # noqa: PLW1509 - one file is written; no lock of another thread is needed for it
            )
        return replace(host, pid=process.pid, started=processes.start_time(process.pid))

    def _wait(self, hosts: Sequence[SandboxHost]) -> None:
        """Until every sshd listens. A host that ended before that says why in its log."""
        waiting = {(h.address, h.port): h for h in hosts}
        deadline = time.monotonic() + START_SECONDS + len(hosts) * 0.2
        while waiting:
            for key in processes.listening() & set(waiting):
                del waiting[key]
            for host in waiting.values():
                if not host.running or time.monotonic() > deadline:
                    log = (self.directory / "hosts" / host.folder / "log").read_text(errors="replace").strip()
                    raise SandboxError(f"throw-away host {host.name} did not start: {log[-300:] or 'it said nothing'}")
            if waiting:
                time.sleep(0.02)
        self._write([replace(h, namespace=processes.mount_namespace(h.pid)) if h in hosts else h for h in self.hosts])

    def _write(self, hosts: Sequence[SandboxHost]) -> None:
        files = {
            "sandbox.json": json.dumps([asdict(host) for host in hosts], indent=1),
            "known_hosts": "".join(host.known_hosts_line + "\n" for host in hosts),
            "ssh_config": "".join(self._ssh_config(host) for host in hosts),
        }
        for name, text in files.items():
            new = self.directory / (name + ".new")
            new.write_text(text)
            new.replace(self.directory / name)

    def _ssh_config(self, host: SandboxHost) -> str:
        return (
            f"Host {host.name}\n  HostName {host.address}\n  Port {host.port}\n  User root\n"
            f"  IdentityFile {self.key_file}\n  UserKnownHostsFile {self.directory / 'known_hosts'}\n"
        )


def _addressed(wanted: Sequence[HostRequest], there: Sequence[SandboxHost]) -> list[HostRequest]:
    """Every request with an address that nobody else has. Only loopback addresses are taken."""
    taken = {host.address for host in there} | {request.address for request in wanted}
    free = (f"127.9.{200 + n // 250}.{1 + n % 250}" for n in range(2000))
    given = []
    for request in wanted:
        if request.address and not request.address.startswith("127."):
            raise SandboxError(
                f"{request.name} has address {request.address}: throw-away hosts live on 127.0.0.0/8 only"
            )
        address = request.address or next(one for one in free if one not in taken)
        taken.add(address)
        given.append(replace(request, address=address))
    return given
