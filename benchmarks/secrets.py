"""What secrets cost: 500 in 20 SOPS files on 200 hosts. Compiling beside the same repository with plain variables in
their place, in fresh processes, one after the other; and how often, and how long, sops decrypts when all hosts ask.

`python -m benchmarks --only secrets`
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure, median
from fleet.desired.cache import NodeCache
from fleet.desired.compile import Compiler, Fleet
from fleet.desired.load import load
from fleet.desired.source import Tree, open_revision
from fleet.kinds import KINDS
from fleet.masking import Masker
from fleet.secrets.files import Sops
from fleet.secrets.identities import Identities
from fleet.secrets.keys import allow, identity
from fleet.secrets.vault import Vault

ENVIRONMENTS, HOSTS, SECRETS = 20, 10, 25  # hosts and secrets of each environment
TARGET = 1.10


def measure(repeat: int) -> list[Figure]:
    """Compile with and without, and the decryptions of one run over all hosts."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for variant in ("plain", "secret"):
            _generate(directory / variant, variant, directory / "age")
        figures = [_compiled(directory, warm, repeat) for warm in (True, False)]
        count, seconds = _decrypted(directory)
    what = f"decryptions when {ENVIRONMENTS * HOSTS} hosts ask for all of their secrets; {seconds:.2f} s"
    return [*figures, Figure("secrets, decryptions", count, "files", what, float(ENVIRONMENTS), 1.0)]


def _compiled(directory: Path, warm: bool, repeat: int) -> Figure:
    """Medians of processes that take turns, so that a busy machine is busy for both."""
    times: dict[str, list[float]] = {"plain": [], "secret": []}
    for turn in range(2 * repeat + 1):
        for variant, found in times.items():
            cache = directory / f"cache-{variant}{'' if warm else turn}"
            words = [sys.executable, "-m", "benchmarks.secrets", str(directory / variant), str(cache)]
            found.append(float(subprocess.run(words, check=True, capture_output=True, text=True).stdout))
    kept = {variant: median(found[1:]) for variant, found in times.items()}
    said = f"{ENVIRONMENTS * SECRETS} secrets in {ENVIRONMENTS} files; the floor has plain variables instead"
    name = f"secrets, compile {'warm' if warm else 'cold'}"
    return Figure(name, kept["secret"], "s", f"{ENVIRONMENTS * HOSTS} hosts, {said}", kept["plain"], TARGET)


def _decrypted(directory: Path) -> tuple[int, float]:
    tree, fleet = _compile(directory / "secret", directory / "cache-secret")
    spans: list[str] = []

    @contextmanager
    def span(name: str, **more: Any) -> Iterator[None]:
        spans.append(name)
        yield

    vault = Vault(Identities(directory / "age"), Masker(), lambda one: tree.read(one.path), span)

    async def ask() -> None:
        found = await asyncio.gather(*(vault.values(host) for host in fleet.hosts))
        assert all(len(one) == SECRETS for one in found)

    began = time.perf_counter()
    asyncio.run(ask())
    return len(spans), time.perf_counter() - began


def _compile(repository: Path, cache: Path) -> tuple[Tree, Fleet]:
    tree = open_revision(repository)
    fleet = Compiler(KINDS).compile(load(tree, KINDS, NodeCache(cache)))
    if fleet.problems:
        raise SystemExit("\n".join(map(str, fleet.problems[:5])))
    return tree, fleet


def _generate(repository: Path, variant: str, age_dir: Path) -> None:
    """Twenty resources a host: five files with five values each, the rest constant."""
    word = "secret('v{}')" if variant == "secret" else "v{}"
    role = ["resources:", "  file:"]
    for number in range(15):
        role.append(f"    /srv/{number}: {{content: 'constant {number}', mode: \"0644\"}}")
    for number in range(5):
        values = " ".join(f"{{{{ {word.format(number * 5 + n)} }}}}" for n in range(5))
        role.append(f'    /srv/with/{number}: {{content: "{values}", mode: "0640"}}')
    _write(repository / "environments/base/roles/all.yaml", "\n".join(role) + "\n")
    _write(repository / "environments/base/environment.yaml", "roles: {all: {}}\n")
    _git(repository, "init", "-q")
    for number in range(ENVIRONMENTS):
        where = repository / f"environments/e{number}"
        _write(where / "hosts.yaml", f"hosts:\n  h{number}-[1:{HOSTS}]: {{address: 'h{{{{ index }}}}'}}\n")
        known = {f"v{n}": f"value-{number}-{n}" for n in range(SECRETS)}
        if variant == "plain":
            lines = "".join(f"  {name}: {value}\n" for name, value in known.items())
            _write(where / "environment.yaml", f"vars:\n{lines}")
            continue
        recipient, _ = identity(age_dir / f"e{number}.txt")
        allow(repository, (f"e{number}",), recipient)
        variables = Identities(age_dir).child_environment(f"e{number}", remote=False)
        Sops(where / "secrets.sops.yaml", "yaml", variables).create(json.dumps(known).encode())
    _git(repository, "add", "-A")
    _git(repository, "commit", "-qm", "generated")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _git(repository: Path, *words: str) -> None:
    who = ("-c", "user.name=bench", "-c", "user.email=bench@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(["git", "-C", str(repository), *who, *words], check=True, capture_output=True)


def main() -> None:
    """One compilation in a process of its own, imports not counted; prints its seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repository", type=Path)
    parser.add_argument("cache", type=Path)
    options = parser.parse_args()
    began = time.perf_counter()
    _compile(options.repository, options.cache)
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
