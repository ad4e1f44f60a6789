"""API profiles: a YAML file that makes a named kind of `http_object`. A Node in, a Kind out.

A profile says which attributes its kind has (as JSON Schema does), and how an object with these is read and written:
the attributes of an `http_object`, in which `{{ NAME }}` is an attribute. What comes out as nothing is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from fleet.desired.bounds import TemplateFailure
from fleet.desired.jinja import has_template
from fleet.desired.profile_spec import COMMON, TYPES, WORDS, ProfileSpec
from fleet.desired.template import Engine
from fleet.desired.wrong import Wrong
from fleet.errors import Origin, Problem
from fleet.kinds import http_object
from fleet.kinds._spec import check_text
from fleet.kinds.http_object import HttpObjectSpec
from fleet.model.kind import Kind
from fleet.model.value import Node, children, member


class ProfiledSpec(HttpObjectSpec):
    """An object as a profile describes it. owned, wanted: claims (model/kind.py)."""

    owned: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Names:
    """What a profile's templates may name. See jinja.Names."""

    known: Mapping[str, Any]

    def value(self, name: str) -> Any:
        return self.known[name]

    def names(self) -> Iterable[str]:
        return self.known


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """One file, read. pattern: of names; its groups are variables. said: the file's plain values."""

    name: str
    node: Node
    engine: Engine
    pattern: re.Pattern[str]
    said: Mapping[str, Any]

    def check(self, name: str) -> None:
        check_text(name)
        if not self.pattern.fullmatch(name):
            raise ValueError(f"expected {self.said.get('name', {}).get('expected') or self.pattern.pattern}")

    def expand(self, name: str, spec: Any) -> ProfiledSpec:
        """The object of that name with these attributes. Raises ValueError for what they lack, and Wrong, at the line
        of the profile, for what is not right there."""
        lacking = [one for one in self.said.get("required_when_present") or () if getattr(spec, one) is None]
        if lacking and spec.ensure == "present":
            raise ValueError(f"it lacks `{lacking[0]}`")
        found = self.pattern.fullmatch(name)
        known = {"name": name, **(found.groupdict() if found else {}), **spec.model_dump()}
        render = self._rendering(_Names(known))
        object_ = children(member(self.node, "object"))
        said = {key: render(child, int(key == "body")) for key, child in object_.items()}
        said = {key: value for key, value in said.items() if value is not None}
        unseen = [key for key, about in (self.said.get("attributes") or {}).items() if about.get("writeOnly")]
        said.setdefault("write_only", [key for key in unseen if key in said.get("body", {})])
        claims = {key: render(child) for key in ("owns", "needs") if (child := member(self.node, key)) is not None}
        prefix = f"api {spec.api}:"
        try:
            return ProfiledSpec(
                **said,
                api=spec.api,
                ensure=spec.ensure,
                owned=tuple(prefix + one for one in [f"{self.name}:{name}", *claims.get("owns", [])]),
                wanted=tuple(prefix + one for one in claims.get("needs", [])),
            )
        except ValidationError as error:
            raise Wrong(self._minded(error, name)) from error

    def _rendering(self, names: _Names) -> Callable[..., Any]:
        def render(node: Node, depth: int = 0) -> Any:
            """depth: in a `body`, 1 for itself. Below it a map of which nothing is said is not declared either."""
            value = node.value
            if isinstance(value, dict):
                inner = {key: depth + 1 if depth else int(key == "body") for key in value}
                found = {key: render(child, inner[key]) for key, child in value.items()}
                said = {key: one for key, one in found.items() if one is not None}
                return None if depth > 1 and value and not said else said
            if isinstance(value, list):
                return [one for one in (render(child, depth and depth + 1) for child in value) if one is not None]
            if not isinstance(value, str) or node.tag == "raw" or not has_template(value):
                return value
            try:
                return self.engine.value(value, names)
            except TemplateFailure as failure:
                raise Wrong(Problem(node.origin, failure.message, failure.expected, failure.hint)) from failure

        return render

    def _minded(self, error: ValidationError, name: str) -> Problem:
        first = error.errors(include_url=False, include_input=False)[0]
        node = member(self.node, "object")
        for step in first["loc"]:
            inner = member(node, str(step))
            node = inner or node
        origin = self.node.origin if node is None else node.origin
        where = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden" and node is not None:
            return Problem(
                node.key or origin,
                f"`{first['loc'][-1]}` is nothing to say of an object",
                "see: fleet kinds http_object",
            )
        message = first["msg"].removeprefix("Value error, ")
        return Problem(origin, f"the profile makes no object of {self.name}:{name}: `{where}`", message)


def kind_of(name: str, node: Node, engine: Engine, problems: list[Problem]) -> Kind | None:
    """The kind that a checked profile describes; None, and why, when it cannot be one."""
    said = node.plain()
    attributes: dict[str, Mapping[str, Any]] = said.get("attributes") or {}
    wrong = _wrong(node, said, attributes)
    if wrong is not None:
        problems.append(wrong)
        return None
    pattern = re.compile(said.get("name", {}).get("pattern") or ".+", re.DOTALL)
    required = frozenset(said.get("required") or ())
    made = Profile(name, node, engine, pattern, said)
    doc = f"{said['doc']}\n\n{said['example']}" if said.get("example") else said["doc"]
    return replace(
        http_object.KIND,
        name=name,
        doc=said["doc"].strip().split("\n")[0],
        Spec=ProfileSpec(name, doc, attributes, required),
        check=made.check,
        owns=lambda _, spec: spec.owned,
        wants=lambda _, spec: spec.wanted,
        expand=made.expand,
    )


def _wrong(node: Node, said: Mapping[str, Any], attributes: Mapping[str, Any]) -> Problem | None:
    for key in ("doc", "object"):
        if not said.get(key):
            return Problem(node.origin, f"a profile without `{key}`", "doc, attributes and object")
    place = member(node, "name", "pattern")
    try:
        re.compile(said.get("name", {}).get("pattern") or "")
    except re.error as error:
        return Problem(_origin(place, node), f"`pattern` is no regular expression: {error}")
    for key, about in attributes.items():
        origin = _origin(member(node, "attributes", key), node)
        if not key.isidentifier() or key in COMMON or key == "name" or key.startswith(("model_", "_")):
            return Problem(origin, f"an attribute cannot be called `{key}`", "a word of letters, digits and _")
        odd = [one for one in about if one not in WORDS]
        if odd:
            return Problem(origin, f"`{odd[0]}` is nothing to say of an attribute", f"one of: {', '.join(WORDS)}")
        if about.get("type") not in TYPES:
            return Problem(origin, f"`{key}` has no type", f"type: {' | '.join(TYPES)}")
        if not about.get("description"):
            return Problem(origin, f"`{key}` has no description", "a sentence for `fleet kinds`")
    for key in ("required", "required_when_present"):
        unknown = [one for one in said.get(key) or () if one not in attributes]
        if unknown:
            return Problem(_origin(member(node, key), node), f"`{unknown[0]}` is {key} and no attribute")
    return None


def _origin(found: Node | None, node: Node) -> Origin:
    return node.origin if found is None else found.key or found.origin
