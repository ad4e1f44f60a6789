"""`fleet reconcile`: the controller looks at hosts now."""

from __future__ import annotations

import click

from fleet.cli.answer import Answer
from fleet.cli.controlling import client_of, meant
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command
from fleet.cli.words import count
from fleet.errors import UsageError


@fleet_command(
    "reconcile",
    examples=(
        ("fleet reconcile -e dev", "look at every host of dev now, and correct it"),
        ("fleet reconcile --host 'web-*'", "the same for some"),
        ("fleet reconcile --all", "for every host of every environment"),
    ),
)
@click.option("-e", "--environment", "environments", multiple=True, metavar="ENV", help="Hosts of this environment.")
@click.option("--host", "patterns", multiple=True, metavar="PATTERN", help="Hosts of this name, or ENV/NAME.")
@click.option("--all", "everything", is_flag=True, help="Every host.")
@click.pass_obj
def command(
    invocation: Invocation, environments: tuple[str, ...], patterns: tuple[str, ...], everything: bool
) -> Answer:
    """Tell the controller to look at hosts now.

    It looks at everything again, whatever it remembers, and corrects what differs. A host that was parked after
    failures is tried again.
    """
    if not (environments or patterns or everything):
        raise UsageError("which hosts? name some with -e or --host, or all with --all")
    client = client_of(invocation)
    names = meant(client.hosts(), environments, patterns)
    if not names:
        raise UsageError("the controller has no such host; `fleet status -v` lists them")
    asked = client.reconcile(names)
    return Answer(f"{count(asked, 'host')} will be looked at now; see `fleet status`", {"hosts": names})
