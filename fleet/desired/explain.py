"""Why a host has a value: every layer that said something, winner first, and the variables behind it. Pure.

Reads the chains that merging kept; nothing is merged again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fleet.desired.check import near
from fleet.desired.compile import Fleet
from fleet.desired.jinja import Passing
from fleet.desired.scope import RESERVED, View, templated
from fleet.errors import Origin, UsageError
from fleet.model import sealed
from fleet.model.host import HostSpec, Resource
from fleet.model.value import Node


@dataclass(frozen=True, slots=True)
class Said:
    """One layer's word. value: as it stands there, not rendered. won: False for what was overruled."""

    value: Any
    origin: Origin
    layer: str
    won: bool


@dataclass(frozen=True, slots=True)
class Explained:
    """One leaf. name: the attribute, dotted below maps, or the variable. value: as the host gets it.

    lines: strongest first. uses: the variables it is made of. file: the template or source behind it, or "".
    """

    name: str
    value: Any
    lines: tuple[Said, ...]
    uses: tuple[Explained, ...] = ()
    file: str = ""


def explain(fleet: Fleet, host: HostSpec, resource_id: str, attribute: str | None = None) -> tuple[Explained, ...]:
    """Every attribute of a resource, or one (a map's leaves by dotted names). Raises UsageError: no such name."""
    resource = host.resource(resource_id)
    if resource is None or resource.node is None:
        known = [one.id for one in host.resources]
        raise UsageError(_unknown(f"{host.label} has no resource `{resource_id}`", near(resource_id, known)))
    detail = fleet.environments[host.environment].details[host.name]
    view = detail.view(resource.role)
    found = tuple(
        _explained(name, node, view, ())
        for name, node in leaves(resource.node)
        if attribute is None or name == attribute or name.startswith(attribute + ".")
    )
    if attribute is None or found:
        return found
    return (_unsaid(resource, attribute),)


def leaves(node: Node, prefix: str = "") -> Iterator[tuple[str, Node]]:
    """A map's leaves by dotted name; lists are leaves."""
    if isinstance(node.value, dict) and node.value:
        for key, child in node.value.items():
            yield from leaves(child, f"{prefix}.{key}" if prefix else key)
    elif prefix:
        yield prefix, node


def _explained(name: str, node: Node, view: View, seen: tuple[str, ...]) -> Explained:
    lines = tuple(Said(one.plain(), one.origin, one.layer, one is node) for one in node.chain())
    rendered = list(texts(node))
    file = ""
    if name in ("template", "source") and isinstance(node.value, str) and not seen:
        file, content = _file(view, node)
        if name == "template":
            rendered.append(content)
    names = sorted({word for text in rendered for word in view.around.engine.reads(text)} - {*RESERVED, *seen})
    uses = list(_secrets(name, node, view, file))
    for word in names:
        inner = view.variables.node(word)
        if inner is not None:
            uses.append(_explained(word, inner, view, (*seen, word)))
    return Explained(name, _value(view, node), lines, tuple(uses), file)


def _secrets(name: str, node: Node, view: View, file: str) -> Iterator[Explained]:
    """The secrets that stand in a value or in its template, each with the files that have it."""
    try:
        value = view.template(view.render(node)) if file and name == "template" else view.render(node)
    except Passing:
        return
    table = view.around.secrets.of(view.host["name"]) if view.around.secrets is not None else {}
    for token in sorted({str(one): one for one in sealed.every_leaf(value)}.values(), key=str):
        found = table[token.name]
        said = tuple(Said(one.token, one.origin, one.layer, one is found) for one in (found, *found.over))
        yield Explained(f"secret {token.name}", str(token), said)


def _value(view: View, node: Node) -> Any:
    try:
        return view.render(node)
    except Passing:  # facts that nobody gathered yet
        return node.plain()


def texts(node: Node) -> Iterator[str]:
    """Every string of a value that has something to render."""
    if not templated(node):
        return
    if isinstance(node.value, str):
        yield node.value
    else:
        for child in node.value.values() if isinstance(node.value, dict) else node.value:
            yield from texts(child)


def _file(view: View, node: Node) -> tuple[str, str]:
    try:
        path, content = view.file(str(_value(view, node)))
    except KeyError:
        return "", ""
    return path, content.decode(errors="replace")


def _unsaid(resource: Resource, attribute: str) -> Explained:
    fields = getattr(type(resource.spec), "model_fields", {})
    names = {field.alias or name: name for name, field in fields.items()}
    if attribute in names:
        return Explained(attribute, getattr(resource.spec, names[attribute]), ())
    raise UsageError(_unknown(f"{resource.id} has no attribute `{attribute}`", near(attribute, names)))


def _unknown(message: str, hint: str) -> str:
    return message + (f"; {hint}" if hint else "")
