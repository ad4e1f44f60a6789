"""Throw-away hosts on this machine: real sshd, files of their own, gone without a trace.

sandbox   up, down: what runs is written down before it is started
state     the files in which it is written down
processes which processes are a host's
flavours  the sorts of host: plain, systemd, copied, busybox
launch    the shell text that makes a host: plain (chroot), or systemd as PID 1
copied    hosts without mounts: small roots of copied programs
cgroups   a cgroup for each systemd
rooms     what this machine allows: mount namespaces, or only a chroot of copied programs
keys      throw-away host and login keys
dns_api   for the demo: PowerDNS, or a little server that speaks some of its API
example   the shipped environments/ as a Git repository of its own, with these hosts' keys pinned
"""

from fleet.sandbox.sandbox import Sandbox
from fleet.sandbox.state import HostRequest, SandboxHost

__all__ = ["HostRequest", "Sandbox", "SandboxHost"]
