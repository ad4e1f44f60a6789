"""What is measured: N throw-away hosts with real sshd, and a repository that asks 20 resources of mixed kinds of each,
and as many more small files as there should be.

Everything lies below one temporary directory and is gone when the `with` ends.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fleet.app import App
from fleet.desired.compile import Fleet
from fleet.model.change import PassResult
from fleet.model.host import HostSpec
from fleet.model.step import Outcome
from fleet.sandbox import HostRequest, Sandbox
from fleet.settings import Settings

ENVIRONMENT = "bench"
_LINES = "".join(f"line {number} of a usual configuration file\\n" for number in range(40))
_ROLE = f"""\
resources:
  group: {{bench-ops: {{gid: 4100}}, bench-app: {{gid: 4101}}}}
  user:
    bench-ann: {{uid: 4100, group: bench-ops, shell: /bin/sh}}
    bench-app: {{uid: 4101, group: bench-app, shell: /usr/sbin/nologin, system: true}}
  package: {{coreutils: {{}}}}
  directory:
    /etc/bench: {{}}
    /etc/bench/conf.d: {{mode: "0755"}}
    /srv/bench: {{owner: bench-app, group: bench-app, mode: "0750"}}
    /srv/bench/data: {{owner: bench-app, group: bench-app, mode: "0700"}}
  file:
    /etc/bench/main.conf: {{content: "name = {{{{ host.name }}}}\\n{_LINES}", mode: "0644"}}
    /etc/bench/conf.d/10-a.conf: {{content: "{_LINES}", mode: "0644"}}
    /etc/bench/conf.d/20-b.conf: {{content: "workers = 4\\n", mode: "0644"}}
    /etc/bench/secret: {{content: "key\\n", mode: "0600", owner: bench-app}}
    /usr/local/bin/bench-job: {{content: "#!/bin/sh\\nexit 0\\n", mode: "0755"}}
    /srv/bench/index.html: {{content: "<h1>bench</h1>\\n", owner: bench-app, group: bench-app}}
  symlink:
    /etc/bench/current: {{target: conf.d/20-b.conf}}
    /srv/bench/conf: {{target: /etc/bench}}
  cron: {{bench: {{schedule: "5 4 * * *", user: root, command: /usr/local/bin/bench-job}}}}
  block: {{"/etc/hosts#bench": {{content: "127.0.0.1 bench.example\\n"}}}}
  sysctl: {{vm.swappiness: {{value: 10}}}}
"""
RESOURCES = 20
_MORE = '    /etc/bench/conf.d/{0:03}.conf: {{content: "number = {0}\\n"}}\n'


@dataclass(frozen=True, slots=True)
class Fixture:
    """Running hosts, and the repository that describes them."""

    directory: Path
    repository: Path
    sandbox: Sandbox

    def settings(self) -> Settings:
        return Settings(
            repository=self.repository,
            state_dir=self.directory / "state",
            cache_dir=self.directory / "cache",
            key_file=self.sandbox.key_file,
        )

    def words(self) -> dict[str, str]:
        """The same settings, for a process of its own."""
        return {
            "FLEET_STATE_DIR": str(self.directory / "state"),
            "FLEET_CACHE_DIR": str(self.directory / "cache"),
            "FLEET_KEY_FILE": str(self.sandbox.key_file),
            "FLEET_REPOSITORY": str(self.repository),
        }

    def open(self) -> tuple[App, Fleet, tuple[HostSpec, ...]]:
        """A controller of its own, and what the repository says."""
        app = App(self.settings())
        fleet = app.compile()
        return app, fleet, tuple(fleet.hosts)


class Quiet:
    """A watcher that only counts what was reported: ids of all outcomes, by host."""

    def __init__(self) -> None:
        self.outcomes: dict[str, list[str]] = {}

    def stage(self, host: str, stage: str) -> None:
        pass

    def outcome(self, host: str, outcome: Outcome) -> None:
        self.outcomes.setdefault(host, []).append(outcome.id)

    def done(self, result: PassResult) -> None:
        pass


@contextmanager
def fixture(hosts: int, resources: int = RESOURCES) -> Iterator[Fixture]:
    """Start the hosts, write the repository, pin their keys; end them all afterwards."""
    with tempfile.TemporaryDirectory(prefix="fleet-bench-") as name:
        directory = Path(name)
        sandbox = Sandbox(directory / "sandbox")
        try:
            sandbox.up([HostRequest(f"host-{number}", ENVIRONMENT) for number in range(1, hosts + 1)])
            yield Fixture(directory, _repository(directory / "repository", sandbox, resources), sandbox)
        finally:
            sandbox.down()


def _repository(repository: Path, sandbox: Sandbox, resources: int) -> Path:
    listed = "".join(f"  {h.name}: {{address: {h.address}, connection: {{port: {h.port}}}}}\n" for h in sandbox.hosts)
    more = "".join(_MORE.format(number) for number in range(resources - RESOURCES))
    files = {
        "base/environment.yaml": "roles: {all: {}}\nconnection: {user: root}\nrollout: {waves: [100%]}\nsweep: 1d\n",
        "base/roles/all.yaml": _ROLE.replace("  symlink:", more + "  symlink:"),
        f"{ENVIRONMENT}/environment.yaml": "vars: {}\n",
        f"{ENVIRONMENT}/hosts.yaml": "hosts:\n" + listed,
        f"{ENVIRONMENT}/known_hosts": "".join(h.known_hosts_line + "\n" for h in sandbox.hosts),
    }
    for path, text in files.items():
        target = repository / "environments" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    identity = ("-c", "user.name=bench", "-c", "user.email=bench@example.org", "-c", "init.defaultBranch=main")
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "generated")):
        subprocess.run(["git", "-C", str(repository), *identity, *words], check=True, capture_output=True)
    return repository
