"""`fleet init`: a repository to begin with, small or the whole example."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import click

from fleet.cli.answer import Answer
from fleet.cli.options import command as fleet_command
from fleet.cli.printable import printable
from fleet.errors import UsageError

# A first fleet: one environment over a base, one role, and no host that could be hit by accident.
STARTER = {
    "base/environment.yaml": """\
# What all environments share. Others extend it and say only what differs.
vars:
  organisation: Example
roles:
  common: {}          # a role without `match` is for every host
""",
    "base/roles/common.yaml": """\
# One role: a named bundle of resources. `fleet kinds` lists what can be managed.
resources:
  file:
    /etc/motd:
      content: |
        {{ organisation }}: {{ host.name }} ({{ env.name }}). Managed by fleet; edit the repository instead.
      mode: "0644"
""",
    "dev/environment.yaml": """\
# `extends: base` is the default.
vars: {}
""",
    "dev/hosts.yaml": """\
# Your hosts. Then: git commit, `fleet hosts enroll -e dev`, `fleet plan -e dev`.
hosts:
  web-1:
    address: 192.0.2.1
    labels: {tier: web}
""",
}


@fleet_command(
    "init",
    examples=(
        ("fleet init my-fleet", "a small repository: one environment, one role, one host to fill in"),
        ("fleet init my-fleet --example", "the whole example fleet, which shows every rule once"),
    ),
)
@click.argument("directory", type=click.Path(path_type=Path), default=".")
@click.option("--example", is_flag=True, help="The whole example instead of a small start.")
def command(directory: Path, example: bool) -> Answer:
    """Make a repository to begin with. Overwrites nothing."""
    target = directory / "environments"
    if target.exists():
        raise UsageError(f"{target} is already there; nothing was written")
    repository = (directory / ".git").exists()
    if not repository:
        _git_init(directory)  # first: without Git nothing of it is of any use
    if example:
        from fleet.sandbox.example import example_directory

        shutil.copytree(example_directory(), target)
        notes = _fresh_secrets(directory)
    else:
        for name, text in STARTER.items():
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        notes = []
    written = sorted(str(path.relative_to(directory)) for path in target.rglob("*") if path.is_file())
    steps = [
        *([f"cd {directory}"] if str(directory) != "." else []),
        "fleet validate --working-tree",
        "git add . && git commit -m 'Our fleet'",
        "fleet hosts",
    ]
    text = "\n".join(
        [
            f"wrote {len(written)} files:",
            *(f"  {name}" for name in written),
            *notes,
            "next:",
            *(f"  {step}" for step in steps),
        ]
    )
    return Answer(printable(text), {"directory": str(directory), "files": written, "git_init": not repository})


def _git_init(directory: Path) -> None:
    words = ["git", "init", "--quiet", "--initial-branch=main", str(directory)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise UsageError("there is no git on this machine: install it; nothing was written") from error
    if done.returncode != 0:
        raise UsageError(f"git init failed; nothing was written: {printable(done.stderr.strip())}")


def _fresh_secrets(directory: Path) -> list[str]:
    """The example's secrets with values and keys of its own; without sops they stay, and nobody can read them."""
    from fleet.errors import SecretError
    from fleet.sandbox.example import with_fresh_secrets
    from fleet.settings import Settings

    age_dir = Settings().age_dir
    try:
        with_fresh_secrets(directory.absolute(), age_dir)
    except SecretError as error:
        return [f"note: its secrets cannot be read here: {error}"]
    return [f"keys for its secrets are in {age_dir}"]
