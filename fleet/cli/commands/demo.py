"""`fleet demo`: the whole loop on throw-away hosts, in plain words."""

from __future__ import annotations

from fleet.cli.answer import Answer
from fleet.cli.options import command as fleet_command


@fleet_command("demo", examples=(("fleet demo", "20 hosts in two environments, under 90 seconds"),))
def command() -> Answer:
    """Watch the whole loop on 20 throw-away hosts.

    Plan, apply, a second plan that is empty, a change by hand, drift, healing, and why a value is as it is."""
    raise NotImplementedError
