"""A repository of one environment with one API as its host, and `fleet` beside it: what tests of APIs stand on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fleet.sandbox.example import commit
from tests.servers.server import Server

Said = dict[str, dict[str, Any]]


@dataclass
class Done:
    """A finished `fleet`."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Desk:
    """lines: more of the environment of commands."""

    root: Path
    lines: dict[str, str] = field(default_factory=dict)

    def connect(self, server: Server, path: str = "", **more: Any) -> None:
        """The server's credentials are headers: what a test of logins says, it says as `auth`."""
        said = {"type": "http", "url": server.url + path, "networks": ["127.0.0.0/8"], **more}
        if server.headers and "auth" not in more:
            said["auth"] = {"header": dict(server.headers)}
        self.write({"lab/hosts.yaml": json.dumps({"hosts": {"api": {"connection": said}}})})

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.root / "repository/environments" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        commit(self.root / "repository", "edit")

    def resources(self, said: dict[str, Any]) -> None:
        self.write({"base/roles/all.yaml": json.dumps({"resources": said})})

    def fleet(self, *words: str) -> Done:
        own = {"FLEET_STATE_DIR": str(self.root / "state"), "FLEET_CACHE_DIR": str(self.root / "cache"), **self.lines}
        lines = {k: v for k, v in os.environ.items() if not k.startswith(("FLEET_", "OTEL_"))} | own
        call = [sys.executable, "-m", "fleet.cli.main", *words]
        done = subprocess.run(
            call, cwd=self.root / "repository", env=lines, capture_output=True, text=True, check=False, timeout=100
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def changes(self, *options: str) -> dict[str, str]:
        """Resource id → action, of a plan."""
        said = self.fleet("plan", "--json", *options)
        assert said.code in (0, 2), said.err + said.out
        plans = said.json["plans"].values()
        return {one["resource"]: one["action"] for plan in plans for one in plan["changes"]}

    def apply(self, expected: dict[str, str]) -> None:
        """Exactly these changes, and then none."""
        assert self.changes() == expected
        done = self.fleet("apply", "--yes")
        assert done.code == 0, done.out + done.err
        assert self.changes() == {}


def new_desk(root: Path) -> Desk:
    (root / "repository").mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main", str(root / "repository")], check=True)
    made = Desk(root)
    made.write({"base/environment.yaml": "roles: {all: {}}\n"})
    return made


def created(said: Said) -> dict[str, str]:
    return {f"{kind}:{name}": "create" for kind, named in said.items() for name in named}


def absent(said: Said, **keep: tuple[str, ...]) -> Said:
    """The same resources, not wanted any more. keep: kind → what is needed to find one."""
    return {
        kind: {name: {"ensure": "absent", **{k: v[k] for k in keep.get(kind, ())}} for name, v in named.items()}
        for kind, named in said.items()
    }
