"""`fleet kinds`: the reference of every kind of resource, written from its Spec."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Mapping
from typing import Any

import click

from fleet.cli import completion
from fleet.cli.answer import Answer
from fleet.cli.opening import near
from fleet.cli.options import command as fleet_command
from fleet.errors import UsageError
from fleet.model.kind import Kind


@fleet_command(
    "kinds",
    examples=(
        ("fleet kinds", "what can be managed"),
        ("fleet kinds file", "all attributes of files"),
    ),
)
@click.argument("name", required=False, metavar="[KIND]", shell_complete=completion.kinds)
@click.pass_obj
def command(invocation: object, name: str | None) -> Answer:
    """List what can be managed, or all attributes of one kind."""
    from fleet.desired.profiles import every_kind

    kinds = every_kind()
    if name is None:
        width = max(map(len, kinds))
        rows = [f"{click.style(f'{n:<{width}}', bold=True)}  {first_line(kinds[n].doc)}" for n in sorted(kinds)]
        rows.append("\n`fleet kinds KIND` shows the attributes of one")
        return Answer("\n".join(rows), {"kinds": {n: kind_document(kinds[n]) for n in sorted(kinds)}})
    if name not in kinds:
        raise UsageError(f"there is no kind {name!r}{near(name, kinds)} (`fleet kinds` lists them)")
    return Answer(reference(kinds[name]), {"kinds": {name: kind_document(kinds[name])}})


def first_line(doc: str) -> str:
    return doc.strip().split("\n", 1)[0]


def kind_document(kind: Kind) -> dict[str, Any]:
    return {"doc": kind.doc, "schema": kind.Spec.model_json_schema()}


def reference(kind: Kind) -> str:
    """One kind for people; pure."""
    from fleet.desired.format import GENERAL, REACTIONS

    said = inspect.getdoc(kind.Spec) or kind.doc
    lines = [click.style(kind.name, bold=True), "", *said.split("\n"), ""]
    properties = kind.Spec.model_json_schema()["properties"]
    for name, field in kind.Spec.model_fields.items():
        schema = properties.get(field.alias or name, {})
        given = _default(field.get_default(call_default_factory=True))
        said = "required" if field.is_required() else f"default: {given}"
        lines.append(f"  {click.style(field.alias or name, bold=True)}  {_type(schema)}, {said}")
        lines.extend(textwrap.wrap(_description(schema), 76, initial_indent="      ", subsequent_indent="      "))
    lines += ["", "Beside these:"]
    for name, shape in {**GENERAL, **REACTIONS.get(kind.name, {})}.items():
        lines += [f"  {click.style(name, bold=True)}", f"      {shape.doc}"]
    return "\n".join(lines)


def _description(schema: Mapping[str, Any]) -> str:
    """The field's own words, or those of its type."""
    inner = (one.get("description", "") for one in schema.get("anyOf", ()))
    return str(schema.get("description") or next(filter(None, inner), ""))


def _default(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if value not in ("", (), [], {}) else "empty"


def _type(schema: Mapping[str, Any]) -> str:
    """A JSON Schema type in few words."""
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(one) for one in schema["anyOf"] if one.get("type") != "null"))
    if schema.get("type") == "array":
        items = schema.get("items")
        return f"list of {_type(items)}" if isinstance(items, dict) else "list"
    return {"object": "map", "boolean": "true | false"}.get(str(schema.get("type")), str(schema.get("type", "value")))
