"""`fleet top`: what the controller does, live."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from fleet.cli.answer import Answer
from fleet.cli.controlling import client_of, controller_lines
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command
from fleet.cli.printable import one_line
from fleet.cli.times import ago

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

TROUBLE = ("conflict", "unknown", "failed", "drifted", "unreachable", "pending")


@fleet_command("top", examples=(("fleet top", "environments, queue, and the hosts in trouble, every second"),))
@click.option("--interval", type=click.FloatRange(0.2, 60), default=1.0, show_default=True, help="Seconds.")
@click.option("--once", is_flag=True, help="Print it once and end; so it does without a terminal.")
@click.pass_obj
def command(invocation: Invocation, interval: float, once: bool) -> Answer | None:
    """Show the controller at work until Ctrl-C.

    Environments, rate, queue, the slowest hosts and those in trouble.
    """
    from rich.console import Console
    from rich.live import Live

    client = client_of(invocation)
    console = Console(no_color=invocation.color is False, highlight=False)
    status, hosts = client.status(), client.hosts()
    if invocation.json:
        return Answer("", {"status": status, "hosts": hosts})
    if once or not console.is_terminal:
        console.print(screen(status, hosts, time.time(), 1000))
        return None
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(screen(status, hosts, time.time(), console.size.height), refresh=True)
            time.sleep(interval)
            status, hosts = client.status(), client.hosts()


def screen(status: Mapping[str, Any], hosts: Sequence[Mapping[str, Any]], now: float, height: int) -> RenderableType:
    """Fits into 80 columns and as many lines as there are."""
    from rich.console import Group
    from rich.text import Text

    lately = [one["looked"] for one in hosts if one["looked"] > now - 60]
    rate = f"{len(hosts):,} hosts, {len(lately) / 60:.1f} looks a second in the last minute; {status['queue']} are due"
    head = Text.from_ansi("\n".join([*controller_lines(status, now), rate]))
    environments = _environments(status)
    room = max(height - len(head.plain.splitlines()) - len(status["environments"]) - 6, 4)
    return Group(head, environments, _trouble(hosts, now, room))


def _environments(status: Mapping[str, Any]) -> Table:
    table = _table("environment", "revision", "hosts", "how they are")
    for one in status["environments"]:
        verdicts = ", ".join(f"{n} {name or 'not looked at'}" for name, n in sorted(one["verdicts"].items()))
        rollout = one["rollout"]
        more = f"; rollout {rollout['state']}, wave {rollout['wave']}/{rollout['waves']}" if rollout is not None else ""
        broken = "; the newest commit does not compile" if one["problems"] else ""
        _row(table, one_line(one["name"], 20), one["revision"][:10], str(one["hosts"]), verdicts + more + broken)
    return table


def _trouble(hosts: Sequence[Mapping[str, Any]], now: float, room: int) -> Table:
    """The worst first, then the slowest."""
    worst = [one for one in hosts if one["verdict"] in TROUBLE]
    worst.sort(key=lambda one: (TROUBLE.index(one["verdict"]), -one["failures"], one["environment"], one["name"]))
    slowest = sorted((one for one in hosts if one not in worst), key=lambda one: -one["seconds"])
    table = _table("host", "verdict", "since", "took", "why")
    for one in [*worst, *slowest][:room]:
        why = one["error"] or ", ".join(f"{name} ({cause})" for name, cause in one["drift"].items())
        since = ago(one["since"], now) if one["since"] else ""
        label = one_line(f"{one['environment']}/{one['name']}", 24)
        _row(table, label, one["verdict"], since, f"{one['seconds']:.2f} s", one_line(why, 60))
    return table


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, expand=True)
    for name in columns:
        table.add_column(name, overflow="ellipsis", no_wrap=True)
    return table


def _row(table: Table, *texts: str) -> None:
    """As they are: a name of a host is no markup."""
    from rich.text import Text

    table.add_row(*map(Text, texts))
