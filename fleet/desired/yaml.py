"""YAML 1.2 text → Node with an origin on every value and key, or Problems with file, line, column and excerpt.

PyYAML's C parser gives the events; scalars, tags and limits are ours. Anchors and aliases are refused: layers and
variables do their work, and nothing can be a bomb. Only the TAGS below are tags.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from fleet.desired.indentation import advice
from fleet.errors import Origin, Problem
from fleet.model import sealed
from fleet.model.value import Node

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
VERSION = 3  # of what a file parses to; part of the cache's key
MAX_DEPTH = 40
MAX_NUMBER = 20
MAX_NODES = 200_000
MAX_BYTES = 2 * 1024 * 1024
MAX_PROBLEMS = 50
TAGS = ("append", "replace", "remove", "raw", "secret")
SECRET_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}\Z")
_AFTER = {"remove": "nothing", "raw": "text", "secret": "its name"}

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_BASED = re.compile(r"0o([0-7]+)\Z|0x([0-9a-fA-F]+)\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+\Z")
_ADVICE = {
    "cannot start any token": "put the value in quotes",
    "mapping values are not allowed": "put the value in quotes if the colon belongs to it",
    "did not find expected ',' or": "close the bracket, or put the value in quotes if the bracket belongs to it",
    "unexpected end of stream": "close the quote",
}
_SAID: dict[type, str] = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "a map"}
_WORDS: dict[str, Any] = {"": None, "~": None} | dict.fromkeys(("null", "Null", "NULL"))
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_WORDS |= {".inf": float("inf"), "-.inf": float("-inf")}
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2066-\u2069\ufdd0-\ufdef\ufeff]|\r(?!\n)"
)


class _Stop(Exception):
    """The file cannot be read any further; the problem that says why is already noted."""


@dataclass(slots=True)
class _File:
    path: str
    lines: list[str]
    problems: list[Problem] = field(default_factory=list)
    nodes: int = 0

    def origin(self, mark: Any) -> Origin:
        return Origin(self.path, mark.line + 1, mark.column + 1)

    def note(self, origin: Origin, message: str, expected: str = "", hint: str = "", *also: Origin) -> None:
        line = self.lines[origin.line - 1] if 0 < origin.line <= len(self.lines) else ""
        self.problems.append(Problem(origin, message, expected, hint, excerpt(line), also))
        if len(self.problems) >= MAX_PROBLEMS:
            raise _Stop


def excerpt(line: str) -> str:
    """A line of the repository, fit for a terminal: control characters visible, at most 120 characters."""
    safe = "".join(c if c.isprintable() else " " if c == "\t" else f"\\u{ord(c):04x}" for c in line.rstrip("\r\n"))
    return safe if len(safe) <= 120 else safe[:117] + "..."


def parse(path: str, content: bytes) -> tuple[Node | None, list[Problem]]:
    """One file. None: it is empty, or cannot be read as YAML at all."""
    if len(content) > MAX_BYTES:
        said = f"is {len(content):,} bytes long"
        return None, [Problem(Origin(path), said, f"at most {MAX_BYTES:,} bytes of YAML", "split it into roles")]
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        byte = content[error.start]
        return None, [Problem(Origin(path, line, column), f"byte 0x{byte:02x} is not UTF-8", "UTF-8 text")]
    file = _File(path, text.split("\n"))
    if (found := _FORBIDDEN.search(text)) is not None:
        _forbidden(file, text, found.start())
        return None, file.problems
    try:
        return _document(file, _events(file, text)), file.problems
    except _Stop:
        return None, file.problems


def _forbidden(file: _File, text: str, at: int) -> None:
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    file.note(
        Origin(file.path, line, column),
        f"invisible or control character U+{ord(text[at]):04X}",
        'printable text; in a double-quoted string write it as an escape such as "\\u200b"',
    )


def _events(file: _File, text: str) -> Iterator[Any]:
    try:
        yield from yaml.parse(text, Loader=Loader)
    except yaml.MarkedYAMLError as error:
        _not_yaml(file, error)
        raise _Stop from error
    except yaml.YAMLError as error:
        file.note(Origin(file.path), f"not YAML: {str(error).splitlines()[0]}")
        raise _Stop from error


def _not_yaml(file: _File, error: yaml.MarkedYAMLError) -> None:
    """The parser's complaint, where the eye should go: at what was opened rather than at the end of the file."""
    context, what = error.context or "", error.problem or "cannot be read as YAML"
    opened = "quoted scalar" in context or "flow" in context
    mark = error.context_mark if opened and error.context_mark is not None else error.problem_mark
    origin = file.origin(mark) if mark is not None else Origin(file.path)
    line = file.lines[origin.line - 1] if 0 < origin.line <= len(file.lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())] or "'\\t'" in what:
        file.note(origin, "a tab is used for indentation", "spaces", "replace the tab with two spaces")
    else:
        opener = file.origin(error.context_mark) if error.context_mark is not None else None
        hint = advice(file.lines, what, origin, opener)
        hint = hint or next((hint for words, hint in _ADVICE.items() if words in what), "")
        file.note(origin, f"not YAML: {what}" + (f" ({context})" if context else ""), "", hint)


