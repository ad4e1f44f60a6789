"""`fleet show`: everything that one host should be, as YAML."""

from __future__ import annotations

from typing import Any

import click

from fleet.cli import completion
from fleet.cli.answer import Answer
from fleet.cli.json_output import host_document, state_document
from fleet.cli.opening import find_host, open_fleet, said_of, source_document
from fleet.cli.options import Invocation
from fleet.cli.options import command as fleet_command
from fleet.cli.yaml_text import to_yaml
from fleet.model.host import HostSpec, Resource


@fleet_command(
    "show",
    examples=(
        ("fleet show web-1", "all resources of web-1, in the order in which they are made right"),
        ("fleet show staging/web-1 -r v1.2", "where two environments have a web-1; as of a tag"),
    ),
)
@click.argument("host", shell_complete=completion.hosts)
@click.pass_obj
def command(invocation: Invocation, host: str) -> Answer:
    """Show everything that a host should be, as YAML.

    What is shown is what is compared with the host: merged, rendered and normalised. Secrets are withheld.
    """
    _, fleet = open_fleet(invocation)
    spec = find_host(fleet, host)
    shown = describe(spec)
    text = f"# {spec.label} at {said_of(fleet)}\n{to_yaml(shown)}"
    return Answer(text, {**source_document(fleet), **host_document(spec), "resources": shown["resources"]})


def describe(spec: HostSpec) -> dict[str, Any]:
    """Plain values, resources by kind and name in dependency order; pure."""
    resources: dict[str, dict[str, Any]] = {}
    for resource in spec.resources:
        resources.setdefault(resource.kind, {})[resource.name] = _resource(resource, spec)
    known = host_document(spec)
    head = {name: known[name] for name in ("host", "environment", "address", "roles", "labels", "digest")}
    return {**head, "resources": resources}


def _resource(resource: Resource, spec: HostSpec) -> dict[str, Any]:
    said = state_document(resource.desired, resource.sensitive)
    shown: dict[str, Any] = {"ensure": "absent"} if said is None else dict(said)
    if resource.content is not None and said is not None:
        shown["content"] = _content(resource.content, resource.sensitive)
    if needs := spec.graph.needs.get(resource.id):
        shown["needs"] = list(needs)
    for action, ids in resource.watches.items():
        if ids:
            shown[f"{action}_on"] = list(ids)
    if resource.drift != "correct":
        shown["drift"] = resource.drift
    shown["role"] = resource.role
    shown["from"] = str(resource.origin)
    return shown


def _content(content: bytes, sensitive: bool) -> str:
    if sensitive:
        return f"(secret, {len(content):,} bytes)"
    if b"\x00" in content:
        return f"(binary, {len(content):,} bytes)"
    return content.decode(errors="backslashreplace")
