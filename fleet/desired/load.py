"""A Tree's files → one Layer per directory, every file checked against the format. All problems in one go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from fleet.desired.cache import NodeCache
from fleet.desired.check import check, near
from fleet.desired.format import PROFILE, Shape, documents
from fleet.desired.profile import kind_of
from fleet.desired.profiles import over
from fleet.desired.sops import FORMATS, SecretFile
from fleet.desired.sops import read as read_sops
from fleet.desired.source import Tree
from fleet.desired.template import Engine
from fleet.desired.yaml import MAX_PROBLEMS, excerpt, parse
from fleet.errors import Origin, Problem
from fleet.kinds import KINDS
from fleet.model.kind import Kind
from fleet.model.value import Node

TOP_FILES = ("environment.yaml", "hosts.yaml", "known_hosts")
SCHEMA_FILE = "schema.json"  # what `fleet schema` prints, beside the files that name it in their first line
FOLDERS = ("roles", "hosts", "files", "secrets", "profiles")
SORTS = {"roles": "role", "hosts": "overlay", "profiles": "profile"}
SECRETS = "secrets.sops"


@dataclass(slots=True)
class Layer:
    """One directory under environments/. Filled by `load`, changed by nobody after it.

    files, known_hosts: paths in the tree. secrets: by path. profiles: kinds of its own.
    """

    name: str
    environment: Node | None = None
    hosts: Node | None = None
    roles: dict[str, Node] = field(default_factory=dict)
    overlays: dict[str, Node] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    known_hosts: str = ""
    secrets: dict[str, SecretFile] = field(default_factory=dict)
    profiles: dict[str, Kind] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A revision, read and checked. With problems, `layers` holds what could be read."""

    tree: Tree
    layers: Mapping[str, Layer]
    problems: tuple[Problem, ...]


class _Enough(Exception):
    """One file has told enough of what is wrong with it."""


def load(tree: Tree, kinds: Mapping[str, Kind], cache: NodeCache | None = None) -> Loaded:
    """Never raises for what the files say: problems are collected, over all files."""
    problems = list(tree.problems)
    layers: dict[str, Layer] = {}
    yaml_files: dict[str, str] = {}
    secret_files: dict[str, str] = {}
    for path in tree.entries:
        layer, _, rest = path.partition("/")
        if not rest:
            _stray(path, problems)
        elif (host := _secrets(rest)) is not None:
            secret_files[path] = host
        elif sort := _place(path, rest, layers.setdefault(layer, Layer(layer)), problems):
            yaml_files[path] = sort
    nodes = _nodes(tree, yaml_files, cache, problems)
    _profiles([path for path, sort in yaml_files.items() if sort == "profile"], nodes, layers, tree, problems)
    # Which of two profiles of one name a host has depends on its environment: `compile` knows.
    shapes = documents(over(kinds, {name: kind for layer in layers.values() for name, kind in layer.profiles.items()}))
    for path, node in nodes.items():
        if yaml_files[path] != "profile":
            _check(path, node, shapes[yaml_files[path]], tree, problems)
            layer, _, rest = path.partition("/")
            _put(layers[layer], rest, node)
    for path, file in _read_secrets(tree, secret_files, cache, problems):
        layer = path.partition("/")[0]
        layers.setdefault(layer, Layer(layer)).secrets[path] = file
    kept = {name: layer for name, layer in sorted(layers.items()) if layer != Layer(name)}
    return Loaded(tree, kept, tuple(sorted(set(problems), key=lambda p: (p.origin, p.message))))


def _place(path: str, rest: str, layer: Layer, problems: list[Problem]) -> str:
    """Which sort of document a path is; "" for what is no YAML of ours. What has no place here is a problem."""
    folder, _, name = rest.partition("/")
    if rest == "known_hosts":
        layer.known_hosts = path
    elif rest in ("environment.yaml", "hosts.yaml"):
        return rest.removesuffix(".yaml")
    elif folder == "files" and name:
        layer.files[name] = path
    elif folder in SORTS and name.endswith(".yaml") and "/" not in name:
        return SORTS[folder]
    elif not _aside(rest):
        known = (*TOP_FILES, f"{SECRETS}.yaml", "roles/NAME.yaml", "hosts/NAME.yaml", "profiles/NAME.yaml",
                 "files/PATH", "secrets/NAME.sops")  # fmt: skip
        hint = near(rest if not name else folder, (*TOP_FILES, f"{SECRETS}.yaml", *FOLDERS))
        if name.endswith(".yml") or rest.endswith(".yml"):
            hint = "the ending is .yaml"
        problems.append(Problem(Origin(path), "this file has no place here", ", ".join(known), hint))
    return ""


