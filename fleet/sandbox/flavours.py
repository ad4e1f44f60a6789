"""The sorts of host: for each, the words that start it. In: a host and its folder; out: one argument list.

plain     this machine's root under an overlay, sshd; needs CAP_SYS_ADMIN
systemd   the same with systemd as process 1
copied    a small root of copied programs in a chroot; needs CAP_SYS_CHROOT only
busybox   a root with nothing but BusyBox and Dropbear
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fleet.sandbox.copied import BUSYBOX, COPIED, make_busybox_template, make_template
from fleet.sandbox.launch import PLAIN, SYSTEMD
from fleet.sandbox.state import SandboxHost

_OWN_MOUNTS = ("unshare", "-m", "-u", "--propagation", "private")
_OWN_ALL = ("unshare", "-m", "-u", "-p", "-C", "-i", "-f", "--propagation", "private")
# The cgroup comes first: whatever is started from then on is in it.
_IN_CGROUP = ("sh", "-c", 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"', "sh")


@dataclass(frozen=True, slots=True)
class Flavour:
    """isolate: words before the script. template: what makes the root that hosts are copied from, once a sandbox."""

    script: str
    isolate: tuple[str, ...] = ()
    template: Callable[[Path], None] | None = None
    cgroup: bool = False

    def words(self, host: SandboxHost, directory: Path, cgroup: Path | None) -> list[str]:
        """directory: the sandbox's. The script's arguments are told in launch.py."""
        arguments = [str(directory / "hosts" / host.label), host.name, host.address, str(host.port)]
        if self.template is not None:
            arguments.append(str(directory / "template" / host.flavour))
        enter = [] if cgroup is None else [*_IN_CGROUP, str(cgroup)]
        return [*enter, *self.isolate, "sh", "-c", self.script, "sh", *arguments]


FLAVOURS = {
    "plain": Flavour(PLAIN, _OWN_MOUNTS),
    "systemd": Flavour(SYSTEMD, _OWN_ALL, cgroup=True),
    "copied": Flavour(COPIED, template=make_template),
    "busybox": Flavour(BUSYBOX, template=make_busybox_template),
}
