"""What the throw-away servers have in common: a place of their own, a start that is waited for, an end that is sure.

A server and all that it starts carry its folder's name in their environment (fleet.sandbox.processes): so everything is
found again when the folder goes, also what has made itself a daemon. If the tests are killed, the kernel ends the
server (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

from fleet.sandbox import processes

LAST_LINES = 15


@dataclass(frozen=True)
class Server:
    """A running server. headers: its credentials, as each request must carry them."""

    url: str
    folder: Path
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    @property
    def pids(self) -> list[int]:
        """The server's process and all that it started."""
        return sorted(processes.below(self.folder))

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """One request with the credentials. What the environment says of proxies is not for a loopback address."""
        with httpx.Client(base_url=self.url, headers=self.headers, trust_env=False, timeout=30) as client:
            return client.request(method, path, json=body)

    def run(self, *words: str, environment: Mapping[str, str] | None = None) -> str:
        """The standard output of a program that must succeed."""
        surroundings = _environment(self.folder, environment or {})
        done = subprocess.run(words, env=surroundings, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def wait(self, process: subprocess.Popen[bytes], path: str, seconds: float = 20) -> None:
        """Until it answers a GET of this path."""
        end = time.monotonic() + seconds
        while not self._answers(path):
            last = "\n".join(self.log.splitlines()[-LAST_LINES:])
            assert process.poll() is None, f"{self.url} ended with {process.returncode}; its log ends with:\n{last}"
            assert time.monotonic() < end, f"{self.url} did not answer in {seconds} s; its log ends with:\n{last}"
            time.sleep(0.05)

    def _answers(self, path: str) -> bool:
        try:
            return self.ask("GET", path).is_success
        except httpx.TransportError:
            return False


def need(program: str, package: str) -> str:
    """The program's path. Without it the test is skipped – but not under `make test`, which installs every package."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin")
    if found:
        return found
    reason = f"{Path(program).name} is missing: install {package}"
    if os.environ.get("FLEET_TEST_INSTALLED"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def places(number: int) -> tuple[str, Sequence[int]]:
    """A loopback address, and ports that are free on every address.

    The loopback address is by chance, so that neither another instance nor an outgoing connection takes a port before
    the server does: that one may need seconds to come to it.
    """
    address = f"127.{random.randint(100, 199)}.{random.randint(0, 255)}.{random.randint(1, 254)}"
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(number)]
        for probe in probes:
            probe.bind(("0.0.0.0", 0))
        return address, [int(probe.getsockname()[1]) for probe in probes]


@contextlib.contextmanager
def own_folder(name: str) -> Iterator[Path]:
    """A directory for one server; with it go all processes that were started for it."""
    with TemporaryDirectory(prefix=f"fleet-{name}-") as made:
        folder = Path(made)
        try:
            yield folder
        finally:
            while left := list(processes.below(folder)):
                for pid in left:
                    processes.end(pid, folder)
                time.sleep(0.01)


@contextlib.contextmanager
def started(folder: Path, *words: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose words go to the folder's log. It is killed, not asked: nobody needs what it would still write.

    It also ends when the thread that started it ends, as the kernel understands it: start servers from the main thread.
    """
    command = [need("setpriv", "util-linux"), "--pdeathsig", "KILL", *words]
    surroundings = _environment(folder, environment)
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            command, env=surroundings, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _environment(folder: Path, more: Mapping[str, str]) -> dict[str, str]:
    """Nothing of ours (no proxy, no token); files that have no other place land in the folder."""
    return {**processes.mark(folder), "HOME": str(folder), "TMPDIR": str(folder), **more}
