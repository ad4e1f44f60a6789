"""How long a commit takes to become 1,000 HostSpecs: from nothing, from a warm node cache, after a one-file change.

Makes a repository with real Git in a temporary directory and measures each case in a fresh process, peak memory too.
`python -m benchmarks.compile [--hosts N] [--json FILE]`
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figure import Figure
from fleet.desired.cache import NodeCache
from fleet.desired.compile import Compiler
from fleet.desired.load import load
from fleet.desired.source import open_revision
from fleet.kinds import KINDS

ENVIRONMENTS = ("dev", "staging", "production", "region")
ROLES = 5
TARGETS = {"from nothing": 6.0, "warm node cache": 2.0, "one role file changed": 0.3, "nothing changed": 0.3}


def main() -> None:
    """Prints a table; with --json also writes {hosts, resources, cases: {name: {seconds, mb, target}}}."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--case", choices=("compile", "again"), help=argparse.SUPPRESS)
    parser.add_argument("--directory", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        case = _compile if options.case == "compile" else _again
        print(json.dumps(case(options.directory)))
        return
    hosts, resources, cases = _cases(options.hosts)
    print(f"{hosts:,.0f} hosts, {resources:,.0f} resources")
    print(f"{'case':<24}{'seconds':>9}{'target':>9}{'peak MB':>9}")
    for case_name, figures in cases.items():
        figures["target"] = TARGETS[case_name]
        print(f"{case_name:<24}{figures['seconds']:>9.3f}{figures['target']:>9.1f}{figures['mb']:>9.0f}")
    if options.json:
        document = {"hosts": hosts, "resources": resources, "cases": cases}
        options.json.write_text(json.dumps(document, indent=2) + "\n")


def measure(hosts: int) -> list[Figure]:
    """The same for the table of all benchmarks."""
    hosts_made, resources, cases = _cases(hosts)
    what = f"{hosts_made:,.0f} hosts x {resources / hosts_made:.0f} resources become HostSpecs, in a fresh process"
    figures = [
        Figure(f"compile, {name}", one["seconds"], "s", f"{what}; peak {one['mb']:.0f} MB", target=TARGETS[name])
        for name, one in cases.items()
    ]
    return figures


def _cases(hosts: int) -> tuple[float, float, dict[str, dict[str, float]]]:
    """How many hosts and resources, and {case: {seconds, mb}}."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        _generate(directory / "repository", hosts)
        cold, warm = _run(directory, "compile"), _run(directory, "compile")
        again = _run(directory, "again")
    cases = {
        "from nothing": {"seconds": cold["seconds"], "mb": cold["mb"]},
        "warm node cache": {"seconds": warm["seconds"], "mb": warm["mb"]},
        "one role file changed": {"seconds": again["changed"], "mb": again["mb"]},
        "nothing changed": {"seconds": again["unchanged"], "mb": again["mb"]},
    }
    return warm["hosts"], warm["resources"], cases


def _run(directory: Path, case: str) -> dict[str, float]:
    words = [sys.executable, "-m", "benchmarks.compile", "--case", case, "--directory", str(directory)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _compile(directory: Path) -> dict[str, float]:
    """One revision in a new process, imports not counted."""
    start = time.perf_counter()
    loaded = load(open_revision(directory / "repository"), KINDS, NodeCache(directory / "cache"))
    fleet = Compiler(KINDS).compile(loaded)
    seconds = time.perf_counter() - start
    if fleet.problems:
        raise SystemExit("\n".join(map(str, fleet.problems[:5])))
    return {
        "seconds": seconds,
        "mb": _peak(),
        "hosts": len(fleet.hosts),
        "resources": sum(len(host.resources) for host in fleet.hosts),
    }


def _again(directory: Path) -> dict[str, float]:
    """The same Compiler meets the same commit, then one that touches one role of one environment."""
    repository, cache = directory / "repository", NodeCache(directory / "cache")
    compiler = Compiler(KINDS)
    compiler.compile(load(open_revision(repository), KINDS, cache))
    start = time.perf_counter()
    compiler.compile(load(open_revision(repository), KINDS, cache))
    unchanged = time.perf_counter() - start
    role = repository / "environments/production/roles/role1.yaml"
    role.write_text(role.read_text().replace('"0600"', '"0640"'))
    _git(repository, "commit", "-qam", "one role")
    start = time.perf_counter()
    fleet = compiler.compile(load(open_revision(repository), KINDS, cache))
    changed = time.perf_counter() - start
    if fleet.problems:
        raise SystemExit(str(fleet.problems[0]))
    return {"changed": changed, "unchanged": unchanged, "mb": _peak()}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _generate(repository: Path, hosts: int) -> None:
    """Five roles of ten resources for every host: most constant, a few with variables, two with the host's name."""
    files = {"base/environment.yaml": _base()}
    for role in range(ROLES):
        files[f"base/roles/role{role}.yaml"] = _role(role)
        files[f"production/roles/role{role}.yaml"] = f'resources:\n  file:\n    /srv/{role}/0: {{mode: "0600"}}\n'
    files["base/files/app.conf.j2"] = (
        "# {{ host.name }}\n{% for n in range(20) %}\nline {{ n }} {{ domain }}\n{% endfor %}\n"
    )
    for number, name in enumerate(ENVIRONMENTS):
        share = hosts // len(ENVIRONMENTS) + (number < hosts % len(ENVIRONMENTS))
        files[f"{name}/environment.yaml"] = f"vars: {{workers: {number + 2}}}\n"
        files[f"{name}/hosts.yaml"] = (
            f'hosts:\n  {name}-[1:{share}]:\n    address: "10.{number}.0.{{{{ index }}}}"\n    labels: {{tier: web}}\n'
        )
    for path, text in files.items():
        target = repository / "environments" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    _git(repository, "init", "-q")
    _git(repository, "add", "-A")
    _git(repository, "commit", "-qm", "generated")


def _base() -> str:
    roles = "".join(f"  role{role}: {{match: {{tier: web}}}}\n" for role in range(ROLES))
    return f"vars:\n  domain: example.org\n  workers: 2\n  twice: '{{{{ workers * 2 }}}}'\nroles:\n{roles}"


def _role(role: int) -> str:
    lines = [f"vars: {{port: 80{role}}}", "resources:", "  directory:", f"    /srv/{role}: {{}}", "  file:"]
    for number in range(7):
        lines.append(f"    /srv/{role}/{number}: {{content: 'constant {role} {number}', mode: \"0644\"}}")
    lines.append(f"    /srv/{role}/workers: {{content: 'workers={{{{ twice }}}} port={{{{ port }}}}'}}")
    if role == 0:
        lines.append(f"    /srv/{role}/name: {{content: '{{{{ host.name }}}} {{{{ host.address }}}}'}}")
    elif role == 1:
        lines.append(f"    /srv/{role}/name: {{template: app.conf.j2}}")
    else:
        lines.append(f"    /srv/{role}/domain: {{content: '{{{{ domain }}}}'}}")
    return "\n".join(lines) + "\n"


def _git(repository: Path, *words: str) -> None:
    identity = ("-c", "user.name=bench", "-c", "user.email=bench@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(["git", "-C", str(repository), *identity, *words], check=True, capture_output=True)


if __name__ == "__main__":
    main()
