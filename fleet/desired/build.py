"""One resource of a role → `Built`, once for all hosts where what it reads agrees. The kind's schema is asked here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from fleet.desired.check import near
from fleet.desired.graph import Part
from fleet.desired.scope import Memo, Read, View
from fleet.desired.wrong import Wrong
from fleet.errors import Origin, Problem
from fleet.model import sealed
from fleet.model.host import Drift, Resource
from fleet.model.kind import Kind
from fleet.model.value import Node

WATCHES = {"reload_on": "reload", "restart_on": "restart", "only_on": "run"}
GENERAL = ("needs", "drift", *WATCHES)


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """A resource, what ordering needs to know of it, and what its templates read."""

    resource: Resource
    part: Part
    reads: tuple[Read, ...] = ()


@dataclass(slots=True, eq=False)
class Draft:
    """A resource as a role has it after merging, not yet rendered. Remembers what became of it."""

    id: str
    kind: Kind
    name: str
    node: Node
    role: str
    drift: Drift
    constant: Built | None = None
    _memo: Memo[Built] = field(default_factory=Memo)

    def forget(self) -> None:
        """Between revisions, see Memo."""
        self._memo.forget()

    def built(self, view: View) -> Built:
        """For one host. Raises Wrong, FactsNeeded."""
        if self.constant is not None:
            return self.constant
        known = self._memo.find(view)
        if known is not None:
            return known
        made, reads = view.watched(lambda: _build(self, view))
        result = Built(made.resource, made.part, tuple(reads))
        if reads:
            self._memo.put(reads, result)
        else:
            self.constant = result
        return result

    @property
    def origin(self) -> Origin:
        return self.node.key or self.node.origin


def _build(draft: Draft, view: View) -> Built:
    members: Mapping[str, Node] = draft.node.value if isinstance(draft.node.value, dict) else {}
    try:
        draft.kind.check(draft.name)
    except ValueError as error:
        raise Wrong(
            Problem(draft.origin, f"`{draft.name}` cannot be the name of a {draft.kind.name}", _meant(error))
        ) from error
    attributes = {key: view.render(node) for key, node in members.items() if key not in GENERAL}
    _secrets_in_place(attributes, draft, members)
    try:
        spec = draft.kind.Spec(**attributes)
    except ValidationError as error:
        raise _invalid(error, draft, members) from error
    content = _content(spec, draft, members, view)
    try:
        spec = spec if draft.kind.expand is None else draft.kind.expand(draft.name, spec)
        desired = draft.kind.state(draft.name, spec, content)
        owns, wants = draft.kind.owns(draft.name, spec), draft.kind.wants(draft.name, spec)
    except ValueError as error:
        raise Wrong(Problem(draft.origin, f"`{draft.id}` cannot be: {error}")) from error
    needs = [(one, members["needs"].origin) for one in _ids("needs", draft, members, view)]
    watches: dict[str, tuple[str, ...]] = {}
    for attribute, action in WATCHES.items():
        if ids := _ids(attribute, draft, members, view):
            watches[action] = ids
            needs += [(one, members[attribute].origin) for one in ids]
    if not watches and (missing := draft.kind.idle(spec)):
        raise Wrong(Problem(draft.origin, f"{draft.id} would never do anything", missing))
    resource = Resource(
        id=draft.id,
        kind=draft.kind.name,
        name=draft.name,
        spec=spec,
        desired=desired,
        content=content,
        needs=tuple(dict.fromkeys(one for one, _ in needs)),
        watches=watches,
        drift=_drift(draft, members, view),
        sensitive=bool(getattr(spec, "sensitive", False)),
        secrets=_secrets(draft, attributes, content),
        role=draft.role,
        origin=draft.origin,
        node=draft.node,
        digest="",
    )
    object.__setattr__(resource, "digest", _digest(resource))  # not yet seen by anybody
    part = Part(draft.id, int(draft.kind.stage), tuple(owns), tuple(wants), tuple(needs), draft.origin, desired is None)
    return Built(resource, part)


def _secrets_in_place(attributes: Mapping[str, Any], draft: Draft, members: Mapping[str, Node]) -> None:
    """Secrets go only where they reach the host through the channel and are written to the target itself."""
    may = draft.kind.Spec.secrets
    for name, value in attributes.items():
        if name not in may and sealed.holds(value):
            where = f"a secret only in {' or '.join(f'`{one}`' for one in sorted(may))} here" if may else ""
            message = f"a secret cannot stand in `{name}` of {draft.id}: others on the host could see it"
            expected = where or "a secret only in a file, a block, the stdin of a command, or what an API is sent"
            raise Wrong(Problem(members[name].origin, message, expected))


def _secrets(draft: Draft, attributes: Mapping[str, Any], content: bytes | None) -> tuple[str, ...]:
    """Tokens of all secrets, each once. What is taken byte for byte holds none, whatever its bytes look like."""
    texts = [text for name in sorted(draft.kind.Spec.secrets) for text in _texts(attributes.get(name))]
    if content is not None and "template" in attributes:
        texts.append(content.decode(errors="surrogateescape"))
    try:
        return sealed.secrets_of(*texts)
    except ValueError as error:
        expected = "the secret whole, as it is or through a filter that keeps it"
        raise Wrong(Problem(draft.origin, f"{error} in {draft.id}", expected)) from error


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def completed(built: Mapping[str, Built], kinds: Mapping[str, Kind], whole: bool) -> dict[str, Built]:
    """One host's resources, each told what it must know of the others (see `Kind.complete`). whole: no fact is missing
    that some resource waits for."""
    found = dict(built)
    claims: tuple[str, ...] | None = None
    for name, one in built.items():
        complete = kinds[one.resource.kind].complete
        if complete is None:
            continue
        claims = claims or tuple(claim for other in built.values() for claim in other.part.owns)
        resource = complete(one.resource, claims if whole else None)
        if resource is not one.resource:
            found[name] = replace(one, resource=replace(resource, digest=_digest(resource)))
    return found


def _meant(error: ValueError) -> str:
    return str(error).removeprefix("expected ")


def _ids(attribute: str, draft: Draft, members: Mapping[str, Node], view: View) -> tuple[str, ...]:
    node = members.get(attribute)
    if node is None:
        return ()
    value = view.render(node)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise Wrong(Problem(node.origin, f"`{attribute}` of {draft.id} is not a list of ids", "[KIND:NAME, ...]"))
    return tuple(dict.fromkeys(value))


def _drift(draft: Draft, members: Mapping[str, Node], view: View) -> Drift:
    node = members.get("drift")
    value = draft.drift if node is None else view.render(node)
    if value not in ("correct", "report"):
        origin = draft.origin if node is None else node.origin
        raise Wrong(Problem(origin, f"`{value}` is no way to meet drift", "correct | report"))
    return "correct" if value == "correct" else "report"


def _content(spec: Any, draft: Draft, members: Mapping[str, Node], view: View) -> bytes | None:
    """The bytes a resource carries: of a template, of a file taken as it is, or what stands there itself."""
    for attribute in ("template", "source"):
        name = getattr(spec, attribute, None)
        if not isinstance(name, str):
            continue
        try:
            return view.template(name) if attribute == "template" else view.file(name)[1]
        except KeyError as error:
            origin = members[attribute].origin if attribute in members else draft.origin
            expected, hint = "a path below files/ of one of this environment's layers", near(name, view.around.files)
            raise Wrong(Problem(origin, f"there is no file `{name}`", expected, hint)) from error
    content = getattr(spec, "content", None)
    return content.encode() if isinstance(content, str) else content if isinstance(content, bytes) else None


def _invalid(error: ValidationError, draft: Draft, members: Mapping[str, Node]) -> Wrong:
    """All that the schema minds, each at the place of that attribute. A place with several ways to be right is told
    once; and nothing is called missing beside an attribute nobody knows, which may be the misspelt one."""
    said = error.errors(include_url=False, include_input=False)
    unknown = any(one["type"] == "extra_forbidden" for one in said)
    found: dict[tuple[Origin, str], Problem] = {}
    for one in said:
        if unknown and one["type"] == "missing":
            continue
        problem = _minded(one["type"], one["msg"], [str(step) for step in one["loc"]], draft, members)
        found.setdefault((problem.origin, str(one["loc"][0]) if one["loc"] else ""), problem)
    return Wrong(*found.values())


def _minded(type_: str, message: str, path: list[str], draft: Draft, members: Mapping[str, Node]) -> Problem:
    attribute = path[0] if path else ""
    node: Node | None = members.get(attribute)
    said = message.removeprefix("Value error, ").removeprefix("Input should be ")
    if type_ == "extra_forbidden":
        place = draft.origin if node is None else node.key or node.origin
        known = [f.alias or name for name, f in draft.kind.Spec.model_fields.items()] + list(GENERAL)
        return Problem(place, f"unknown attribute `{attribute}` of {draft.id}", hint=near(attribute, known))
    if type_ == "missing":
        return Problem(draft.origin, f"{draft.id} lacks `{attribute}`", hint=f"see: fleet kinds {draft.kind.name}")
    for step in path[1:]:
        inner = node.value if node is not None else None
        if isinstance(inner, dict) and step in inner:
            node = inner[step]
        elif isinstance(inner, list) and step.isdecimal() and int(step) < len(inner):
            node = inner[int(step)]
        else:
            break
    origin = draft.origin if node is None else node.origin
    what = f"`{'.'.join(path)}` of {draft.id}" if path else draft.id
    return Problem(origin, f"{what} is not right", said.removeprefix("expected "))


def _digest(resource: Resource) -> str:
    """Of everything a host could notice; not of the role's name or of the lines it stands on."""
    spec = resource.spec
    said = [
        resource.id,
        resource.desired,
        None if resource.content is None else hashlib.sha256(resource.content).hexdigest(),
        resource.needs,
        resource.watches,
        resource.drift,
        resource.sensitive,
        spec.model_dump() if hasattr(spec, "model_dump") else repr(spec),
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":"), default=repr).encode()).hexdigest()
