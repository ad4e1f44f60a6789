"""Kinds of resources: one file = one kind. Adding a file here adds the kind; nothing else lists them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from fleet.model.kind import Kind


def _all() -> Mapping[str, Kind]:
    names = sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))
    found: dict[str, Kind] = {name: import_module(f"{__name__}.{name}").KIND for name in names}
    return MappingProxyType(found)


KINDS: Mapping[str, Kind] = _all()
