"""Hosts that live in a directory of this machine: `up`, `down`, and the words to log in with.

A directory holds `sandbox.json`, the login key `id_ed25519`, `known_hosts`, `ssh_config`, one folder per host. What is
started is written down before; `down` ends only processes of these hosts, also after a crash of whoever called `up`.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from fleet.errors import SandboxError
from fleet.sandbox import processes, rooms, state
from fleet.sandbox.cgroups import Cgroups
from fleet.sandbox.flavours import FLAVOURS
from fleet.sandbox.keys import login_key, make_key
from fleet.sandbox.state import HostRequest, SandboxHost

START_SECONDS = 60.0
END_SECONDS = 30.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")
AT_ONCE = 32  # hosts whose start is under way: enough to keep every core busy, few enough to keep memory even


class Sandbox:
    """The hosts below one directory. Not for two callers at once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()  # as the kernel tells it, or no process would be recognised as ours
        self.key_file = self.directory / state.KEY
        self._children: set[int] = set()

    @property
    def hosts(self) -> tuple[SandboxHost, ...]:
        """What was started and not taken down; some may have died since, see `SandboxHost.running`."""
        return state.read(self.directory)

    def find(self, name: str) -> SandboxHost:
        """By NAME or ENVIRONMENT/NAME. Raises SandboxError."""
        hosts = self.hosts
        found = [h for h in hosts if name in (h.name, h.label)]
        if len(found) != 1:
            known = ", ".join(h.label for h in hosts[:10]) or "none; start some: fleet sandbox up"
            more = f" and {len(hosts) - 10} more" if len(hosts) > 10 else ""
            near = get_close_matches(name, [word for h in hosts for word in (h.name, h.label)], 1)
            meant = f" (did you mean {near[0]}?)" if near and not found else ""
            what = "no" if not found else "more than one"
            raise SandboxError(f"{what} throw-away host {name!r}{meant}; there are: {known}{more}")
        return found[0]

    def up(self, wanted: Sequence[HostRequest], flavour: str = "plain") -> tuple[SandboxHost, ...]:
        """Start what is not running yet, and return it. Raises SandboxError in one line; what ran before runs on."""
        used = rooms.check(flavour)
        state.is_ours(self.directory)
        running = [host for host in self.hosts if host.running]
        new = [
            SandboxHost(request.name, request.environment, request.address, request.port, used)
            for request in _addressed(wanted, running, str(self.directory))
        ]
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        state.write(self.directory, [*running, *new])
        try:
            new = self._prepare(new)
            state.write(self.directory, [*running, *new])
            started = self._start(new)
        except BaseException:
            for host in new:
                self._clear(self._folder(host))
            state.write(self.directory, running)
            if not running:
                self.down()
            raise
        state.write(self.directory, [*running, *started])
        return started

    def down(self) -> int:
        """End all hosts and remove what `up` made, nothing else; returns how many there were. Safe to repeat."""
        if not state.is_ours(self.directory):
            return 0
        count = 0
        with contextlib.suppress(SandboxError):  # a state file that a crash of the machine cut in half
            count = len(self.hosts)
        self._clear(self.directory / "hosts")
        Cgroups(self.directory).remove()
        for name in state.OWN_FOLDERS:
            shutil.rmtree(self.directory / name, ignore_errors=not (self.directory / name).exists())
        for name in state.OWN_FILES:
            (self.directory / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody put a file of their own there
            self.directory.rmdir()
        return count

    def ssh_words(self, host: SandboxHost) -> list[str]:
        """The real client's command line for one host."""
        known = self.directory / state.KNOWN_HOSTS
        options = [f'UserKnownHostsFile="{known}"', "IdentitiesOnly=yes", "StrictHostKeyChecking=yes", "LogLevel=ERROR"]
        flags = [word for option in options for word in ("-o", option)]
        return ["ssh", "-F", "none", "-i", str(self.key_file), *flags, "-p", str(host.port), f"root@{host.address}"]

    def _folder(self, host: SandboxHost) -> Path:
        return self.directory / "hosts" / host.label

    def _prepare(self, hosts: Sequence[SandboxHost]) -> list[SandboxHost]:
        """Everything that can be made before the first process starts; returns them with their keys."""
        public = login_key(self.key_file)
        for flavour in {host.flavour for host in hosts}:
            make = FLAVOURS[flavour].template
            if make is not None:
                make(self.directory / "template" / flavour)
        prepared = []
        for host in hosts:
            folder = self._folder(host)
            self._clear(folder)
            (folder / "fs").mkdir(parents=True)
            private, key = make_key()
            (folder / "key").touch(mode=0o600)
            (folder / "key").write_bytes(private)
            (folder / "authorized_keys").write_text(public + "\n")
            prepared.append(replace(host, host_key=key))
        return prepared

    def _start(self, hosts: Sequence[SandboxHost]) -> tuple[SandboxHost, ...]:
        """All of them, `AT_ONCE` at a time; returns when every one listens."""
        pending, started = deque(hosts), list[SandboxHost]()
        waiting: dict[tuple[str, int], tuple[SandboxHost, float]] = {}
        while pending or waiting:
            while pending and len(waiting) < AT_ONCE:
                host = self._spawn(pending.popleft())
                started.append(host)
                waiting[host.address, host.port] = (host, time.monotonic() + START_SECONDS)
            listening = processes.listening()
            for key, (host, deadline) in list(waiting.items()):
                if not host.running or time.monotonic() > deadline:
                    raise SandboxError(f"throw-away host {host.label} did not start: {self._last_words(host)}")
                if key in listening:
                    del waiting[key]
            time.sleep(0.01)
        for host in started:  # somebody else's sshd may have answered for one that could not have the address
            if not host.running:
                raise SandboxError(f"throw-away host {host.label} ended: {self._last_words(host)}")
        return tuple(started)

    def _spawn(self, host: SandboxHost) -> SandboxHost:
        folder = self._folder(host)
        flavour = FLAVOURS[host.flavour]
        group = Cgroups(self.directory).make(host.label) if flavour.cgroup else None
        words = flavour.words(host, self.directory, group)
        log = (os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        files = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)]
        files += [(os.POSIX_SPAWN_OPEN, stream, str(folder / "log"), *log) for stream in (1, 2)]
        pid = os.posix_spawnp(words[0], words, processes.mark(folder), file_actions=files, setsid=True)
        self._children.add(pid)
        return replace(host, pid=pid, started=processes.start_time(pid))

    def _last_words(self, host: SandboxHost) -> str:
        ended, status = os.waitpid(host.pid, os.WNOHANG)
        code = f"; it ended with {os.waitstatus_to_exitcode(status)}" if ended else ""
        said = (self._folder(host) / "log").read_text(errors="replace")
        return (" ".join(said.split())[-300:] or "it said nothing") + code

    def _clear(self, folder: Path) -> None:
        """End every process of the hosts in `folder`, then remove it. Mounts are in the hosts' own namespaces."""
        deadline = time.monotonic() + END_SECONDS
        while left := set(processes.below(folder)):
            for pid in left:
                processes.end(pid, folder)
            if time.monotonic() > deadline:
                raise SandboxError(f"processes {sorted(left)} of throw-away hosts do not end")
        for pid in list(self._children):
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    continue
            self._children.discard(pid)
        if folder.exists():
            shutil.rmtree(folder)


