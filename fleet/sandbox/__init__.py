"""Throw-away hosts on this machine: real sshd, files of their own, gone without a trace.

sandbox   up, down, list: what runs is written down before it is started
launch    the shell text that makes a host: plain (chroot), or systemd as PID 1
rooms     what this machine allows: mount namespaces, or only a chroot of copied programs
keys      throw-away host and login keys
example   the shipped environments/ as a Git repository of its own, with these hosts' keys pinned
"""

from fleet.sandbox.sandbox import HostRequest, Sandbox, SandboxHost

__all__ = ["HostRequest", "Sandbox", "SandboxHost"]
