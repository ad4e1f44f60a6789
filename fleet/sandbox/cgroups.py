"""A cgroup (v2) for each systemd host: systemd as PID 1 insists on one of its own. See cgroups(7)."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from pathlib import Path

from fleet.errors import SandboxError


class Cgroups:
    """The cgroups of one sandbox. Uses the machine's cgroup2 mount, or makes one below the sandbox's directory."""

    def __init__(self, directory: Path) -> None:
        self._own = directory / "cgroup"
        self._name = "fleet-" + "".join(c if c.isalnum() else "-" for c in str(directory)).strip("-")[-80:]

    def make(self, host: str) -> Path:
        """The directory of a new cgroup for the host of this label."""
        group = self._mount() / f"{self._name}.{host.replace('/', '.')}"
        group.mkdir(exist_ok=True)
        return group

    def remove(self) -> None:
        """All cgroups of this sandbox, innermost first, and the mount if it was ours."""
        root = _mounted()
        if root is None:
            return
        deadline = time.monotonic() + 5  # a process that has ended leaves its cgroup a moment later
        while groups := list(root.glob(f"{self._name}.*")):
            for inner in (folder for group in groups for folder, _, _ in os.walk(group, topdown=False)):
                with contextlib.suppress(OSError):
                    Path(inner).rmdir()
            if time.monotonic() > deadline:
                raise SandboxError(f"cgroup {groups[0]} of a throw-away host cannot be removed")
        if root == self._own:
            subprocess.run(["umount", str(self._own)], check=False, capture_output=True)

    def _mount(self) -> Path:
        root = _mounted()
        if root is not None:
            return root
        self._own.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["mount", "-t", "cgroup2", "cgroup2", str(self._own)], check=False, capture_output=True)
        if done.returncode != 0:
            raise SandboxError("cannot mount cgroup2, which a systemd host needs")
        return self._own


def _mounted() -> Path | None:
    with Path("/proc/self/mounts").open() as mounts:
        for line in mounts:
            words = line.split()
            if words[2] == "cgroup2" and "rw" in words[3].split(","):
                return Path(words[1])
    return None
