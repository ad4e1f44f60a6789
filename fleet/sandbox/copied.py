"""Hosts without mounts: a small root of copied programs in a chroot, for root without CAP_SYS_ADMIN, and BusyBox hosts.

The template is made once; every host gets hard links to its programs and its own copy of all else. Such a host has no
kernel view of its own: /proc holds a few settings as plain files, packages cannot be installed, and the name of the
machine is its own too.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterable
from pathlib import Path

from fleet.errors import SandboxError
from fleet.sandbox.launch import SETTINGS, SSHD, SSHD_CONFIG

_PROGRAMS = """
sh dash bash cat chgrp chmod chown cmp cp cut date dd df diff du echo env expr false find flock getent grep head
hostname id install ln ls mkdir mktemp mv nproc od openssl paste ps pwd readlink realpath rm rmdir sed seq setsid
sha256sum sleep sort stat sync tail tar tee test timeout touch tr true tty umount uname uniq wc which xargs base64
basename dirname kill groups passwd su useradd usermod userdel groupadd groupmod groupdel gpasswd chage dpkg-query dpkg
sysctl printf awk mawk crontab gzip mount mountpoint
"""
_SERVERS = ("/usr/sbin/sshd", "/usr/lib/openssh/sshd-session", "/usr/lib/openssh/sshd-auth")
_CONFIG = "passwd group shadow gshadow nsswitch.conf login.defs os-release shells sysctl.conf hosts host.conf"
_FOLDERS = """
etc/default etc/cron.d etc/sysctl.d etc/skel etc/security etc/fleet-sandbox var/lib var/log var/cache var/mail
var/spool/cron var/backups var/tmp run/sshd root/.ssh tmp dev home opt srv usr/local/bin usr/bin usr/sbin proc/sys
"""
_MERGED = ("bin", "sbin", "lib", "lib64")
_DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}

# Arguments as in launch.py, and 5: the template.
_ROOT = r"""
set -eu
d=$1 name=$2 address=$3 port=$4 template=$5
r=$d/fs
cp -al "$template/usr" "$r/usr"
for f in "$template"/*; do
  [ "${f##*/}" = usr ] || cp -a "$f" "$r/"
done
printf '%s\n' "$name" >"$r/etc/hostname"
cp "$d/key" "$r/etc/fleet-sandbox/key"; chmod 600 "$r/etc/fleet-sandbox/key"
cp "$d/authorized_keys" "$r/root/.ssh/authorized_keys"; chmod 600 "$r/root/.ssh/authorized_keys"
s=$r/proc/sys
"""
COPIED = _ROOT + SETTINGS + SSHD_CONFIG + 'exec chroot "$r" ' + SSHD

BUSYBOX = (
    _ROOT
    + SETTINGS
    + r"""
dropbearconvert openssh dropbear "$d/key" "$r/etc/fleet-sandbox/dropbear" 2>/dev/null
exec chroot "$r" /usr/sbin/dropbear -F -E -s -P /run/dropbear.pid -r /etc/fleet-sandbox/dropbear -p "$address:$port"
"""
)


def make_template(root: Path) -> None:
    """A root with the programs that a host needs and their libraries; nothing when it is there already."""
    if _begin(root):
        found = [path for name in _PROGRAMS.split() if (path := shutil.which(name)) is not None]
        _copy_all([*found, *(path for path in _SERVERS if Path(path).exists())], root)
        for name in _CONFIG.split():
            if Path("/etc", name).exists():
                shutil.copy2(Path("/etc", name).resolve(), root / "etc" / name)
        if Path("/var/lib/dpkg").exists():
            some = shutil.ignore_patterns("info", "lock*")
            shutil.copytree("/var/lib/dpkg", root / "var/lib/dpkg", dirs_exist_ok=True, ignore=some)
        _finish(root)


def make_busybox_template(root: Path) -> None:
    """A root with BusyBox for every command, Dropbear, and the C library for Dropbear alone."""
    if _begin(root):
        busybox, dropbear = shutil.which("busybox"), shutil.which("dropbear")
        if busybox is None or dropbear is None or shutil.which("dropbearconvert") is None:
            raise SandboxError("a BusyBox host needs: apt-get install busybox-static dropbear-bin")
        _copy_all([busybox, dropbear], root)
        applets = subprocess.run([busybox, "--list-full"], capture_output=True, text=True, check=True).stdout.split()
        for applet in applets:
            place = root / ("usr/" + applet.removeprefix("usr/"))
            place.parent.mkdir(parents=True, exist_ok=True)
            if place.name != "busybox" and not place.is_symlink():
                place.symlink_to("/usr/bin/busybox")
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")
        (root / "etc/group").write_text("root:x:0:\nadm:x:4:\nnogroup:x:65534:\n")
        (root / "etc/shadow").write_text("root:*:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n")
        (root / "etc/shadow").chmod(0o640)
        (root / "etc/shells").write_text("/bin/sh\n")
        _finish(root)


def _begin(root: Path) -> bool:
    """Folders and links; False when a whole template stands there (it appears in one piece, by `_finish`)."""
    if (root / "etc/fleet-sandbox/whole").exists():
        return False
    shutil.rmtree(root, ignore_errors=not root.exists())
    for folder in _FOLDERS.split():
        (root / folder).mkdir(parents=True)
    for link in _MERGED:
        (root / "usr" / link).mkdir(exist_ok=True)
        (root / link).symlink_to("usr/" + link)
    return True


def _finish(root: Path) -> None:
    for folder, mode in {
        "tmp": 0o1777,
        "var/tmp": 0o1777,
        "root": 0o700,
        "root/.ssh": 0o700,
        "run/sshd": 0o755,
    }.items():
        (root / folder).chmod(mode)
    for name, numbers in _DEVICES.items():
        _device(root / "dev" / name, numbers)
    (root / "etc/fleet-sandbox/whole").touch()


def _device(path: Path, numbers: tuple[int, int]) -> None:
    """A device, or where none may be made (no CAP_MKNOD, a file system without devices) an empty file."""
    try:
        os.mknod(path, stat.S_IFCHR, os.makedev(*numbers))
        path.chmod(0o666)
        if path.name == "null":
            path.read_bytes()
    except OSError:
        path.unlink(missing_ok=True)
        path.touch()
        path.chmod(0o666)


def _copy_all(programs: Iterable[str], root: Path) -> None:
    """The programs, and what the dynamic linker loads for them, each to its own place below `root`."""
    programs = list(programs)
    listed = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout.split()
    libraries = {word for word in listed if word.startswith("/") and not word.endswith(":")}
    for library in [word for word in libraries if "/libc.so" in word]:  # the account databases' modules
        libraries |= {str(path) for path in Path(library).parent.glob("libnss_*.so.2")}
    for file in {*programs, *libraries}:
        first, _, rest = file.lstrip("/").partition("/")
        target = root / "usr" / file.lstrip("/") if first in _MERGED and rest else root / file.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy2(Path(file).resolve(), target)