def _addressed(wanted: Sequence[HostRequest], there: Sequence[SandboxHost], directory: str) -> Iterator[HostRequest]:
    """Every request with an address that nobody else has. Only loopback addresses are given or taken."""
    running = {(host.environment, host.name): host for host in there}
    listening = processes.listening()
    taken = {request.address for request in wanted} | {host.address for host in there}
    # Sandboxes of other directories begin elsewhere in the range, so that two that start at once do not meet.
    first = zlib.crc32(directory.encode())
    free = (f"127.9.{128 + n // 250 % 128}.{1 + n % 250}" for n in range(first, first + 128 * 250))
    if len({(request.environment, request.name) for request in wanted}) < len(wanted):
        raise SandboxError("the same host is asked for twice")
    for request in wanted:
        if not all(_NAME.match(word) for word in (request.environment, request.name)):
            raise SandboxError(f"{request.environment}/{request.name}: expected names of letters, digits, dots, dashes")
        if request.address and not request.address.startswith("127."):
            raise SandboxError(
                f"{request.name} has address {request.address}: throw-away hosts live on 127.0.0.0/8 only"
            )
        known = running.get((request.environment, request.name))
        if known is not None:
            if request.address not in ("", known.address):
                raise SandboxError(f"{known.label} runs already, on {known.address}; `fleet sandbox down` ends it")
            continue
        if request.address and (request.address, request.port) in listening:
            place = f"{request.address}:{request.port}"
            raise SandboxError(f"{place}, of {request.name}, is in use; another sandbox? `fleet sandbox down` ends it")
        address = request.address or next(a for a in free if a not in taken and (a, request.port) not in listening)
        taken.add(address)
        yield replace(request, address=address)
