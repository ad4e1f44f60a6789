"""Asking the controller on this machine, and what its answers look like on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from fleet.cli.opening import settings_of
from fleet.cli.printable import one_line
from fleet.cli.times import ago

if TYPE_CHECKING:
    from fleet.cli.options import Invocation
    from fleet.transports.controller import ControllerClient

BREAKERS = 5  # that are named


def client_of(invocation: Invocation) -> ControllerClient:
    """Where it listens is a setting."""
    from fleet.transports.controller import ControllerClient

    return ControllerClient(settings_of(invocation, anywhere=True).socket)


def meant(hosts: Sequence[Mapping[str, Any]], environments: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Labels of the hosts that are meant: all that is given must hold."""
    from fnmatch import fnmatchcase

    found = []
    for one in hosts:
        label = f"{one['environment']}/{one['name']}"
        named = not patterns or any(fnmatchcase(text, p) for p in patterns for text in (one["name"], label))
        if named and (not environments or one["environment"] in environments):
            found.append(label)
    return found


def environment_lines(status: Mapping[str, Any], now: float) -> list[str]:
    """One environment each, with what stands in its way."""
    lines = []
    for one in status["environments"]:
        verdicts = ", ".join(f"{count} {name or 'not looked at'}" for name, count in sorted(one["verdicts"].items()))
        said = f"at {one['revision'][:12]} taken {ago(one['since'], now)}"
        lines.append(f"{click.style(one_line(one['name']), bold=True)}  {said}: {verdicts or 'no host yet'}")
        if one["writes"]:
            lines.append(click.style(f"  nothing is changed there: {one_line(one['writes'])}", fg="yellow"))
        if (rollout := one["rollout"]) is not None:
            lines.append("  " + _rollout(rollout))
        lines += [click.style(f"  {one_line(text, 200)}", fg="red") for text in one["problems"][:3]]
        if len(one["problems"]) > 3:
            lines.append(f"  and {len(one['problems']) - 3} more; see `fleet validate`")
    return lines


def _rollout(said: Mapping[str, Any]) -> str:
    done = said["converged"] + said["failed"] + said["unreachable"]
    wave = f"wave {said['wave']} of {said['waves']}"
    where = f"rollout of {said['revision'][:12]}: {wave}, {done} of {said['hosts']} hosts"
    if said["state"] == "waiting":
        again = f"`fleet approve` with {said['revision'][:12]}"
        return click.style(f"{said['revision'][:12]} waits for {again}; {one_line(said['reason'], 200)}", fg="yellow")
    if said["state"] != "stopped":
        return f"{where}, {said['state']}"
    return click.style(f"{where}, stopped: {one_line(said['reason'], 200)}; see `fleet resume`", fg="red")


def controller_lines(status: Mapping[str, Any], now: float) -> list[str]:
    """The controller itself: whether it hears of Git, and what holds it back."""
    fetched = f"Git answered {ago(status['fetched'], now)}" if status["fetched"] else "Git has not answered yet"
    began = f"the controller started {ago(status['started'], now)}"
    lines = [f"{began}; {fetched}; {status['running']} passes under way"]
    if status["git"]:
        lines.append(click.style(f"Git: {one_line(status['git'], 300)}", fg="red"))
    if status["record"]:
        said = f"nothing is changed while the record cannot be written: {one_line(status['record'], 300)}"
        lines.append(click.style(said, fg="red"))
    for one in status.get("told", ()):
        if one["error"]:
            said = f"{one_line(one['name'], 80)} cannot be told: {one_line(one['error'], 300)}"
            lines.append(click.style(said, fg="yellow"))
    if breakers := status.get("breakers"):
        named = [f"{one_line(name, 60)} ({state})" for name, state in sorted(breakers.items())[:BREAKERS]]
        more = f", and {len(breakers) - BREAKERS} more" if len(breakers) > BREAKERS else ""
        lines.append(click.style(f"left alone, but for single tries: {', '.join(named)}{more}", fg="yellow"))
    if (frozen := status["frozen"]) is not None:
        why = f": {one_line(frozen['reason'])}" if frozen["reason"] else ""
        lines.append(click.style(f"frozen by {one_line(frozen['who'])} {ago(frozen['since'], now)}{why}", fg="yellow"))
    return lines
