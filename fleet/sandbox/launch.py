"""Shell text that turns a fresh mount namespace into a host. Constant; the varying words are arguments.

Arguments: 1 the host's directory (with `key`, `authorized_keys`), 2 its name, 3 its address, 4 its port.
The process that runs this text becomes the host's sshd (plain) or its PID 1 (systemd), under the same process id.
"""

# Nothing that waits for a name server or for PAM: a login costs what the cryptography costs.
SSHD_CONFIG = r"""
cat >"$r/etc/fleet-sandbox/sshd_config" <<EOF
ListenAddress $address
Port $port
HostKey /etc/fleet-sandbox/key
AuthorizedKeysFile .ssh/authorized_keys
PidFile none
UsePAM no
UseDNS no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
PrintLastLog no
SetEnv "FLEET_SANDBOX_HOST=$d"
Subsystem sftp internal-sftp
EOF
"""
SSHD = "/usr/sbin/sshd -D -f /etc/fleet-sandbox/sshd_config -e\n"

# An overlay over this machine's own root; all that is written goes to a tmpfs that ends with the namespace.
_ROOT = r"""
set -eu
d=$1 name=$2 address=$3 port=$4
mount -t tmpfs -o mode=755 fleet "$d/fs"
mkdir "$d/fs/up" "$d/fs/work" "$d/fs/root" "$d/fs/home"
mount -t overlay -o "lowerdir=/,upperdir=$d/fs/up,workdir=$d/fs/work" fleet "$d/fs/root"
r=$d/fs/root
hostname "$name" 2>/dev/null || :
printf '%s\n' "$name" >"$r/etc/hostname"
rm -rf "$r/var/lib/fleet"
# A home of its own: the files of this machine's root are nobody's business there, and its .bashrc may be slow.
mount --bind "$d/fs/home" "$r/root"
mkdir -p "$r/root/.ssh" "$r/etc/fleet-sandbox"
cp "$d/key" "$r/etc/fleet-sandbox/key"; chmod 600 "$r/etc/fleet-sandbox/key"
cp "$d/authorized_keys" "$r/root/.ssh/authorized_keys"
chmod 700 "$r/root" "$r/root/.ssh"; chmod 600 "$r/root/.ssh/authorized_keys"
"""

# Kernel settings are the machine's, so a host gets its own copy of a few in "$s": what it sets, only it sees.
# grep reads them all in one process; `read` would get one digit, since these files cannot be read byte by byte.
SETTINGS = r"""
set -- kernel/hostname kernel/ostype kernel/osrelease kernel/pid_max kernel/random/boot_id kernel/threads-max \
  kernel/panic kernel/sysrq vm/swappiness vm/max_map_count vm/overcommit_memory vm/dirty_ratio fs/file-max \
  fs/inotify/max_user_watches net/core/somaxconn net/core/rmem_max net/core/wmem_max net/ipv4/ip_forward \
  net/ipv4/tcp_syncookies net/ipv4/ip_local_port_range net/ipv4/tcp_fin_timeout net/ipv4/tcp_keepalive_time
mkdir -p "$s/kernel/random" "$s/vm" "$s/fs/inotify" "$s/net/core" "$s/net/ipv4"
(cd /proc/sys && grep -Hs '' "$@") | while IFS= read -r v; do printf '%s\n' "${v#*:}" >"$s/${v%%:*}"; done
printf '%s\n' "$name" >"$s/kernel/hostname"
"""
_SYSCTL = 's="$d/fs/sys"' + SETTINGS + 'mount --bind "$s" "$r/proc/sys"\n'

PLAIN = (
    _ROOT
    + SSHD_CONFIG
    + 'mount -t proc proc "$r/proc"\n'
    + _SYSCTL
    + r"""
mount --rbind /dev "$r/dev"
mount -t tmpfs -o mode=755 fleet "$r/run"
mount -t tmpfs -o mode=1777 fleet "$r/tmp"
mkdir -p "$r/run/sshd"
exec chroot "$r" """
    + SSHD
)

# Real systemd: the recipe of a container manager, see https://systemd.io/CONTAINER_INTERFACE/.
SYSTEMD = (
    _ROOT
    + SSHD_CONFIG
    + r"""
mount -t proc proc "$r/proc"
mount -t sysfs -o ro sysfs "$r/sys"
mount -t cgroup2 cgroup2 "$r/sys/fs/cgroup"
mount --bind "$r/proc/sys" "$r/proc/sys"; mount -o remount,bind,ro "$r/proc/sys"
"""
    + 's="$d/fs/sys"'
    + SETTINGS
    + r"""
# systemd reads many more settings than these, so the copies go over the real ones, file by file.
for k in kernel/panic vm/swappiness vm/max_map_count vm/overcommit_memory net/core/somaxconn net/core/rmem_max \
  net/core/wmem_max net/ipv4/ip_forward net/ipv4/tcp_syncookies net/ipv4/tcp_fin_timeout fs/inotify/max_user_watches
do [ ! -e "$s/$k" ] || mount --bind "$s/$k" "$r/proc/sys/$k"; done
mount -t tmpfs -o mode=755 fleet "$r/run"
mount -t tmpfs -o mode=1777 fleet "$r/tmp"
mount -t tmpfs -o mode=755 fleet "$r/dev"
for n in null zero full random urandom tty; do : >"$r/dev/$n"; mount --bind "/dev/$n" "$r/dev/$n"; done
mkdir "$r/dev/shm" "$r/dev/pts"
mount -t tmpfs -o mode=1777 fleet "$r/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$r/dev/pts"
ln -s pts/ptmx "$r/dev/ptmx"; ln -s /proc/self/fd "$r/dev/fd"; : >"$r/dev/console"
s=$r/etc/systemd/system
for u in systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udev-trigger.service \
  systemd-resolved.service systemd-networkd.service systemd-timesyncd.service systemd-logind.service getty.target \
  console-getty.service systemd-modules-load.service systemd-sysctl.service systemd-random-seed.service \
  systemd-remount-fs.service systemd-firstboot.service systemd-hwdb-update.service systemd-binfmt.service \
  systemd-pstore.service sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount dev-mqueue.mount \
  dev-hugepages.mount proc-sys-fs-binfmt_misc.automount ssh.service ssh.socket networking.service \
  systemd-journald-audit.socket apt-daily.timer apt-daily-upgrade.timer docker.service docker.socket containerd.service
do rm -rf "$s/$u"; ln -s /dev/null "$s/$u"; done
cat >"$s/fleet-sshd.service" <<EOF
[Service]
ExecStartPre=/bin/mkdir -p /run/sshd
ExecStart=/usr/sbin/sshd -D -f /etc/fleet-sandbox/sshd_config
[Install]
WantedBy=multi-user.target
EOF
mkdir -p "$s/multi-user.target.wants"
ln -sf ../fleet-sshd.service "$s/multi-user.target.wants/fleet-sshd.service"
ln -sf /lib/systemd/system/multi-user.target "$s/default.target"
rm -f "$r/etc/machine-id"; : >"$r/etc/machine-id"; rm -f "$r/etc/fstab"; : >"$r/etc/fstab"
mkdir -p "$r/.old"
cd "$r"
pivot_root . .old
exec </dev/null >/dev/null 2>&1
# Its own mounts reach its services, as on a machine of its own: credentials of services need that.
exec chroot . sh -c 'umount -l /.old; mount --make-rshared /
exec env -i "FLEET_SANDBOX_HOST=$FLEET_SANDBOX_HOST" container=fleet \
  PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=null'
"""
)
