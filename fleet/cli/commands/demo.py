"""`fleet demo`: the whole loop on throw-away hosts, in plain words."""

from __future__ import annotations

import fcntl
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleet.cli.answer import Answer, show
from fleet.cli.demo_steps import STEPS, Step
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command
from fleet.cli.words import count
from fleet.errors import SandboxError

if TYPE_CHECKING:
    from fleet.sandbox import Sandbox

ENVIRONMENTS = ("dev", "staging")


@fleet_command("demo", examples=(("fleet demo", "20 hosts and an API in two environments, under 90 seconds"),))
@click.pass_obj
def command(invocation: Invocation) -> Answer:
    """Watch the whole loop on 20 throw-away hosts and one API.

    Plan, apply, a second plan that is empty, a change by hand, drift, healing, and why a value is as it is. Each step
    shows the command that you would type. Everything is removed at the end.
    """
    from fleet.settings import Settings

    began = time.monotonic()
    with _alone(Settings().state_dir / "demo") as directory:
        sandbox, repository = _start(invocation, directory)
        with _dns(invocation, directory, repository):
            told = [_play(number, step, invocation, sandbox, repository) for number, step in enumerate(STEPS, 1)]
    seconds = time.monotonic() - began
    text = f"\nThat was the whole loop, on real sshd hosts, in {seconds:.0f} seconds; all of them are gone again."
    return Answer(click.style(text, bold=True), {"steps": told, "seconds": round(seconds, 1)})


@contextmanager
def _alone(directory: Path) -> Iterator[Path]:
    """One demo at a time; what a killed one left is cleared away first, and everything at the end."""
    from fleet.sandbox import Sandbox

    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SandboxError("a demo is running already; it uses the same addresses") from None
        sandbox = Sandbox(directory / "hosts")
        try:
            _clear(sandbox, directory)
            yield directory
        finally:
            _clear(sandbox, directory)


def _clear(sandbox: Sandbox, directory: Path) -> None:
    import shutil

    sandbox.down()
    for name in ("repository", "state", "cache", "age", "dns"):
        shutil.rmtree(directory / name, ignore_errors=True)


def _start(invocation: Invocation, directory: Path) -> tuple[Sandbox, Path]:
    """The example as a repository, and the hosts that its two environments name."""
    from fleet.app import App
    from fleet.sandbox import HostRequest, Sandbox
    from fleet.sandbox.example import pin, prepare
    from fleet.settings import Settings

    began = time.monotonic()
    repository = prepare(directory / "repository", directory / "age")
    sandbox = Sandbox(directory / "hosts")
    fleet = App(Settings(repository=repository, cache_dir=directory / "cache")).compile()
    hosts = [host for host in fleet.hosts if host.environment in ENVIRONMENTS and host.target.type == "ssh"]
    _say(invocation, f"Starting {count(len(hosts), 'throw-away host')} on this machine, each with its own sshd …")
    sandbox.up([HostRequest(h.name, h.environment, h.target.address, h.target.port) for h in hosts])
    pin(repository, sandbox)
    _say(invocation, f"… {time.monotonic() - began:.1f} s. Their desired state is in {repository}/environments.")
    return sandbox, repository


@contextmanager
def _dns(invocation: Invocation, directory: Path, repository: Path) -> Iterator[None]:
    """The one API among the hosts, with the key that the repository has for it."""
    from fleet.sandbox.dns_api import Place, dns_api
    from fleet.sandbox.example import secret_of

    place = Place("127.9.5.1", 8081, secret_of(repository, directory / "age", "staging", "dns.key"))
    with dns_api(directory / "dns", place) as what:
        _say(invocation, f"And one API, at {place.address}:{place.port}: {what}.")
        yield


def _play(number: int, step: Step, invocation: Invocation, sandbox: Sandbox, repository: Path) -> dict[str, Any]:
    """One step, as it would be typed. Raises SandboxError when it does not end as it should."""
    if step.by_hand is not None:
        host, script = step.by_hand
        words, shown = [*sandbox.ssh_words(sandbox.find(host)), script], f"ssh {host} {shlex.quote(script)}"
    else:
        words = [sys.executable, "-m", "fleet.cli.main", *step.fleet]
        shown = "fleet " + shlex.join(step.fleet)
    _say(invocation, f"\n{click.style(f'{number}. {step.title}', bold=True)}\n{step.words}")
    _say(invocation, click.style(f"$ {shown}", fg="cyan"))
    own = {f"FLEET_{name.upper()}_DIR": str(repository.parent / name) for name in ("state", "cache", "age")}
    own["FLEET_KEY_FILE"] = str(sandbox.key_file)
    began = time.monotonic()
    sys.stdout.flush()
    done = subprocess.run(
        words, cwd=repository, env={**os.environ, **own}, check=False, stdout=sys.stderr if invocation.json else None
    )
    if done.returncode != step.code:
        raise SandboxError(f"the demo went wrong: {shown} ended with {done.returncode}, not {step.code}")
    return {
        "title": step.title,
        "command": shown,
        "exit_code": done.returncode,
        "seconds": round(time.monotonic() - began, 2),
    }


def _say(invocation: Invocation, text: str) -> None:
    show(text, error=invocation.json, color=invocation.color)
