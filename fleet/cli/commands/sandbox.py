"""`fleet sandbox`: throw-away hosts on this machine: up, down, list, ssh."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleet.cli.answer import Answer
from fleet.cli.opening import open_fleet
from fleet.cli.options import Invocation, group
from fleet.cli.options import command as fleet_command
from fleet.cli.printable import one_line
from fleet.cli.words import count
from fleet.errors import SandboxError, UsageError

if TYPE_CHECKING:
    from fleet.sandbox import HostRequest, Sandbox, SandboxHost

directory_option = click.option(
    "--directory", type=click.Path(path_type=Path), help="Where they live (default: sandbox/ beside the record)."
)


@group(
    "sandbox",
    examples=(
        ("fleet sandbox up --hosts 5", "five hosts on loopback addresses, each with its own sshd"),
        ("fleet sandbox ssh web-1", "a shell on one of them"),
        ("fleet sandbox down", "all of them gone, and nothing left"),
    ),
)
@click.pass_context
def command(context: click.Context) -> Answer | None:
    """Throw-away hosts on this machine, to try things on."""
    if context.invoked_subcommand is None:
        raise UsageError("say what to do: fleet sandbox up, list, ssh HOST or down")
    return None


@fleet_command(
    "up",
    examples=(
        ("fleet sandbox up -e dev", "the hosts that the repository names in dev, at their loopback addresses"),
        ("fleet sandbox up --hosts 5", "web-1 to web-5, of no repository"),
        ("fleet sandbox up --hosts 2 --systemd", "with a real systemd as process 1, to manage services"),
    ),
)
@click.option("--hosts", "number", type=click.IntRange(1, 2000), help="How many, when no repository names them.")
@click.option("--name", default="web", show_default=True, help="They are called NAME-1, NAME-2, …")
@click.option("-e", "--env", "environments", multiple=True, metavar="ENV", help="The hosts of this environment.")
@click.option("--systemd", is_flag=True, help="Run systemd as process 1 (needs root).")
@directory_option
@click.pass_obj
def up(
    invocation: Invocation,
    /,
    *,
    number: int | None,
    name: str,
    environments: tuple[str, ...],
    systemd: bool,
    directory: Path | None,
) -> Answer:
    """Start hosts. Those that run already stay as they are.

    With -e the repository says which: their addresses must be loopback addresses (127.0.0.0/8). Then pin their keys
    with `fleet hosts enroll -e ENV`, and log in with the key that is shown (FLEET_KEY_FILE).
    """
    from fleet.sandbox import HostRequest

    sandbox = _sandbox(directory)
    if environments and number is None:
        wanted = _named(invocation, environments)
    else:
        first = environments[0] if environments else "sandbox"
        wanted = [HostRequest(f"{name}-{i}", first) for i in range(1, (number or 3) + 1)]
    started = sandbox.up(wanted, "systemd" if systemd else "plain")
    files = {"key": sandbox.key_file, "known_hosts": sandbox.directory / "known_hosts"}
    files["ssh_config"] = sandbox.directory / "ssh_config"
    lines = [f"started {count(len(started), 'host')}; {len(sandbox.hosts):,} are there", table(sandbox.hosts)]
    lines += [f"{label:<12}{one_line(str(path))}" for label, path in files.items()]
    if environments and number is None:
        chosen = " ".join(f"-e {one_line(one)}" for one in environments)
        lines += ["next:", f"  export FLEET_KEY_FILE={one_line(shlex.quote(str(sandbox.key_file)))}"]
        lines += [f"  fleet hosts enroll {chosen} --yes", "  git add environments && git commit -m 'Pin the keys'"]
    document = {"started": len(started), "hosts": documents(sandbox.hosts), **{k: str(v) for k, v in files.items()}}
    return Answer("\n".join(lines), document)


@fleet_command("down", examples=(("fleet sandbox down", "ends them all, also those of a run that crashed"),))
@directory_option
def down(directory: Path | None) -> Answer:
    """End all hosts and remove everything of them. Safe to repeat."""
    ended = _sandbox(directory).down()
    return Answer(f"{count(ended, 'host')} gone, nothing left", {"ended": ended})


@fleet_command("list", examples=(("fleet sandbox list", "names, addresses, and whether they still run"),))
@directory_option
def listing(directory: Path | None) -> Answer:
    """List hosts."""
    hosts = _sandbox(directory).hosts
    return Answer(table(hosts) if hosts else "none; `fleet sandbox up` starts some", {"hosts": documents(hosts)})


@fleet_command(
    "ssh",
    examples=(("fleet sandbox ssh web-1", "a shell"), ("fleet sandbox ssh web-1 cat /etc/motd", "one command")),
    context_settings={"ignore_unknown_options": True},
)
@click.argument("host")
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@directory_option
def ssh(host: str, words: tuple[str, ...], directory: Path | None) -> Answer:
    """Log in to a host, or run a command on it. ssh takes the place of this process, its exit code too."""
    sandbox = _sandbox(directory)
    call = [*sandbox.ssh_words(sandbox.find(host)), *words]
    try:
        os.execvp(call[0], call)  # noqa: S606 - the words are ours and the caller's own; no shell reads them
    except FileNotFoundError:
        raise SandboxError("ssh is missing: apt-get install openssh-client") from None


for one in (up, down, listing, ssh):
    command.add_command(one)


def _named(invocation: Invocation, environments: tuple[str, ...]) -> list[HostRequest]:
    """The hosts of the repository's environments; not those that are an API."""
    from fleet.app import Selection
    from fleet.sandbox import HostRequest

    app, fleet = open_fleet(invocation)
    hosts = [host for host in app.select(fleet, Selection(environments)) if host.target.type == "ssh"]
    return [HostRequest(h.name, h.environment, h.target.address, h.target.port) for h in hosts]


def table(hosts: Sequence[SandboxHost]) -> str:
    """One line a host; pure but for whether it runs."""
    rows = [(one_line(f"{h.environment}/{h.name}"), f"{h.address}:{h.port}", h.flavour, h.running) for h in hosts]
    wide = max((len(row[0]) for row in rows), default=0)
    return "\n".join(f"{n:<{wide}}  {at:<20}  {flavour}{'' if up else '  (ended)'}" for n, at, flavour, up in rows)


def documents(hosts: Sequence[SandboxHost]) -> list[dict[str, Any]]:
    return [
        {
            "host": h.name,
            "environment": h.environment,
            "address": h.address,
            "port": h.port,
            "flavour": h.flavour,
            "running": h.running,
            "known_hosts_line": h.known_hosts_line,
        }
        for h in hosts
    ]


def _sandbox(directory: Path | None) -> Sandbox:
    from fleet.sandbox import Sandbox
    from fleet.settings import Settings

    return Sandbox(directory or Settings().state_dir / "sandbox")
