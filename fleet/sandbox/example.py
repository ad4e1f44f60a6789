"""The shipped environments/ as a Git repository of its own, with the keys of running throw-away hosts pinned in it."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fleet.errors import SandboxError
from fleet.sandbox.sandbox import Sandbox

_AUTHOR = ("-c", "user.name=Example Team", "-c", "user.email=team@example.org", "-c", "commit.gpgsign=false")


def example_directory() -> Path:
    """environments/ beside the sources, or the copy that an installed fleet carries. Raises SandboxError."""
    package = Path(__file__).resolve().parent.parent
    for place in (package / "example", package.parent / "environments"):
        if (place / "base").is_dir():
            return place
    raise SandboxError("this installation carries no example environments")


def prepare(directory: Path, age_dir: Path | None = None) -> Path:
    """A new Git repository at `directory` with the example as its first commit; returns `directory`.

    age_dir: where keys for its secrets are made; None: they cannot be read."""
    if (directory / "environments").exists():
        raise SandboxError(f"{directory}/environments is already there")
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copytree(example_directory(), directory / "environments", ignore=shutil.ignore_patterns("README.md"))
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(directory)], check=True)
    if age_dir is not None:
        with_fresh_secrets(directory, age_dir)
    commit(directory, "The example fleet", ("environments", *([".sops.yaml"] if age_dir is not None else [])))
    return directory


def with_fresh_secrets(repository: Path, age_dir: Path) -> list[str]:
    """Every secret of the example anew: random values, encrypted for identities in `age_dir` that are made where there
    are none. The names of the files. Raises SecretError: sops or pyrage is missing."""
    from fleet.desired.sops import read  # noqa: PLC0415 - only who wants keys needs all this
    from fleet.secrets.files import Sops  # noqa: PLC0415
    from fleet.secrets.identities import Identities  # noqa: PLC0415
    from fleet.secrets.keys import allow, identity  # noqa: PLC0415

    files = sorted((repository / "environments").glob("*/secrets.sops.yaml"))
    for path in files:
        environment = path.parent.name
        recipient, _ = identity(age_dir / f"{environment}.txt")
        allow(repository, (environment,), recipient)
        names = [entry.keys for entry in read(f"{environment}/{path.name}", "", path.read_bytes(), []).entries.values()]
        identities = Identities(age_dir)
        work = Sops(path, "yaml", identities.child_environment(environment, remote=False), identities.keyring)
        first, *rest = names
        document: Any = secrets.token_hex(16)
        for key in reversed(first):
            document = {key: document}
        work.create(json.dumps(document).encode())
        for keys in rest:
            work.set(keys, secrets.token_hex(16))
    return [str(path.relative_to(repository)) for path in files]


def secret_of(repository: Path, age_dir: Path, environment: str, name: str) -> str:
    """One secret of the example, for a throw-away server that must know it, too. Raises SecretError."""
    from fleet.secrets.identities import Identities  # noqa: PLC0415
    from fleet.secrets.program import decrypt  # noqa: PLC0415

    path = repository / "environments" / environment / "secrets.sops.yaml"
    variables = Identities(age_dir).child_environment(environment, remote=False)
    found: Any = json.loads(asyncio.run(decrypt(path.read_bytes(), "yaml", variables, False)))
    for key in name.split("."):
        found = found[key]
    return str(found)


def pin(directory: Path, sandbox: Sandbox) -> None:
    """Write the hosts' keys to each environment's known_hosts, and commit that."""
    lines: dict[str, list[str]] = {}
    for host in sandbox.hosts:
        lines.setdefault(host.environment, []).append(host.known_hosts_line + "\n")
    for environment, known in lines.items():
        (directory / "environments" / environment / "known_hosts").write_text("".join(known))
    commit(directory, "Pin the keys of the throw-away hosts")


def commit(directory: Path, message: str, paths: Iterable[str] = ("environments",)) -> None:
    """Commit these paths, if anything in them changed."""
    git = ["git", "-C", str(directory), *_AUTHOR]
    subprocess.run([*git, "add", "--", *paths], check=True)
    if subprocess.run([*git, "diff", "--cached", "--quiet"], check=False).returncode:
        subprocess.run([*git, "commit", "--quiet", "-m", message], check=True)
