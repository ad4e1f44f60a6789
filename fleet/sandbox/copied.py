"""Hosts without mounts: a small root of copied programs and a chroot. For root without CAP_SYS_ADMIN.

The template is made once; every host gets hard links to its programs and its own /etc, /var, /root, /tmp and /run. Such
a host has no kernel view of its own: no /proc, no packages to install, and it shares the machine's name.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from fleet.errors import SandboxError

PROGRAMS = """
sh dash bash cat chgrp chmod chown cp cut date dd df echo env false find getent grep head hostname id install ln ls
mkdir mktemp mv nproc openssl ps pwd readlink rm rmdir sed setsid sha256sum sleep sort stat sync tail tar tee test timeout
touch tr true uname uniq wc xargs base64 expr basename dirname kill useradd usermod userdel groupadd groupmod groupdel
dpkg-query dpkg sysctl printf awk mawk
"""
SERVERS = ("/usr/sbin/sshd", "/usr/lib/openssh/sshd-session", "/usr/lib/openssh/sshd-auth")
CONFIG = "passwd group shadow gshadow nsswitch.conf login.defs os-release shells sysctl.conf"
FOLDERS = """
etc/default etc/cron.d etc/sysctl.d etc/skel etc/fleet-sandbox var/lib var/log var/cache run/sshd root/.ssh tmp dev
home usr/local/bin var/mail proc
"""

# Arguments as in launch.py, and 5: the template.
COPIED = r"""
set -eu
d=$1 name=$2 address=$3 port=$4 template=$5
r=$d/fs
cp -al "$template/usr" "$r/usr"
for l in bin sbin lib lib64; do [ ! -L "$template/$l" ] || cp -a "$template/$l" "$r/$l"; done
for f in etc var run root tmp dev home proc; do [ ! -e "$template/$f" ] || cp -a "$template/$f" "$r/$f"; done
printf '%s\n' "$name" >"$r/etc/hostname"
cp "$d/key" "$r/etc/fleet-sandbox/key"; chmod 600 "$r/etc/fleet-sandbox/key"
cp "$d/authorized_keys" "$r/root/.ssh/authorized_keys"; chmod 700 "$r/root" "$r/root/.ssh"; chmod 1777 "$r/tmp"
chmod 600 "$r/root/.ssh/authorized_keys"
cat >"$r/etc/fleet-sandbox/sshd_config" <<EOF
ListenAddress $address
Port $port
HostKey /etc/fleet-sandbox/key
PidFile none
UsePAM no
UseDNS no
PermitRootLogin prohibit-password
PasswordAuthentication no
PrintMotd no
EOF
exec chroot "$r" /usr/sbin/sshd -D -f /etc/fleet-sandbox/sshd_config -E /var/log/fleet-sandbox.log
"""


def make_template(root: Path) -> None:
    """A root with the programs a host needs and their libraries; nothing when it is there already."""
    if (root / "etc/passwd").exists():
        return
    for folder in FOLDERS.split():
        (root / folder).mkdir(parents=True, exist_ok=True)
    for link in ("bin", "sbin", "lib", "lib64"):
        if Path("/" + link).is_symlink() and not (root / link).is_symlink():
            (root / link).symlink_to("usr/" + link)
    found = [path for name in PROGRAMS.split() if (path := shutil.which(name)) is not None]
    found += [path for path in SERVERS if Path(path).exists()]
    for file in {*found, *_libraries(found)}:
        _copy(Path(file), root)
    for name in CONFIG.split():
        if Path("/etc", name).exists():
            shutil.copy2(Path("/etc", name).resolve(), root / "etc" / name)
    shutil.copytree("/var/lib/dpkg", root / "var/lib/dpkg", dirs_exist_ok=True, ignore=shutil.ignore_patterns("info"))
    for device in ("null", "zero", "random", "urandom"):
        (root / "dev" / device).touch(mode=0o666)
    shells = root / "usr/bin/sh"
    if not shells.exists():
        raise SandboxError("no shell to copy: is /bin/sh missing here?")


def _libraries(programs: list[str]) -> set[str]:
    """What the dynamic linker loads for them, and the account databases' modules."""
    found: set[str] = set()
    done = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        words = line.split()
        found.update(word for word in words if word.startswith("/") and not word.endswith(":"))
    for library in list(found):
        if "/libc.so" in library:
            found.update(str(path) for path in Path(library).parent.glob("libnss_*.so.2"))
    return found


def _copy(source: Path, root: Path) -> None:
    """To the same place below `root`; merged /usr is kept as links, so everything lands in usr/."""
    place = str(source)
    for link in ("/bin/", "/sbin/", "/lib/", "/lib64/"):
        if place.startswith(link) and Path(link.rstrip("/")).is_symlink():
            place = "/usr" + place
    target = root / place.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        shutil.copy2(source.resolve(), target)