def _document(file: _File, events: Iterator[Any]) -> Node | None:
    root: Node | None = None
    documents = 0
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                file.note(file.origin(event.start_mark), "a second document in one file", "one document, no `---` line")
                raise _Stop
        elif isinstance(event, yaml.NodeEvent):
            root = _node(file, event, events, 0)
    return root


def _node(file: _File, event: Any, events: Iterator[Any], depth: int) -> Node:
    origin = file.origin(event.start_mark)
    file.nodes += 1
    if file.nodes > MAX_NODES:
        file.note(origin, f"more than {MAX_NODES:,} values in one file", "", "split it into roles")
        raise _Stop
    if depth > MAX_DEPTH:
        file.note(origin, f"nested more than {MAX_DEPTH} levels deep")
        raise _Stop
    if event.anchor is not None:
        name = f"*{event.anchor}" if isinstance(event, yaml.AliasEvent) else f"&{event.anchor}"
        file.note(origin, f"anchors and aliases ({name}) are not part of the format", "", "use a variable, or a layer")
        if isinstance(event, yaml.AliasEvent):
            return Node(None, origin)
    tag = _tag(file, event.tag, origin)
    if isinstance(event, yaml.ScalarEvent):
        value = _scalar(file, event, origin)
        if sealed.holds(value):
            file.note(origin, "U+FDD0 and U+FDD1 are Unicode noncharacters, which fleet keeps for itself", "other text")
            value = ""
        if tag == "remove" and value is not None:
            file.note(origin, "`!remove` takes no value", "nothing after it")
        if tag == "secret" and not (isinstance(value, str) and SECRET_NAME.match(value)):
            file.note(origin, "`!secret` without the name of a secret", "a name, such as `!secret db.password`")
            value, tag = "", ""
        return Node(value, origin, tag=tag)
    if tag in _AFTER:
        file.note(origin, f"`!{tag}` before a map or a list", f"{_AFTER[tag]} after it")
    if isinstance(event, yaml.SequenceStartEvent):
        items = []
        while not isinstance(item := next(events), yaml.SequenceEndEvent):
            items.append(_node(file, item, events, depth + 1))
        return Node(items, origin, tag=tag)
    return Node(_mapping(file, events, depth), origin, tag=tag)


def _mapping(file: _File, events: Iterator[Any], depth: int) -> dict[str, Node]:
    members: dict[str, Node] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        key = _node(file, event, events, depth + 1)
        node = _node(file, next(events), events, depth + 1)
        node.key = key.origin
        if key.tag:
            file.note(key.origin, "a tag before a key", "the tag before the value, after the colon")
        if not isinstance(key.value, str):
            said = _SAID.get(type(key.value), "nothing")
            braces = isinstance(key.value, dict)
            hint = "put a template in quotes, from its first brace to its last" if braces else "put it in quotes"
            file.note(key.origin, f"a key must be a string, this one is {said}", "", hint)
        elif key.value == "<<":
            file.note(key.origin, "merge keys (<<) are not part of the format", "", "use a layer, or a variable")
        elif key.value in members:
            first = members[key.value].key or members[key.value].origin
            file.note(key.origin, f"duplicate key `{excerpt(key.value)}`", "each key once", "", first)
        else:
            members[key.value] = node
    return members


def _tag(file: _File, tag: str | None, origin: Origin) -> str:
    if tag is None:
        return ""
    tag = tag.replace("tag:yaml.org,2002:", "!!")
    name = tag.removeprefix("!")
    if name in TAGS and tag != name:
        return name
    near = difflib.get_close_matches(name, TAGS, 1)
    file.note(
        origin,
        f"unknown tag `{excerpt(tag)}`",
        "one of " + ", ".join(f"!{t}" for t in TAGS),
        f"did you mean `!{near[0]}`?" if near else "",
    )
    return ""


def _scalar(file: _File, event: Any, origin: Origin) -> Any:
    """YAML 1.2 core schema, §10.3.2; only plain scalars are anything but strings."""
    text: str = event.value
    if event.style not in (None, ""):
        return text
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > MAX_NUMBER and (_INT.match(text) or _BASED.match(text) or _FLOAT.match(text)):
        file.note(origin, f"a number of more than {MAX_NUMBER} characters", "", "put it in quotes if it is text")
        return text
    if _INT.match(text):
        return int(text)
    if _LEADING_ZERO.match(text):
        file.note(origin, f"{text} has a leading zero, so it may be text or an octal number", "", f'write "{text}"')
        return text
    if based := _BASED.match(text):
        return int(based[1], 8) if based[1] else int(based[2], 16)
    if not _FLOAT.match(text):
        return text
    if math.isinf(number := float(text)):
        file.note(origin, f"{text} is too great a number", "", "write .inf if it has no bound")
    return number
