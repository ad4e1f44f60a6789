"""A real sshd on a loopback address, in a mount namespace with users, sudoers and /var/lib/fleet of its own.

Users (all with the same key): root; ops, who may become root without a password; asks, who may with one; noisy, whose
login shell talks; closed, who has no shell; stuck, whose login shell waits for long.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

import asyncssh

from fleet.model.host import Become, Target

USERS = {
    "ops": "/bin/sh",
    "asks": "/bin/sh",
    "noisy": "{root}/noisy",
    "closed": "/usr/sbin/nologin",
    "stuck": "{root}/stuck",
}
SUDOERS = "Defaults !fqdn\nroot ALL=(ALL) ALL\nops ALL=(ALL) NOPASSWD: ALL\nasks ALL=(ALL) ALL\n"
NOISY = """#!/bin/sh
echo "Welcome! $(date)"; printf 'no newline'; echo 'oops' >&2
exec /bin/sh "$@"
"""
CONFIG = """
ListenAddress {address}
Port {port}
HostKey {root}/host_key
HostCertificate {root}/host_key-cert.pub
TrustedUserCAKeys {root}/ca.pub
AuthorizedKeysFile {root}/authorized_keys
StrictModes no
UsePAM no
UseDNS no
PidFile none
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
LogLevel VERBOSE
RekeyLimit 1M
MaxStartups 100
"""
ROOM = """
cd "$0" && mkdir -p /run/sshd /var/lib/fleet &&
for f in passwd group sudoers; do mount --bind $f /etc/$f || exit 1; done
mount -t tmpfs none /var/lib/fleet && exec /usr/sbin/sshd -D -e -f "$0/config"
"""


@dataclass
class Sshd:
    """A running sshd. `target` reaches it as root."""

    root: Path
    target: Target
    process: subprocess.Popen[bytes]

    @property
    def key(self) -> str:
        """The pinned line's key: algorithm and digits."""
        return " ".join(asyncssh.read_private_key(self.root / "host_key").export_public_key().decode().split()[:2])

    @property
    def log(self) -> str:
        return (self.root / "log").read_text(errors="replace")

    def user(self, name: str, become: Become = "none") -> Target:
        return replace(self.target, user=name, become=become)

    def connections(self) -> list[int]:
        """Process ids of its sessions' servers and all below them."""
        found, grown = {self.process.pid}, True
        while grown:
            grown = False
            for pid, parent in _parents():
                if parent in found and pid not in found:
                    found.add(pid)
                    grown = True
        return sorted(found - {self.process.pid})

    def signal(self, number: signal.Signals) -> None:
        """To every connection's processes that are sshd's own."""
        for pid in self.connections():
            with contextlib.suppress(OSError):
                if "sshd" in (Path("/proc") / str(pid) / "comm").read_text():
                    os.kill(pid, number)

    def stop(self) -> None:
        for pid in [*self.connections(), self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def _parents() -> list[tuple[int, int]]:
    pairs = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pairs.append((int(stat.parent.name), int(stat.read_text(errors="replace").rpartition(") ")[2].split()[1])))
        except OSError:
            continue
    return pairs


def free_port(address: str = "127.0.0.1") -> int:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def start(root: Path, address: str = "127.0.0.1", more: str = "") -> Sshd:
    """Starts one and waits until it listens. more: further lines of sshd_config."""
    root.mkdir(parents=True, exist_ok=True)
    root.chmod(0o755)
    _keys(root)
    _users(root)
    port = free_port(address)
    (root / "config").write_text(more + CONFIG.format(address=address, port=port, root=root))
    with (root / "log").open("wb") as log:
        words = ["unshare", "--mount", "sh", "-c", ROOM, str(root)]
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    sshd = Sshd(root, Target("web-1", "lab", address=address, port=port), process)
    _wait_until_it_listens(sshd)
    line = f"[{address}]:{port} {sshd.key}\n"
    sshd.target = replace(sshd.target, key_file=str(root / "key"), known_hosts=line, agent=False, connect_timeout=30)
    return sshd


def _keys(root: Path) -> None:
    """Host key and user key; and an authority that vouches for the host and for a second user key."""
    keys = {name: asyncssh.generate_private_key("ssh-ed25519") for name in ("host_key", "key", "ca", "certified")}
    for name, key in keys.items():
        key.write_private_key(root / name)
        (root / name).chmod(0o600)
    keys["ca"].write_public_key(root / "ca.pub")
    keys["key"].write_public_key(root / "authorized_keys")
    keys["key"].write_public_key(root / "key.pub")
    host = keys["ca"].generate_host_certificate(keys["host_key"], "host", principals=["127.0.0.1", "::1"])
    host.write_certificate(root / "host_key-cert.pub")
    user = keys["ca"].generate_user_certificate(keys["certified"], "user", principals=["root", "ops"])
    user.write_certificate(root / "certified-cert.pub")


def _users(root: Path) -> None:
    lines = [f"{name}:*:{2001 + i}:2001::/:{shell.format(root=root)}" for i, (name, shell) in enumerate(USERS.items())]
    # A root with an empty home: this machine's own start-up files would cost more than all the rest.
    (root / "passwd").write_text("\n".join(["root:*:0:0::/:/bin/sh", *_others(), *lines]) + "\n")
    (root / "group").write_text(Path("/etc/group").read_text() + "lab:x:2001:\n")
    (root / "sudoers").write_text(SUDOERS)
    (root / "sudoers").chmod(0o440)
    for name, text in (("noisy", NOISY), ("stuck", "#!/bin/sh\necho hello; sleep 15\n")):
        (root / name).write_text(text)
        (root / name).chmod(0o755)


def _others() -> list[str]:
    lines = Path("/etc/passwd").read_text().splitlines()
    return [line for line in lines if line.split(":")[0] not in {"root", *USERS}]


def _wait_until_it_listens(sshd: Sshd) -> None:
    """Its own word for it: a connection without a login would count as an attack (PerSourcePenalties)."""
    end = time.monotonic() + 20
    while "Server listening" not in sshd.log:
        assert sshd.process.poll() is None and time.monotonic() < end, sshd.log
        time.sleep(0.02)
