"""What templates may look up, and what they did look up. A host and a role in; values and the reads behind them out.

A Read is a key such as ("var", "workers") or ("host", "name"). Equal values for all reads of an earlier rendering mean
an equal result, so results are remembered by the values read (`Memo`) and shared by all hosts where these agree.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

from fleet.desired.bounds import TemplateFailure
from fleet.desired.jinja import FactsNeeded, Fields, Function, Passing, has_template
from fleet.desired.merge import merge, settle
from fleet.desired.secrets import Found, Secrets
from fleet.desired.template import Engine
from fleet.desired.wrong import Wrong
from fleet.errors import Origin, Problem
from fleet.model import sealed
from fleet.model.value import Node

Read: TypeAlias = tuple[Any, ...]
T = TypeVar("T")
_ABSENT = object()
RESERVED = ("host", "env", "hosts", "facts", "index", "secret")
_HOST = ("name", "address", "labels", "environment", "index")


class Memo(Generic[T]):
    """Results by the values that were read for them; for each set of reads one table.

    Between revisions `forget` bounds them to a few times as many as were asked for at once; what is used comes back.
    """

    __slots__ = ("_asked", "_count", "_most", "_tables")

    def __init__(self) -> None:
        self._tables: dict[tuple[Read, ...], dict[tuple[Hashable, ...], T]] = {}
        self._count = self._asked = self._most = 0

    def forget(self) -> None:
        self._most, self._asked = max(self._most, self._asked), 0
        if self._count > 3 * self._most + 16:
            self._tables, self._count, self._most = {}, 0, 0

    def find(self, view: View) -> T | None:
        self._asked += 1
        for reads, results in self._tables.items():
            try:
                known = results.get(tuple([view.stamp(read) for read in reads]))
            except Passing:
                continue
            if known is not None:
                return known
        return None

    def put(self, reads: Mapping[Read, Hashable], result: T) -> None:
        if self._count >= 20_000:  # a bound on memory; what is still used comes back
            self._tables, self._count = {}, 0
        self._tables.setdefault(tuple(reads), {})[tuple(reads.values())] = result
        self._count += 1


@dataclass(slots=True, eq=False)
class Variables:
    """The three levels of variables, merged name by name when first asked. Shared by hosts with the same three."""

    role: Mapping[str, Node]
    environment: Mapping[str, Node]
    host: Mapping[str, Node]
    _nodes: dict[str, Node | None] = field(default_factory=dict)
    constants: dict[str, tuple[Any, Hashable]] = field(default_factory=dict)
    memos: dict[str, Memo[tuple[Any, Hashable]]] = field(default_factory=dict)

    def node(self, name: str) -> Node | None:
        """The merged Node with its chain; None when nobody defines it."""
        if name not in self._nodes:
            self._nodes[name] = self._merged(name)
        return self._nodes[name]

    def names(self) -> list[str]:
        return sorted({*self.role, *self.environment, *self.host})

    def _merged(self, name: str) -> Node | None:
        problems: list[Problem] = []
        node: Node | None = None
        for level in (self.role, self.environment, self.host):
            node = merge(node, level.get(name), problems)
        node = None if node is None else settle(node, problems)
        if problems:
            raise Wrong(problems[0])
        return node


@dataclass(slots=True, eq=False)
class Surroundings:
    """What is the same for all hosts of one environment.

    files: name → (path in the tree, blob id). read: path → bytes. peers: the answer to hosts(...). secrets: None where
    no secret may be named.
    """

    name: str
    engine: Engine
    files: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    read: Callable[[str], bytes] = lambda path: b""
    peers: Callable[[str, tuple[tuple[str, Any], ...]], Any] | None = None
    secrets: Secrets | None = None
    answers: dict[Read, tuple[Any, Hashable]] = field(default_factory=dict)


class View:
    """Everything in scope for one host and one role. Values are worked out once, when first read."""

    __slots__ = ("_busy", "_frames", "_known", "around", "facts", "host", "variables")

    def __init__(
        self, around: Surroundings, variables: Variables, host: Mapping[str, Any], facts: Mapping[str, Any] | None
    ) -> None:
        self.around, self.variables, self.host, self.facts = around, variables, host, facts
        self._known: dict[Read, tuple[Any, Hashable]] = {}
        self._frames: list[dict[Read, Hashable]] = []
        self._busy: list[str] = []

    def stamp(self, read: Read) -> Hashable:
        """Something equal for equal values only."""
        return self._get(read)[1]

    def value(self, name: str) -> Any:
        """For templates: a variable or one of the words of ours. KeyError when there is none."""
        if name == "host":
            return Fields(_HOST, lambda field: self.read(("host", field)))
        if name == "env":
            return Fields(("name",), lambda field: self.read(("env", field)))
        if name == "hosts":
            return Function(self._hosts)
        if name == "secret":
            return Function(self._secret)
        if name == "facts":
            return self.read(("facts",))
        if name == "index":
            return self.read(("host", "index"))
        return self.read(("var", name))

    def names(self) -> Iterable[str]:
        return [*self.variables.names(), *RESERVED]

    def read(self, read: Read) -> Any:
        """A value, noted as read."""
        value, stamp = self._get(read)
        if self._frames:
            self._frames[-1][read] = stamp
        if value is _ABSENT:
            raise KeyError(read)
        return value

    def watched(self, work: Callable[[], T]) -> tuple[T, dict[Read, Hashable]]:
        """Does the work; returns its result and what it read."""
        frame: dict[Read, Hashable] = {}
        self._frames.append(frame)
        try:
            return work(), frame
        finally:
            self._frames.pop()

    def render(self, node: Node) -> Any:
        """The plain value of a Node, each string rendered once. Raises Wrong, FactsNeeded."""
        value = node.value
        if isinstance(value, str):
            if node.tag == "secret":
                return self._named(node, value)
            return self._text(node, value) if node.tag != "raw" and has_template(value) else value
        if isinstance(value, dict):
            return {key: self.render(child) for key, child in value.items()}
        if isinstance(value, list):
            return [self.render(child) for child in value]
        return value

    def _text(self, node: Node, text: str) -> Any:
        try:
            return self.around.engine.value(text, self)
        except TemplateFailure as failure:
            raise Wrong(_problem(failure, node.origin)) from failure

    def file(self, name: str) -> tuple[str, bytes]:
        """Path in the tree and bytes of a file, found through the layers. KeyError when there is none."""
        path, _ = self.read(("file", name))
        return path, self.around.read(path)

    def template(self, name: str) -> bytes:
        """A template file, rendered. Raises Wrong with the place in that file."""
        path, content = self.file(name)
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            problem = Problem(
                Origin(path, line, 1), "this template is not UTF-8", "UTF-8", "use `source` for other bytes"
            )
            raise Wrong(problem) from error
        if sealed.holds(text):
            line = len(re.split(f"[{sealed.OPEN}{sealed.CLOSE}]", text)[0].split("\n"))
            said = "a Unicode noncharacter (U+FDD0, U+FDD1), which fleet keeps for itself"
            raise Wrong(Problem(Origin(path, line, 1), said, "take it out"))
        try:
            return self.around.engine.file(text, self).encode()
        except TemplateFailure as failure:
            raise Wrong(_problem(failure, Origin(path, failure.line, 1))) from failure

    def _named(self, node: Node, name: str) -> str:
        try:
            return self._secret(name)
        except TemplateFailure as failure:
            raise Wrong(_problem(failure, node.origin)) from failure

    def _secret(self, name: str) -> str:
        """For templates: the token of a secret, noted as read."""
        secrets = self.around.secrets
        if secrets is None:
            raise TemplateFailure("a secret cannot be used to describe a host")
        if not isinstance(name, str):
            raise TemplateFailure("a secret is named by text", expected="secret('NAME')")
        try:
            return str(self.read(("secret", name)))
        except KeyError:
            message, expected, hint = secrets.missing(name, self.host["name"])
            raise TemplateFailure(message, hint=hint, expected=expected) from None

    def _hosts(self, role: str = "", **labels: Any) -> Any:
        wanted = tuple(sorted((key, tuple(v) if isinstance(v, list) else v) for key, v in labels.items()))
        return self.read(("hosts", role, wanted))

    def _get(self, read: Read) -> tuple[Any, Hashable]:
        found = self._known.get(read)
        if found is None:
            try:
                found = self._find(read)
            except KeyError:  # that it is not there is something to know, too: `default(...)` depends on it
                found = (_ABSENT, "absent")
            self._known[read] = found
        return found

    def _find(self, read: Read) -> tuple[Any, Hashable]:
        sort = read[0]
        if sort == "var":
            return self._variable(read[1])
        if sort == "host":
            if read[1] not in self.host or self.host[read[1]] is None:
                raise KeyError(read[1])
            return stamped(self.host[read[1]])
        if sort == "secret" and self.around.secrets is not None and self.host["name"] in self.around.secrets.own:
            return _token(self.around.secrets.own[self.host["name"]][read[1]])
        if sort == "facts":
            if self.facts is None:
                raise FactsNeeded
            return stamped(self.facts)
        found = self.around.answers.get(read)
        if found is None:
            found = self.around.answers[read] = self._ask(read)
        return found

    def _ask(self, read: Read) -> tuple[Any, Hashable]:
        if read[0] == "secret":
            return _token((self.around.secrets or Secrets()).shared[read[1]])
        if read[0] == "env":
            return stamped(self.around.name)
        if read[0] == "file":
            return self.around.files[read[1]], self.around.files[read[1]]
        if self.around.peers is None:
            raise TemplateFailure("`hosts(...)` is not known yet where hosts are described")
        return stamped(self.around.peers(read[1], read[2]))

    def _variable(self, name: str) -> tuple[Any, Hashable]:
        shared = self.variables
        if name in shared.constants:
            return shared.constants[name]
        node = shared.node(name)
        if node is None:
            raise KeyError(name)
        if not templated(node):
            shared.constants[name] = stamped(node.plain())
            return shared.constants[name]
        memo = shared.memos.setdefault(name, Memo())
        if name in self._busy:
            cycle = " → ".join([*self._busy[self._busy.index(name) :], name])
            raise Wrong(Problem(node.origin, f"the variables go round in a circle: {cycle}"))
        self._busy.append(name)
        try:
            found = memo.find(self)
            if found is None:
                value, reads = self.watched(lambda: self.render(node))
                found = stamped(value)
                memo.put(reads, found)
            return found
        finally:
            self._busy.pop()


def _token(found: Found) -> tuple[Any, Hashable]:
    return found.token, found.source.digest


def templated(node: Node) -> bool:
    """Whether any string in it has something to render."""
    value = node.value
    if isinstance(value, str):
        return node.tag == "secret" or (node.tag != "raw" and has_template(value))
    if isinstance(value, dict):
        return any(map(templated, value.values()))
    return isinstance(value, list) and any(map(templated, value))


def stamped(value: Any) -> tuple[Any, Hashable]:
    """A value and something hashable that is equal for the same value of the same types only (1 is not True)."""
    if isinstance(value, dict | list | tuple):
        return value, json.dumps(value, sort_keys=True, separators=(",", ":"), default=repr)
    return value, (type(value).__name__, value)


def _problem(failure: TemplateFailure, origin: Origin) -> Problem:
    return Problem(origin, failure.message, failure.expected, failure.hint)
