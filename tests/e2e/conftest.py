"""Real hosts and a repository that describes them: what the end-to-end tests stand on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fleet.errors import SandboxError
from fleet.sandbox import HostRequest, Sandbox, SandboxHost
from fleet.sandbox.example import commit
from tests.e2e.desk import Desk, Done, new_desk
from tests.e2e.seat import Seat, seated


@dataclass
class Field:
    """Some hosts of one environment `lab`, and a repository for them. lines: more of the environment of commands.

    seat: the machine whose service becomes the controller, where people type from then on; None: all of that is here.
    """

    root: Path
    sandbox: Sandbox
    repository: Path
    lines: dict[str, str] = field(default_factory=dict)
    seat: Seat | None = None
    seated: bool = False

    @property
    def environment(self) -> dict[str, str]:
        own = {
            "FLEET_STATE_DIR": str(self.root / "state"),
            "FLEET_CACHE_DIR": str(self.root / "cache"),
            "FLEET_KEY_FILE": str(self.sandbox.key_file),
            **self.lines,
        }
        return {k: v for k, v in os.environ.items() if not k.startswith(("FLEET_", "OTEL_"))} | own

    def write(self, files: dict[str, str]) -> None:
        """Files below environments/, committed."""
        for name, text in files.items():
            path = self.repository / "environments" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        commit(self.repository, "edit")

    def host(self, name: str) -> SandboxHost:
        return self.sandbox.find(name)

    def on(self, name: str, script: str, check: bool = True) -> str:
        """Run a script on a host as root, through the real ssh client."""
        words = [*self.sandbox.ssh_words(self.host(name)), script]
        return subprocess.run(words, capture_output=True, text=True, check=check, timeout=30).stdout

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A command of fleet, at the top of the repository."""
        if self.seat is not None and self.seated:
            return self.seat.start_command(self.repository, words)
        call = [sys.executable, "-m", "fleet.cli.main", *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(call, cwd=self.repository, env=self.environment, stdout=pipe, stderr=pipe, text=True)

    def beside(self, script: str) -> str:
        """What a shell prints in the controller's state directory."""
        if self.seat is not None and self.seated:
            return self.seat.on(f"cd /var/lib/fleet && {script}")
        state = self.environment["FLEET_STATE_DIR"]
        return subprocess.run(["sh", "-c", script], cwd=state, capture_output=True, text=True, check=True).stdout

    def fleet(self, *words: str) -> Done:
        process = self.start(*words)
        out, err = process.communicate(timeout=100)
        return Done(process.returncode, out, err)


def make_field(root: Path, count: int, flavour: str = "plain") -> Field:
    """`count` hosts h-1 … with the role `all`, empty until a test writes it."""
    sandbox = Sandbox(root / "sandbox")
    try:
        sandbox.up([HostRequest(f"h-{n}", "lab") for n in range(1, count + 1)], flavour)
    except SandboxError as error:
        pytest.skip(str(error))
    repository = root / "repository"
    (repository / "environments").mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(repository)], check=True)
    hosts = "".join(f"  {h.name}: {{address: {h.address}, connection: {{port: {h.port}}}}}\n" for h in sandbox.hosts)
    made = Field(root, sandbox, repository)
    made.write(
        {
            "base/environment.yaml": "roles: {all: {}}\n",
            "base/roles/all.yaml": "resources: {}\n",
            "lab/hosts.yaml": f"hosts:\n{hosts}",
            "lab/known_hosts": "".join(h.known_hosts_line + "\n" for h in sandbox.hosts),
        }
    )
    return made


@pytest.fixture(scope="session")
def seat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seat]:
    """One for all, since it takes seconds to make; who takes it begins anew on it."""
    with seated(tmp_path_factory.mktemp("seat") / "sandbox") as one:
        yield one


def chosen_seat(request: pytest.FixtureRequest) -> Seat | None:
    return request.getfixturevalue("seat") if os.environ.get("FLEET_TEST_CONTROLLER") == "unit" else None


@pytest.fixture
def lab(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Field]:
    """Three hosts of this test's own. With FLEET_TEST_CONTROLLER=unit the controller is a service: `make test-unit`."""
    made = make_field(tmp_path, 3)
    made.seat = chosen_seat(request)
    try:
        yield made
    finally:
        made.sandbox.down()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """For one API, which the test connects."""
    return new_desk(tmp_path)
