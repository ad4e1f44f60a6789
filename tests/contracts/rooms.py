"""Real hosts for cases, in milliseconds: a root of their own that ends with the shell that stands in it.

dash     this machine's root under an overlay, dash as /bin/sh
bash     the same with bash as /bin/sh
busybox  nothing but BusyBox: every command is its, and so is the shell

Kernel settings are copies (as in the sandbox): what a case sets, only it sees. Needs root with CAP_SYS_ADMIN.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from fleet.sandbox.copied import make_busybox_template
from fleet.sandbox.launch import SETTINGS

FLAVOURS = ("dash", "bash", "busybox")

# Arguments: 1 an empty directory, 2 the root to lie under the overlay, 3 the flavour.
_ENTER = (
    r"""
set -e
d=$1 lower=$2 flavour=$3 r=$1/root name=case
mount -t tmpfs -o mode=755 room "$d"
mkdir "$d/up" "$d/work" "$r"
mount -t overlay -o "lowerdir=$lower,upperdir=$d/up,workdir=$d/work" room "$r"
mount --rbind /dev "$r/dev"
mount -t proc proc "$r/proc"
s=$d/sys
"""
    + SETTINGS
    + r"""
mount --bind "$s" "$r/proc/sys"
mount -t tmpfs -o mode=755 room "$r/run"
mount -t tmpfs -o mode=1777 room "$r/tmp"
rm -rf "$r/var/lib/fleet"
# The people of this machine are nobody's on the host.
for f in passwd group; do
  awk -F: '$3 < 1000 || $3 == 65534' "$r/etc/$f" >"$d/$f"; cat "$d/$f" >"$r/etc/$f"
done
mkdir -p "$r/srv"
rm -rf "$r/srv"/*
case $flavour in
  bash) mount --bind "$r/bin/bash" "$r/bin/dash"; set -- /bin/bash --posix -s ;;
  dash) set -- /bin/dash -s ;;
  busybox) set -- /bin/busybox sh -s ;;
esac
exec chroot "$r" "$@"
"""
)
_OWN = ("unshare", "-m", "-u", "--propagation", "private")


def why_not() -> str:
    """Why there can be no such host here; "" when there can."""
    tried = subprocess.run([*_OWN, "mount", "-t", "tmpfs", "room", "/mnt"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "needs root with CAP_SYS_ADMIN: a root file system of its own"


def words(flavour: str, directory: Path) -> tuple[str, ...]:
    """The command that is a shell on a fresh host. directory: kept between hosts (BusyBox's root is made once)."""
    lower = Path("/")
    if flavour == "busybox":
        lower = directory / "busybox"
        make_busybox_template(lower)
    room = directory / "room"
    room.mkdir(parents=True, exist_ok=True)
    return (*_OWN, "sh", "-c", _ENTER, "sh", str(room), str(lower), flavour)
