"""`fleet diff`: which hosts and resources a change of the repository touches, without contacting any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from fleet.cli.answer import Answer
from fleet.cli.json_output import change_document
from fleet.cli.opening import open_app, said_of
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command
from fleet.cli.printable import one_line
from fleet.cli.ranges import compress
from fleet.cli.render_change import Detail, change_lines
from fleet.cli.words import count
from fleet.model.change import Change, Plan
from fleet.model.host import Resource

if TYPE_CHECKING:
    from fleet.desired.compile import Fleet
    from fleet.desired.diff import Group, ResourceDiff


@fleet_command(
    "diff",
    examples=(
        ("fleet diff main..my-branch", "what merging my-branch would ask of hosts"),
        ("fleet diff HEAD --working-tree", "what the uncommitted edit would"),
    ),
)
@click.argument("revisions", metavar="REV[..REV]")
@click.pass_obj
def command(invocation: Invocation, revisions: str) -> Answer:
    """Say what a change of the repository asks of which hosts. Contacts none.

    The second revision is HEAD when it is left out, or the working tree with --working-tree. Always exit code 0:
    `fleet plan` says whether hosts differ.
    """
    from fleet.desired.diff import diff

    app = open_app(invocation)
    first, _, second = revisions.partition("..")
    old = app.compile(first or "HEAD")
    new = app.compile(second.removeprefix(".") or invocation.revision, invocation.working_tree)
    groups = diff(old, new)
    hosts = sum(len(group.hosts) for group in groups)
    detail = Detail(lines=40 if not invocation.verbose else 1_000_000, old="before")
    blocks = ["\n".join(lines(group, detail)) for group in merged(groups)]
    blocks.append(f"{said_of(old)} → {said_of(new)}: {count(hosts, 'host')} would change, {_same(new, hosts)}")
    document = {
        "from": {"revision": old.revision, "working_tree": old.working_tree},
        "to": {"revision": new.revision, "working_tree": new.working_tree},
        "groups": [_document(group) for group in groups],
    }
    return Answer("\n\n".join(blocks), document)


def merged(groups: Sequence[Group]) -> list[Group]:
    """Groups whose diffs differ only in the lines around, such as a host's own name, said once; pure."""
    found: dict[tuple[object, ...], Group] = {}
    for group in groups:
        said = (click.unstyle(line)[6:] for line in lines(replace(group, hosts=("",)), Detail(1_000_000, 1_000_000)))
        key = (group.environment, group.sort, *(line for line in said if not line.startswith((" ", "@@"))))
        before = found.get(key)
        found[key] = group if before is None else replace(before, hosts=tuple(sorted((*before.hosts, *group.hosts))))
    return list(found.values())


def lines(group: Group, detail: Detail) -> Iterator[str]:
    """One group of hosts with the same change; pure."""
    same = ", same change" if len(group.hosts) > 1 else ""
    said = {"added": "new", "removed": "no longer described", "changed": "would change"}[group.sort]
    yield click.style(f"{count(len(group.hosts), 'host')}{same}: {said}", fg="yellow", bold=True)
    yield f"  {one_line(group.environment)}: {one_line(compress(group.hosts), 2000)}"
    if group.connection:
        yield "  how they are reached changes"
    for one in group.changes:
        yield from change_lines(_shown(one), Plan(""), detail)


def _shown(one: ResourceDiff) -> Change:
    """The change with the old content, and what else of a resource can change, as if observed on a host."""
    before, after = one.change.before, one.change.after
    if before is not None and one.old is not None:
        before = {**before, **_beside(one.old), "content": one.old.content}
    if after is not None and one.new is not None and before is not None:
        after = {**after, **_beside(one.new)}
    return replace(one.change, before=before, after=after)


def _beside(resource: Resource) -> dict[str, Any]:
    watches = {action: list(ids) for action, ids in resource.watches.items()}
    return {"needs": list(resource.needs), "watches": watches, "drift": resource.drift}


def _same(new: Fleet, touched: int) -> str:
    return f"{max(len(new.hosts) - touched, 0):,} stay as they are"


def _document(group: Group) -> dict[str, Any]:
    none = Plan("")
    return {
        "environment": group.environment,
        "sort": group.sort,
        "hosts": list(group.hosts),
        "connection": group.connection,
        "changes": [change_document(one.change, none) for one in group.changes],
    }
