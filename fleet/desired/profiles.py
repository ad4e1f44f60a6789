"""Where profiles come from: those that fleet brings, and those of an environment's layers. Together with the kinds in
Python, every kind that there is."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from fleet.desired.lazily import Lazily
from fleet.desired.profile import kind_of
from fleet.desired.template import Engine
from fleet.desired.yaml import parse
from fleet.errors import FleetError, Problem
from fleet.kinds import KINDS
from fleet.model.kind import Kind


@cache
def every_kind() -> Mapping[str, Kind]:
    """Those in Python, and the profiles that fleet brings; a profile is read when it is first used."""
    folder = files("fleet") / "profiles"
    names = sorted(one.name.removesuffix(".yaml") for one in folder.iterdir() if one.name.endswith(".yaml"))

    def read(name: str) -> Kind:
        if name in KINDS:
            return KINDS[name]
        path = f"profiles/{name}.yaml"
        node, problems = parse(path, (folder / f"{name}.yaml").read_bytes())
        found: list[Problem] = list(problems)
        kind = None if node is None else kind_of(name, node, Engine(), found)
        if kind is None or found:
            raise FleetError(f"fleet's own {path} is not right: {found[0] if found else 'it is empty'}")
        return kind

    return Lazily(sorted([*KINDS, *names]), read)


def over(kinds: Mapping[str, Kind], own: Mapping[str, Kind]) -> Mapping[str, Kind]:
    """With the profiles of layers over them."""
    if not own:
        return kinds
    return Lazily(sorted({*kinds, *own}), lambda name: own[name] if name in own else kinds[name])
