"""What is known of the hosts of one directory, and the files that it is written to: in, hosts; out, plain text.

`sandbox.json` comes first of all and goes last of all: a directory that has one is a sandbox's, any other is not.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fleet.errors import SandboxError
from fleet.sandbox import processes

PORT = 2222
STATE, KEY, KNOWN_HOSTS, SSH_CONFIG = "sandbox.json", "id_ed25519", "known_hosts", "ssh_config"
OWN_FOLDERS = ("hosts", "template", "cgroup")
OWN_FILES = (KEY, KEY + ".pub", KNOWN_HOSTS, SSH_CONFIG, *(f + ".new" for f in (STATE, KNOWN_HOSTS, SSH_CONFIG)), STATE)


@dataclass(frozen=True, slots=True)
class HostRequest:
    """A host that should exist. address "": a free one of 127.9.128.0/17."""

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
    host_key: str = ""

    @property
    def label(self) -> str:
        """Unique in a sandbox, and the host's folder below `hosts/`."""
        return f"{self.environment}/{self.name}"

    @property
    def running(self) -> bool:
        return self.pid > 0 and processes.start_time(self.pid) == self.started

    @property
    def known_hosts_line(self) -> str:
        return f"{self._place} {self.host_key}"

    @property
    def _place(self) -> str:
        """An address as known_hosts writes it: with the port unless that is 22."""
        return self.address if self.port == 22 else f"[{self.address}]:{self.port}"


def read(directory: Path) -> tuple[SandboxHost, ...]:
    """The hosts that were to be started and not taken down since. Raises SandboxError."""
    path = directory / STATE
    try:
        return tuple(SandboxHost(**one) for one in json.loads(path.read_text()))
    except FileNotFoundError:
        return ()
    except (ValueError, TypeError) as error:
        raise SandboxError(f"{path} is not what `fleet sandbox up` writes ({error}); move it away") from None


def write(directory: Path, hosts: Sequence[SandboxHost]) -> None:
    """All files, each replaced whole: whoever reads one sees the old or the new."""
    files = {
        STATE: json.dumps([asdict(host) for host in hosts], indent=1) + "\n",
        KNOWN_HOSTS: "".join(host.known_hosts_line + "\n" for host in hosts),
        SSH_CONFIG: "".join(_ssh_config(directory, host) for host in hosts),
    }
    for name, text in files.items():
        new = directory / (name + ".new")
        new.write_text(text)
        new.replace(directory / name)


def is_ours(directory: Path) -> bool:
    """Whether the directory is a sandbox's. Raises SandboxError for one that has other things in it."""
    if wrong := set(str(directory)) & set('",:\\%\n'):  # they mean something to mount(8), sshd or ssh_config(5)
        raise SandboxError(f"{str(directory)!r} has {min(wrong)!r} in it; name a directory without such characters")
    if (directory / STATE).exists() or (directory / (STATE + ".new")).exists():
        return True
    if directory.exists() and any(directory.iterdir()):
        raise SandboxError(f"{directory} has other files in it; name an empty or a new directory")
    return False


def _ssh_config(directory: Path, host: SandboxHost) -> str:
    return (
        f"Host {host.name}\n  HostName {host.address}\n  Port {host.port}\n  User root\n"
        f'  IdentityFile "{directory / KEY}"\n  IdentitiesOnly yes\n'
        f'  UserKnownHostsFile "{directory / KNOWN_HOSTS}"\n  StrictHostKeyChecking yes\n'
    )
