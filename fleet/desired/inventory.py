"""Environments and their hosts: layers in, merged settings and one Entry per host out. Nothing of roles or kinds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from fleet.desired.check import near
from fleet.desired.format import Shape
from fleet.desired.load import Layer
from fleet.desired.merge import merge_all, stamp
from fleet.desired.ranges import expand
from fleet.errors import Origin, Problem
from fleet.model.value import Node, children, member

BASE = "base"
HOSTS_LIMIT = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One host as hosts.yaml and hosts/NAME.yaml describe it, not yet rendered.

    node: the entry of hosts.yaml, shared by all hosts of a range, with the overlay's own keys over it.
    overlay: hosts/NAME.yaml with its resources, or None. index: what the range's first group says there.
    """

    name: str
    index: int | str | None
    node: Node
    origin: Origin
    overlay: Node | None = None


@dataclass(slots=True, eq=False)
class Merged:
    """One environment, its layers merged. settings: of environment.yaml; roles: name → the role's merged file."""

    name: str
    layers: tuple[Layer, ...]
    settings: Node
    hosts: dict[str, Entry] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


def chain(layers: Mapping[str, Layer], name: str, problems: list[Problem]) -> tuple[Layer, ...]:
    """The layers of an environment, weakest first. What cannot be followed is a problem, and left out."""
    found: list[Layer] = []
    current: str = name
    while current:
        layer = layers[current]
        if layer in found:
            names = " → ".join([one.name for one in found[found.index(layer) :]] + [current])
            problems.append(Problem(_extends(found[-1])[1], f"environments extend each other in a circle: {names}"))
            break
        found.append(layer)
        parent, origin = _extends(layer)
        if parent == BASE and not origin.line and BASE not in layers:
            parent = ""  # base is what all share, where there is something that all share
        if parent and parent not in layers:
            hint = near(parent, layers)
            problems.append(
                Problem(origin, f"there is no environment `{parent}` to extend", "a directory beside it", hint)
            )
            parent = ""
        current = parent
    return tuple(reversed(found))


def _extends(layer: Layer) -> tuple[str, Origin]:
    node = None if layer.environment is None else member(layer.environment, "extends")
    if node is not None and isinstance(node.value, str):
        return node.value, node.origin
    return (BASE if layer.name != BASE else "", Origin(f"{layer.name}/environment.yaml"))


def environments(layers: Mapping[str, Layer]) -> tuple[str, ...]:
    """Directories that are environments of their own: all but those without hosts that others build upon."""
    parents = {_extends(layer)[0] for layer in layers.values()} | {BASE}
    return tuple(name for name, layer in sorted(layers.items()) if layer.hosts is not None or name not in parents)


def merged(name: str, layers: tuple[Layer, ...], shapes: Mapping[str, Shape], problems: list[Problem]) -> Merged:
    """Settings, hosts and files of one environment. Settings and files come from all its layers; hosts and what is said
    of one host only from its own directory: a host belongs to one environment, whoever extends it.
    """
    settings = _merge([prepared(one.environment, one.name, shapes["environment"]) for one in layers], problems)
    result = Merged(name, layers, settings or Node({}, Origin(f"{name}/environment.yaml")))
    for layer in layers:
        result.files.update(layer.files)
    each = shapes["hosts"].keys["hosts"]
    hosts = _merge([prepared(layers[-1].hosts, name, each)], problems)
    for pattern, node in (children(hosts) if hosts is not None else {}).items():
        _enter(pattern, node, result.hosts, problems)
    _overlay(result, shapes["overlay"], problems)
    return result


def host_names(layer: Layer) -> set[str]:
    """The hosts of one directory; what cannot be understood names none."""
    found: set[str] = set()
    for pattern in children(layer.hosts):
        with suppress(ValueError):
            found.update(name for name, _ in expand(pattern))
    return found


def _merge(nodes: Collection[Node | None], problems: list[Problem]) -> Node | None:
    return merge_all(nodes, problems)


def _enter(pattern: str, node: Node, hosts: dict[str, Entry], problems: list[Problem]) -> None:
    origin = node.key or node.origin
    try:
        names = expand(pattern)
    except ValueError as error:
        problems.append(Problem(origin, str(error)))
        return
    if len(hosts) + len(names) > HOSTS_LIMIT:
        problems.append(Problem(origin, f"more than {HOSTS_LIMIT:,} hosts in one environment"))
        return
    twice = [name for name, _ in names if name in hosts]
    if twice:
        what = f"`{twice[0]}` and {len(twice) - 1} more are" if len(twice) > 1 else f"`{twice[0]}` is"
        first = hosts[twice[0]].origin
        hint = "what is special about one host goes to hosts/NAME.yaml"
        problems.append(Problem(origin, f"{what} already described by another entry", "", hint, also=(first,)))
    for name, index in names:
        hosts.setdefault(name, Entry(name, index, node, origin))


def _overlay(environment: Merged, shape: Shape, problems: list[Problem]) -> None:
    own = environment.layers[-1]
    for name in sorted(own.overlays):
        entry = environment.hosts.get(name)
        if entry is None:
            origin = Origin(f"{own.name}/hosts/{name}.yaml")
            message = f"there is no host `{name}` in {environment.name}"
            hint = near(name, environment.hosts)
            problems.append(Problem(origin, message, "a host of hosts.yaml", hint))
            continue
        overlay = prepared(own.overlays[name], own.name, shape)
        if overlay is not None:
            keep = {key: node for key, node in children(overlay).items() if key not in ("resources", "drift")}
            mine = replace(overlay, value=keep)
            node = merge_all([entry.node, mine], problems) or entry.node
            environment.hosts[name] = replace(entry, node=node, overlay=overlay)


def prepared(node: Node | None, layer: str, shape: Shape) -> Node | None:
    """A loaded Node ready for merging: it knows its layer, and a map left empty is an empty map."""
    return None if node is None else _filled(stamp(node, layer), shape)


def _filled(node: Node, shape: Shape) -> Node:
    if shape.type != "map" or node.tag == "remove":
        return node
    if node.value is None:
        return replace(node, value={})
    if not isinstance(node.value, dict):
        return node
    changed = {}
    for key, child in node.value.items():
        inner = shape.keys.get(key, shape.each)
        if inner is not None and (filled := _filled(child, inner)) is not child:
            changed[key] = filled
    return replace(node, value={**node.value, **changed}) if changed else node