def profile_paths(layer: Layer) -> list[str]:
    return [f"{layer.name}/profiles/{name}.yaml" for name in sorted(layer.profiles)]


def _profiles(
    paths: Iterable[str], nodes: Mapping[str, Node], layers: Mapping[str, Layer], tree: Tree, problems: list[Problem]
) -> None:
    """Kinds first: what all other files may say depends on them."""
    for path in paths:
        noted: list[Problem] = []
        _check(path, nodes[path], PROFILE, tree, noted)
        layer, name = path.partition("/")[0], path.rpartition("/")[2].removesuffix(".yaml")
        if not noted and name in KINDS:
            noted.append(Problem(Origin(path), f"`{name}` is a kind already", "another name"))
        kind = kind_of(name, nodes[path], Engine(), noted) if not noted else None
        problems.extend(noted)
        if kind is not None:
            layers[layer].profiles[name] = kind


def _secrets(rest: str) -> str | None:
    """Whose secrets a file holds: a host's, every host's (""), or None for what is no SOPS file."""
    folder, _, name = rest.rpartition("/")
    stem, dot, ending = name.rpartition(".")
    if folder == "secrets":
        return "" if ending == "sops" and stem and not stem.startswith(".") else None
    if f"{dot}{ending}" not in FORMATS or ending == "sops":
        return None
    if folder == "hosts" and stem.endswith(f".{SECRETS}"):
        return stem.removesuffix(f".{SECRETS}")
    return "" if not folder and stem == SECRETS else None


def _aside(path: str) -> bool:
    """What people keep beside their configuration: documentation, and what begins with a dot."""
    name = path.rpartition("/")[2]
    return name.startswith(".") or name.endswith(".md")


def _stray(path: str, problems: list[Problem]) -> None:
    if path != SCHEMA_FILE and not _aside(path):
        expected = "a directory per environment, and base"
        problems.append(Problem(Origin(path), "this file belongs to no environment", expected))


def _nodes(tree: Tree, wanted: Mapping[str, str], cache: NodeCache | None, problems: list[Problem]) -> dict[str, Node]:
    """Every wanted file parsed, from the cache where it is known."""
    found: dict[str, Node] = {}
    for path in wanted:
        if cache is not None and (node := cache.get(tree.entries[path].blob, path)) is not None:
            found[path] = node
    for path, content in tree.read_many([p for p in wanted if p not in found]).items():
        parsed, wrong = parse(path, content)
        problems.extend(wrong)
        # Empty or broken, it still stands for its role or host: no second complaint that it is missing.
        found[path] = parsed or Node({}, Origin(path, 1, 1))
        if cache is not None and not wrong:
            cache.put(tree.entries[path].blob, found[path])
    return {path: found[path] for path in wanted if path in found}


def _read_secrets(
    tree: Tree, wanted: Mapping[str, str], cache: NodeCache | None, problems: list[Problem]
) -> Iterator[tuple[str, SecretFile]]:
    """SOPS files, of which YAML is parsed and cached like any other. No line of them is shown: perhaps nobody has
    encrypted it."""
    noted: list[Problem] = []
    nodes = _nodes(tree, {path: "" for path in wanted if path.endswith(".yaml")}, cache, noted)
    problems.extend(replace(one, excerpt="") for one in noted)
    broken = {one.origin.file for one in noted}
    others = tree.read_many([path for path in wanted if path not in nodes])
    for path, host in wanted.items():
        if path not in broken:
            yield path, read_sops(path, host, nodes[path] if path in nodes else others[path], problems)


def _check(path: str, node: Node, shape: Shape, tree: Tree, problems: list[Problem]) -> None:
    """Against the format; only a file with a problem is read again, for the line to show."""
    noted: list[Problem] = []
    with suppress(_Enough):
        check(node, shape, partial(_note, noted))
    if noted:
        lines = tree.read(path).decode().split("\n")
        problems.extend(replace(p, excerpt=excerpt(lines[p.origin.line - 1])) for p in noted)


def _note(noted: list[Problem], problem: Problem) -> None:
    noted.append(problem)
    if len(noted) >= MAX_PROBLEMS:
        raise _Enough


def _put(layer: Layer, rest: str, node: Node) -> None:
    folder, _, name = rest.partition("/")
    if rest == "environment.yaml":
        layer.environment = node
    elif rest == "hosts.yaml":
        hosts = node.value.get("hosts") if isinstance(node.value, dict) else None
        layer.hosts = hosts if hosts is not None and isinstance(hosts.value, dict) else None
    elif folder == "roles":
        layer.roles[name.removesuffix(".yaml")] = node
    else:
        layer.overlays[name.removesuffix(".yaml")] = node
