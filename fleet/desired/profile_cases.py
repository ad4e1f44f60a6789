"""The `cases` of a profile's file → Cases that can be played, or Problems with their lines.

`check` reads one file as a whole: its format, its kind, its cases.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from fleet.desired.check import check as check_shape
from fleet.desired.check import near
from fleet.desired.format import PROFILE
from fleet.desired.jinja import has_template
from fleet.desired.profile import kind_of
from fleet.desired.profile_spec import COMMON
from fleet.desired.template import Engine
from fleet.desired.wrong import Wrong
from fleet.desired.yaml import excerpt, parse
from fleet.errors import Origin, Problem
from fleet.kinds import KINDS
from fleet.model.api import Answered
from fleet.model.host import Resource
from fleet.model.kind import Kind
from fleet.model.rehearsal import ENDS, Case, Sent
from fleet.model.value import Node, children, member

_ANSWER = ("status", "headers", "body", "elsewhere")
_GLOBALS = frozenset({"range", "dict", "lipsum", "cycler", "joiner", "namespace"})
_METHODS = ("POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class Read:
    """A profile's file, read. kind: None when it makes none. problems: with the lines they are in."""

    kind: Kind | None
    cases: tuple[Case, ...]
    problems: tuple[Problem, ...]


def read(path: str, content: bytes) -> Read:
    """The kind's name is that of the file. Never raises for what stands in it."""
    name = path.replace("\\", "/").rpartition("/")[2].removesuffix(".yaml")
    node, problems = parse(path, content)
    if node is None or problems:
        return Read(None, (), tuple(problems) or (Problem(Origin(path), "an empty profile", "doc and object"),))
    check_shape(node, PROFILE, problems.append)
    if not problems and name in KINDS:
        problems.append(Problem(Origin(path), f"`{name}` is a kind already", "another name"))
    engine = Engine()
    kind = kind_of(name, node, engine, problems) if not problems else None
    if kind is not None:
        problems += _undefined(node, engine)
    cases = tuple(_cases(kind, node, problems)) if kind is not None and not problems else ()
    lines = content.decode(errors="replace").split("\n")
    return Read(kind, cases, tuple(_quoted(one, lines) for one in problems))


def _undefined(node: Node, engine: Engine) -> Iterator[Problem]:
    """Names that nothing defines, whether or not a case uses them."""
    pattern = member(node, "name", "pattern")
    groups = re.compile(pattern.value).groupindex if pattern is not None else {}
    known = {"name", *COMMON, *children(member(node, "attributes")), *groups}
    for key in ("object", "owns", "needs"):
        for text in _texts(member(node, key)):
            for name in sorted(engine.reads(text.value) - known - _GLOBALS):
                yield Problem(text.origin, f"`{name}` is not defined", hint=near(name, known))


def _texts(node: Node | None) -> Iterator[Node]:
    value = node.value if node is not None else None
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
    elif node is not None and isinstance(value, str) and node.tag != "raw" and has_template(value):
        yield node


def _cases(kind: Kind, node: Node, problems: list[Problem]) -> Iterator[Case]:
    for name, one in children(member(node, "cases")).items():
        try:
            yield _case(kind, name, one)
        except Wrong as wrong:
            problems.extend(wrong.problems)


def _case(kind: Kind, name: str, node: Node) -> Case:
    specs = children(member(node, "spec"))
    if len(specs) != 1:
        raise Wrong(Problem(_at(node, "spec"), f"case `{name}` has no `spec` of one resource", "NAME: {attributes}"))
    ((called, said),) = specs.items()
    server = member(node, "server")
    elsewhere = {path: _answer(one) for path, one in children(member(server, "elsewhere")).items()}
    origin = node.key or node.origin
    return Case(name, origin, _resource(kind, called, said), _answer(server), elsewhere, _expect(name, node))


def _resource(kind: Kind, name: str, node: Node) -> Resource:
    attributes = node.plain() or {}
    try:
        kind.check(name)
        spec = kind.Spec(**attributes)
        spec = spec if kind.expand is None else kind.expand(name, spec)
        desired = kind.state(name, spec, None)
    except ValidationError as error:
        raise Wrong(_minded(error, kind, name, node)) from error
    except ValueError as error:
        raise Wrong(Problem(node.key or node.origin, f"`{kind.name}:{name}` cannot be: {error}")) from error
    return Resource(f"{kind.name}:{name}", kind.name, name, spec, desired, role="case", origin=node.origin)


def _minded(error: ValidationError, kind: Kind, name: str, node: Node) -> Problem:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    origin = _at(node, *map(str, first["loc"][:1]))
    if first["type"] == "extra_forbidden":
        return Problem(
            origin, f"unknown attribute `{where}` of {kind.name}:{name}", hint=near(where, kind.Spec.model_fields)
        )
    return Problem(origin, f"`{where}` of {kind.name}:{name} is not right", first["msg"])


def _answer(node: Node | None) -> Answered:
    """404 unless said. A body's templates are not rendered: it is what a server says."""
    said = children(node)
    odd = [key for key in said if key not in _ANSWER]
    if odd:
        raise Wrong(Problem(_at(node, odd[0]), f"`{odd[0]}` is nothing that a server says", ", ".join(_ANSWER)))
    body = member(node, "body")
    status = member(node, "status")
    code = status.value if status is not None else 200 if body is not None else 404
    if not isinstance(code, int) or isinstance(code, bool) or not 100 <= code <= 599:
        raise Wrong(Problem(_at(node, "status"), f"`{code}` is no HTTP status", "a number such as 200"))
    headers = {key.lower(): str(one.plain()) for key, one in children(member(node, "headers")).items()}
    return Answered(code, headers, () if body is None else (_json(body),))


def _expect(name: str, node: Node) -> str | tuple[Sent, ...]:
    expect = member(node, "expect")
    value = expect.value if expect is not None else None
    if isinstance(value, str) and value in ENDS:
        return value
    if expect is None or not isinstance(value, list) or not value:
        expected = f"{' | '.join(ENDS)}, or a list of requests, each with method, path and body"
        raise Wrong(Problem(_at(node, "expect"), f"case `{name}` does not say what it expects", expected))
    return tuple(map(_sent, value))


def _sent(node: Node) -> Sent:
    said = children(node)
    method, path = (member(node, key) for key in ("method", "path"))
    odd = [key for key in said if key not in ("method", "path", "body")]
    if odd or method is None or path is None or method.value not in _METHODS or not isinstance(path.value, str):
        expected = f"method: {' | '.join(_METHODS)}, path, and body where one is sent"
        raise Wrong(Problem(_at(node, *odd[:1]), "this is no request that changes something", expected))
    body = member(node, "body")
    return Sent(method.value, path.value, None if body is None else _json(body))


def _json(node: Node) -> Any:
    """As a server's JSON would be read."""
    try:
        return json.loads(json.dumps(node.plain()))
    except (TypeError, ValueError) as error:
        raise Wrong(Problem(node.origin, f"this is no JSON: {error}")) from error


def _at(node: Node | None, *keys: str) -> Origin:
    inner = member(node, *keys) if keys else None
    found = inner or node
    assert found is not None
    return found.key or found.origin


def _quoted(problem: Problem, lines: list[str]) -> Problem:
    line = problem.origin.line
    if problem.excerpt or not 0 < line <= len(lines):
        return problem
    return replace(problem, excerpt=excerpt(lines[line - 1]))
