"""What this machine allows, in one look: which flavours of hosts can be had, or in one line why not."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from fleet.errors import SandboxError
from fleet.sandbox.flavours import FLAVOURS

SSHD = "/usr/sbin/sshd"
_CAP_SYS_ADMIN, _CAP_SYS_CHROOT = 21, 18


def capabilities() -> int:
    """The effective capabilities of this process, see capabilities(7)."""
    with Path("/proc/self/status").open() as status:
        for line in status:
            if line.startswith("CapEff:"):
                return int(line.split()[1], 16)
    return 0


def check(flavour: str) -> str:
    """The flavour that will be used. Raises SandboxError with what is missing, in one line."""
    if flavour not in FLAVOURS:
        raise SandboxError(f"no flavour of hosts is called {flavour!r}; there are: {', '.join(FLAVOURS)}")
    if not os.access(SSHD, os.X_OK):
        raise SandboxError("sshd is missing: apt-get install openssh-server")
    if os.geteuid() != 0:
        raise SandboxError("throw-away hosts need root (each runs its own sshd in a chroot): sudo fleet sandbox up")
    have = capabilities()
    if not have >> _CAP_SYS_CHROOT & 1:
        raise SandboxError("throw-away hosts need CAP_SYS_ADMIN, or at least CAP_SYS_CHROOT")
    if flavour in ("copied", "busybox"):
        return flavour
    if not (have >> _CAP_SYS_ADMIN & 1 and _can_mount()):
        if flavour == "systemd":
            raise SandboxError("a host with systemd needs CAP_SYS_ADMIN; plain hosts do without: fleet sandbox up")
        return "copied"
    if flavour == "systemd" and not Path("/lib/systemd/systemd").exists():
        raise SandboxError("systemd is missing: apt-get install systemd")
    return flavour


def _can_mount() -> bool:
    unshare = shutil.which("unshare")
    if unshare is None:
        return False
    words = [unshare, "-m", "-u", "mount", "-t", "tmpfs", "fleet", "/mnt"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0
