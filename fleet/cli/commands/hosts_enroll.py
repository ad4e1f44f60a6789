"""`fleet hosts enroll`: scan host keys, show them, ask, and pin them in environments/ENV/known_hosts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleet.cli.answer import Answer, show
from fleet.cli.exit_codes import ExitCode
from fleet.cli.known_hosts import Enrolment, HostKey, compare, enrolled, known_hosts_name, write_atomically
from fleet.cli.opening import open_fleet
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command
from fleet.cli.printable import one_line
from fleet.cli.selection import selects_hosts
from fleet.errors import TransportError, UsageError
from fleet.model.host import HostSpec

if TYPE_CHECKING:
    from fleet.app import Selection

Failed = list[tuple[HostSpec, TransportError]]


@fleet_command(
    "enroll",
    examples=(
        ("fleet hosts enroll -e dev --working-tree", "scan the hosts of dev, show fingerprints, ask, write"),
        ("fleet hosts enroll --host web-7 --replace", "web-7 was installed anew: pin its new key"),
    ),
)
@click.option("--yes", is_flag=True, help="Do not ask. Only where the network to the hosts is trusted.")
@click.option("--replace", is_flag=True, help="Also replace keys that are pinned otherwise.")
@selects_hosts
@click.pass_obj
def command(invocation: Invocation, selection: Selection, yes: bool, replace: bool) -> Answer:
    """Pin the hosts' keys, after you compared their fingerprints.

    Compare what is shown with what `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` says on the host's own console.
    A key that is pinned otherwise is never overwritten without --replace. The file is written, not committed.
    """
    from fleet.cli.run_async import run_async

    app, fleet = open_fleet(invocation)
    hosts = [host for host in app.select(fleet, selection) if host.target.type == "ssh"]
    scanned, failed = run_async(_scan(hosts, str(app.settings.key_file or "")))
    files = app.settings.repository / "environments"
    found = {env: compare(_read(files / env / "known_hosts"), keys) for env, keys in scanned.items()}
    show(summary(found, failed), error=invocation.json, color=invocation.color)
    wanted = {env: one for env, one in found.items() if one.fresh or (replace and one.changed)}
    if wanted and not yes and not _confirmed(invocation):
        return Answer("nothing was written", _document(found, failed, []), ExitCode.PENDING)
    written = []
    for environment, one in wanted.items():
        path = files / environment / "known_hosts"
        write_atomically(path, enrolled(_read(path), one.fresh, one.changed if replace else ()))
        written.append(str(path))
    code = ExitCode.UNREACHABLE if failed else ExitCode.IN_SYNC
    if not replace and any(one.changed for one in found.values()):
        code = ExitCode.CONFLICT
    told = [f"wrote {one_line(path)}; commit it" for path in written] or ["nothing new to pin"]
    return Answer("\n".join(told), _document(found, failed, written), code)


async def _scan(hosts: Sequence[HostSpec], key_file: str) -> tuple[dict[str, list[HostKey]], Failed]:
    """Environment → keys; and the hosts that did not answer."""
    import asyncio

    from fleet.transports.scan import scan_host_keys

    keys: dict[str, list[HostKey]] = {}
    failed: Failed = []
    limit = asyncio.Semaphore(32)

    async def one(host: HostSpec) -> None:
        async with limit:
            try:
                lines = await scan_host_keys(host.target, key_file)
            except TransportError as error:
                failed.append((host, error))
                return
        name = known_hosts_name(host.target.address, host.target.port)
        keys.setdefault(host.environment, []).extend(HostKey(name, *line.split()[-2:]) for line in lines)

    async with asyncio.TaskGroup() as group:
        for host in hosts:
            group.create_task(one(host))
    return keys, failed


def summary(found: dict[str, Enrolment], failed: Failed) -> str:
    """What was scanned, in the form that is compared by eye; pure."""
    lines = []
    for environment, one in sorted(found.items()):
        for sort, color, keys in (("new", "green", one.fresh), ("CHANGED", "red", one.changed)):
            lines += [
                f"{click.style(sort, fg=color, bold=True)}  {one_line(environment)}  {one_line(key.name)}  "
                f"{one_line(key.algorithm)}  {key.fingerprint}"
                for key in keys
            ]
        if count := len({key.name for key in one.same}):
            lines.append(f"{count:,} hosts of {one_line(environment)} are pinned already and showed the same key")
        if one.changed:
            lines.append("a changed key means: installed anew, or someone in between; --replace only if you know which")
    for host, error in failed:
        lines.append(click.style(f"unreachable  {one_line(host.label)}: {one_line(str(error), 300)}", fg="magenta"))
    return "\n".join(lines)


def _confirmed(invocation: Invocation) -> bool:
    if invocation.json or not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on; compare the fingerprints, then say --yes")
    return click.confirm("Pin these keys?", err=True)


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _document(found: dict[str, Enrolment], failed: Failed, written: list[str]) -> dict[str, Any]:
    def keys(sort: str) -> list[dict[str, str]]:
        return [
            {"environment": env, "name": k.name, "algorithm": k.algorithm, "fingerprint": k.fingerprint}
            for env, one in sorted(found.items())
            for k in getattr(one, sort)
        ]

    unreachable = [{"host": h.name, "environment": h.environment, "error": str(e)} for h, e in failed]
    return {s: keys(s) for s in ("fresh", "same", "changed")} | {"unreachable": unreachable, "written": written}
