"""Throw-away roots for trying kinds on: a mount namespace of their own, entered by nsenter and chroot; no sshd.

In: a flavour (dash, bash: this machine's root under an overlay; busybox: nothing but BusyBox). Out: a `RootHost` that
runs plain shell text, and whole passes through a long-lived LocalTransport session.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fleet.converge.drive import Intent, run_pass
from fleet.kinds import KINDS
from fleet.model.change import PassResult
from fleet.model.host import HostSpec, Target
from fleet.model.port import Session
from fleet.model.step import Write
from fleet.sandbox import rooms
from fleet.sandbox.launch import SETTINGS
from fleet.transports.local import LocalTransport
from tests.converge.world import Deaf

FLAVOURS = ("dash", "bash", "busybox")

# Arguments: the host's directory, and the shell that is to be /bin/sh.
_GNU = (
    r"""
set -eu
d=$1 shell=$2 name=case
mount -t tmpfs -o mode=755 fleet "$d"
mkdir "$d/up" "$d/work" "$d/root"
mount -t overlay -o "lowerdir=/,upperdir=$d/up,workdir=$d/work" fleet "$d/root"
r=$d/root s=$d/sys
ln -sf "$shell" "$r/bin/sh"
rm -rf "$r/var/lib/fleet" "$r/root/.ssh"
mount -t proc proc "$r/proc"
"""
    + SETTINGS
    + r"""
mount --bind "$s" "$r/proc/sys"
mount --rbind /dev "$r/dev"
mount -t tmpfs -o mode=755 fleet "$r/run"
mount -t tmpfs -o mode=1777 fleet "$r/tmp"
echo ready
exec sleep 3600
"""
)
_BUSYBOX = (
    r"""
set -eu
d=$1 name=case
mount -t tmpfs -o mode=755 fleet "$d"
r=$d/root s=$d/root/proc/sys
mkdir -p "$r/bin" "$r/etc/cron.d" "$r/etc/sysctl.d" "$r/var/lib" "$r/tmp" "$r/dev" "$r/home" "$r/root" "$r/srv" "$r/run"
chmod 1777 "$r/tmp"; chmod 700 "$r/root"
cp "$(command -v busybox)" "$r/bin/busybox"
for a in $("$r/bin/busybox" --list); do [ "$a" = busybox ] || ln -s busybox "$r/bin/$a"; done
printf '%s\n' root:x:0:0:root:/root:/bin/sh nobody:x:65534:65534:nobody:/:/bin/false >"$r/etc/passwd"
printf '%s\n' root:x:0: adm:x:4: nogroup:x:65534: >"$r/etc/group"
printf '%s\n' 'root:*:19000:0:99999:7:::' >"$r/etc/shadow"
"""
    + SETTINGS
    + r"""
mount --rbind /dev "$r/dev"
echo ready
exec sleep 3600
"""
)


def missing(flavour: str) -> str:
    """Why such a host cannot be had on this machine; "" when it can."""
    if os.geteuid() != 0 or not rooms.capabilities() >> 21 & 1:
        return "throw-away roots need root with CAP_SYS_ADMIN"
    shell = Path("/usr/bin", flavour)
    return "" if shell.exists() else f"{shell} is missing"


@dataclass(slots=True)
class RootHost:
    """One root. Not for two callers at once."""

    flavour: str
    enter: tuple[str, ...]
    runner: asyncio.Runner
    session: Session | None = None
    token: int = field(default_factory=lambda: int(time.time() * 1000))

    def sh(self, text: str) -> subprocess.CompletedProcess[bytes]:
        """Shell text as root on the host, stopping at the first command that fails."""
        return subprocess.run(self.enter, input=b"set -eu\n" + text.encode(), capture_output=True, check=False)

    def look(self, spec: HostSpec) -> PassResult:
        return self.runner.run(self._pass(spec, Intent()))

    def apply(self, spec: HostSpec) -> PassResult:
        self.token += 1
        token = self.token
        return self.runner.run(self._pass(spec, Intent(write=lambda _: Write(spec.environment, token, f"a{token}"))))

    async def _pass(self, spec: HostSpec, intent: Intent) -> PassResult:
        if self.session is None:
            target = Target(self.flavour, spec.environment, output_limit=16 << 20)
            self.session = await LocalTransport(self.enter).connect(target)
        return await run_pass(spec, self.session, KINDS, intent, Deaf())


@contextmanager
def root_host(flavour: str, directory: Path) -> Iterator[RootHost]:
    """Started, used, and gone: with its last process the namespace and all mounts in it end."""
    text = _BUSYBOX if flavour == "busybox" else _GNU
    words = ["unshare", "-m", "-u", "--propagation", "private", "sh", "-c", text, "sh", str(directory), flavour]
    with asyncio.Runner() as runner, subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None and holder.stderr is not None
            if holder.stdout.readline() != b"ready\n":
                raise RuntimeError(f"{flavour}: {holder.stderr.read().decode()}")
            enter = (
                "nsenter",
                f"--mount=/proc/{holder.pid}/ns/mnt",
                "chroot",
                str(directory / "root"),
                "/bin/sh",
                "-s",
            )
            host = RootHost(flavour, enter, runner)
            yield host
            if host.session is not None:
                runner.run(host.session.aclose())
        finally:
            holder.kill()
