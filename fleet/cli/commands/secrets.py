"""`fleet secrets`: what is secret, who can read it and who uses it; the rest change SOPS files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from fleet.cli import completion
from fleet.cli.answer import Answer
from fleet.cli.commands import secrets_change
from fleet.cli.json_output import origin_document
from fleet.cli.opening import near, open_fleet, open_tree, said_of, source_document
from fleet.cli.options import Invocation, group
from fleet.cli.options import command as fleet_command
from fleet.cli.printable import one_line
from fleet.cli.ranges import compress
from fleet.cli.words import count
from fleet.errors import Origin, UsageError
from fleet.model import sealed

if TYPE_CHECKING:
    from fleet.desired.assemble import EnvironmentSpec
    from fleet.desired.blame import Blame
    from fleet.desired.compile import Fleet
    from fleet.desired.secrets import Found

# Secret's token → resource id, "connection" or "api NAME" → hosts that have it there.
Uses = Mapping[str, Mapping[str, Sequence[str]]]

environment_option = click.option(
    "-e", "--env", "environment", metavar="ENV", help="Only this environment.", shell_complete=completion.environments
)


@group(
    "secrets",
    examples=(
        ("fleet secrets list -e dev", "names, places and how many hosts use each"),
        ("fleet secrets who db.password -e dev", "who can read it, where it is used, who changed it last"),
        ("fleet secrets keygen -e dev", "once: a key for dev, and a rule in .sops.yaml"),
        ("fleet secrets set db.password -e dev", "ask for a value, and encrypt it into dev/secrets.sops.yaml"),
        ("fleet secrets edit -e dev", "the file in your editor, in memory only"),
    ),
)
@click.pass_context
def command(context: click.Context) -> None:
    """Secrets: encrypted in the repository with SOPS, and shown nowhere."""
    if context.invoked_subcommand is None:
        raise UsageError("say what to do: fleet secrets list, who, keygen, set, edit or rotate")


@fleet_command("list", examples=(("fleet secrets list", "of all environments"),))
@environment_option
@click.pass_obj
def list_(invocation: Invocation, environment: str | None) -> Answer:
    """List secrets by environment: name, file and line, and how much uses each. No key is needed."""
    _, fleet = open_fleet(invocation)
    blocks, document = [], []
    for one in _environments(fleet, environment):
        uses = uses_of(one)
        rows = [(host, found) for host, found in _all(one)]
        if rows:
            blocks.append(table(one.name, rows, uses))
        document += [_row(one.name, host, found, uses) for host, found in rows]
    text = "\n\n".join(blocks) or "there are no secrets here; the first: fleet secrets set NAME -e ENV"
    return Answer(f"{text}\n{count(len(document), 'secret')} at {said_of(fleet)}", _document(fleet, document))


@fleet_command("who", examples=(("fleet secrets who db.password -e dev", "readers, hosts, resources, last change"),))
@click.argument("name", required=False)
@environment_option
@click.pass_obj
def who(invocation: Invocation, name: str | None, environment: str | None) -> Answer:
    """Say who can read secrets, which hosts and resources use them, and who changed each last."""
    from fleet.desired.blame import blame

    app, fleet = open_fleet(invocation)
    chosen = [(one, host, found) for one in _environments(fleet, environment) for host, found in _all(one)
              if name in (None, found.source.name)]  # fmt: skip
    if not chosen:
        known = [found.source.name for one in fleet.environments.values() for _, found in _all(one)]
        raise UsageError(f"there is no secret {name!r}{near(name, known)}" if name else "there are no secrets here")
    blamed = blame(app.settings.repository, open_tree(app, invocation), {found.origin for _, _, found in chosen})
    lines, document = [], []
    for one, host, found in chosen:
        uses = uses_of(one)
        lines += [*_told(one, host, found, uses, blamed), ""]
        readers = sorted(one.secrets.files[found.source.path].recipients)
        changed = blamed.get(found.origin)
        more = {"readers": readers, "changed": None if changed is None else _change(changed)}
        document.append({**_row(one.name, host, found, uses), **more})
    return Answer("\n".join(lines[:-1]), _document(fleet, document))


command.add_command(list_)
command.add_command(who)
for one in secrets_change.COMMANDS:
    command.add_command(one)


def uses_of(environment: EnvironmentSpec) -> Uses:
    """From the tokens that the compiler left in resources, and in how APIs are logged in to."""
    found: dict[str, dict[str, list[str]]] = {}
    for host in environment.hosts.values():
        places = [(resource.id, resource.secrets) for resource in host.resources]
        apis = [one for one in (host.target.api, *host.target.apis) if one is not None]
        places += [(f"api {one.name}" if one.name else "connection", one.texts()) for one in apis]
        for place, texts in places:
            for token in {str(one) for one in sealed.every_leaf(texts)}:
                found.setdefault(token, {}).setdefault(place, []).append(host.name)
    return found


def _used(found: Found, uses: Uses) -> Mapping[str, Sequence[str]]:
    return uses.get(found.token, {})


def _environments(fleet: Fleet, environment: str | None) -> list[EnvironmentSpec]:
    if environment is not None and environment not in fleet.environments:
        raise UsageError(f"there is no environment {environment!r}{near(environment, fleet.environments)}")
    return [one for name, one in fleet.environments.items() if environment in (None, name)]


def _all(environment: EnvironmentSpec) -> Iterator[tuple[str, Found]]:
    """("" or a host, secret): every host's, then what single hosts have of their own."""
    yield from (("", found) for _, found in sorted(environment.secrets.shared.items()))
    for host, table_ in sorted(environment.secrets.own.items()):
        shared = environment.secrets.shared
        yield from ((host, found) for name, found in sorted(table_.items()) if shared.get(name) is not found)


