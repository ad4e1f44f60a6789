"""`fleet service`: the controller as a service of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click

from fleet.cli.answer import Answer
from fleet.cli.exit_codes import ExitCode
from fleet.cli.options import command as fleet_command
from fleet.cli.options import group
from fleet.cli.printable import one_line
from fleet.cli.service_unit import USERS, config, unit
from fleet.errors import UsageError

PLACES = {
    "unit": "etc/systemd/system/fleet.service",
    "users": "etc/sysusers.d/fleet.conf",
    "config": "etc/fleet/config.yaml",
}
NEXT = """\
next:
  put the private key that hosts let in into /etc/fleet/ssh_key, readable to root only
  put age identities into /etc/fleet/age, ENVIRONMENT.txt each, if there are secrets
  put who is to be told into /etc/fleet/notify.yaml, readable to root only, if anybody is
  systemctl enable --now fleet
  FLEET_SOCKET=/run/fleet/fleet.sock fleet status"""


@group("service", examples=(("fleet service install --remote https://git.example.org/ops.git", "write unit and user"),))
@click.pass_context
def command(ctx: click.Context) -> None:
    """Run the controller as a systemd service of this machine."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@fleet_command(
    "install",
    examples=(
        ("fleet service install --remote https://git.example.org/ops.git", "write unit, user and settings"),
        ("fleet service install --remote /srv/ops.git --print", "only show what would be written"),
    ),
)
@click.option("--remote", required=True, metavar="URL", help="The repository to follow: a URL or an absolute path.")
@click.option("--branch", default="", metavar="NAME", help="Its branch; the remote's default unless said.")
@click.option("--print", "show", is_flag=True, help="Write nothing; say what would be written.")
@click.option("--root", type=click.Path(path_type=Path), default=Path("/"), help="Below this directory instead of /.")
def install(remote: str, branch: str, show: bool, root: Path) -> Answer:
    """Write the unit, its user and its settings, and say what is left to do.

    A second time it writes what changed; settings that are there stay as they are.
    """
    files = {
        PLACES["unit"]: unit(_program()),
        PLACES["users"]: USERS,
        PLACES["config"]: config(remote, branch),
    }
    if show:
        return Answer("\n".join(f"--- /{name}\n{text}" for name, text in files.items()), {"files": files})
    if root == Path("/") and os.geteuid() != 0:
        raise UsageError("only root can install a service; see what it would write with --print")
    written = [name for name, text in files.items() if _write(root / name, text, keep=name == PLACES["config"])]
    (root / "etc/fleet/age").mkdir(mode=0o700, parents=True, exist_ok=True)
    if root == Path("/"):
        _run("systemd-sysusers", "/" + PLACES["users"])
        shutil.chown(root / PLACES["config"], group="fleet")
        _run("systemctl", "daemon-reload")
    said = "\n".join(f"wrote /{name}" for name in written) or "everything was there already"
    return Answer(f"{said}\n{NEXT}", {"written": written})


@fleet_command("uninstall", examples=(("fleet service uninstall", "state and settings stay"),))
@click.option("--root", type=click.Path(path_type=Path), default=Path("/"), help="Below this directory instead of /.")
def uninstall(root: Path) -> Answer:
    """Stop the service and take its unit away. The record, the settings and the keys stay."""
    if root == Path("/"):
        if os.geteuid() != 0:
            raise UsageError("only root can take a service away")
        _run("systemctl", "disable", "--now", "fleet")
    gone = [name for name in (PLACES["unit"], PLACES["users"]) if (root / name).exists()]
    for name in gone:
        (root / name).unlink()
    if root == Path("/"):
        _run("systemctl", "daemon-reload")
    said = "\n".join(f"removed /{name}" for name in gone) or "there was nothing to remove"
    kept = "/var/lib/fleet and /etc/fleet stay; remove them by hand if nobody needs them"
    return Answer(f"{said}\n{kept}", {"removed": gone}, ExitCode.IN_SYNC)


def _program() -> str:
    found = Path(sys.argv[0])
    if found.name != "fleet" or not found.is_absolute():
        found = Path(shutil.which("fleet") or Path(sys.executable).parent / "fleet")
    return str(found.absolute())


def _write(path: Path, text: str, keep: bool) -> bool:
    """Whether it was written. Whole or not at all."""
    if path.is_file() and (keep or path.read_text() == text):
        return False
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    fresh.chmod(0o640 if keep else 0o644)
    fresh.replace(path)
    return True


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise UsageError(f"{words[0]} failed: {one_line(said[-1]) if said else done.returncode}")


command.add_command(install)
command.add_command(uninstall)