def table(environment: str, rows: Sequence[tuple[str, Found]], uses: Uses) -> str:
    """One environment; pure."""
    cells = []
    for host, found in rows:
        hosts = {one for names in _used(found, uses).values() for one in names}
        used = f"{count(len(hosts), 'host')}, {count(len(_used(found, uses)), 'place')}" if hosts else "nothing"
        name = found.source.name + (f" ({host})" if host else "")
        cells.append((one_line(name), one_line(str(found.origin)), used))
    widths = [max(len(row[i]) for row in cells) for i in range(2)]
    lines = [f"  {a:<{widths[0]}}  {b:<{widths[1]}}  {c}" for a, b, c in cells]
    return "\n".join([click.style(one_line(environment), bold=True), *lines])


def _told(one: EnvironmentSpec, host: str, found: Found, uses: Uses, blamed: Mapping[Origin, Blame]) -> Iterator[str]:
    title = f"{one.name}/{host}" if host else one.name
    yield click.style(one_line(f"{found.source.name}  in {title}"), bold=True)
    yield f"  file     {one_line(str(found.origin))}"
    yield from (f"  over     {one_line(str(weaker.origin))}" for weaker in found.over)
    readers = sorted(one.secrets.files[found.source.path].recipients)
    yield from (f"  {'readers' if not n else '':<7}  {one_line(reader)}" for n, reader in enumerate(readers))
    used = _used(found, uses)
    for n, (resource, hosts) in enumerate(sorted(used.items())):
        yield f"  {'used by' if not n else '':<7}  {one_line(resource)} on {one_line(compress(hosts), 500)}"
    if not used:
        yield "  used by  nothing"
    changed = blamed.get(found.origin)
    said = "not committed yet" if changed is None or not changed.commit else _said(changed)
    yield f"  changed  {one_line(said)}"


def _said(blame: Blame) -> str:
    return f"{blame.date[:10]} by {blame.author}: {blame.summary} ({blame.commit[:9]})"


def _change(blame: Blame) -> dict[str, str]:
    return {"commit": blame.commit, "author": blame.author, "date": blame.date, "summary": blame.summary}


def _row(environment: str, host: str, found: Found, uses: Uses) -> dict[str, Any]:
    used = _used(found, uses)
    return {
        "environment": environment,
        "host": host or None,
        "name": found.source.name,
        "digest": found.source.digest,
        "origin": origin_document(found.origin),
        "used_by": {resource: sorted(hosts) for resource, hosts in sorted(used.items())},
    }


def _document(fleet: Fleet, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {**source_document(fleet), "secrets": rows}
