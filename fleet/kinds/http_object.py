"""`http_object`: an object behind a REST API. Profiles (desired/profile.py) make named kinds of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, Strict, model_validator

from fleet.kinds import _http_read, _http_removal, _http_write
from fleet.kinds._http_spec import PLACE, CallSpec, Compare, ReadSpec
from fleet.kinds._spec import EnsureField, Spec, check_text
from fleet.model import json_path, sealed
from fleet.model.change import Change
from fleet.model.host import Resource
from fleet.model.kind import Kind, Probe, Removal, Stage
from fleet.model.step import Step
from fleet.model.value import State

Calls = Annotated[tuple[CallSpec, ...], Strict(False)]


class HttpObjectSpec(Spec):
    """An object behind an API. Only the fields in `body` are ours; what the server adds is no drift.

    http_object:
      www.example.org:
        read: {path: /zones/example.org., items: $.rrsets, match: {name: www.example.org., type: A}}
        body: {name: www.example.org., type: A, ttl: 300, records: [{content: 192.0.2.1}]}
        create: {method: POST, path: /zones/example.org./rrsets}
        update: {method: PUT, path: "/zones/example.org./rrsets/{id}"}  # {id}: a field of the object as it was read
        delete: {method: DELETE, path: "/zones/example.org./rrsets/{id}"}
        compare_as: {records: set}
    """

    secrets: ClassVar[frozenset[str]] = frozenset({"body", "write", "create", "update"})

    api: str = Field("", description="A name under `apis:` of the environment; the host itself unless said.")
    read: ReadSpec = Field(description="How it is read.")
    body: Mapping[str, Any] = Field(default_factory=dict, description="Its fields as they should be.")
    write: CallSpec | None = Field(None, description="How it is made and changed, where that is the same request.")
    create: CallSpec | None = Field(None, description="How it is made, else.")
    update: CallSpec | Calls | Literal["recreate"] | None = Field(
        None, description="How it is changed: one request or several; recreate: removed and made anew."
    )
    delete: CallSpec | None = Field(None, description="How it is removed.")
    ignore: tuple[str, ...] = Field((), strict=False, description="Fields that are sent, and not compared.")
    compare_as: Mapping[str, Compare | Mapping[Literal["by"], str]] = Field(
        default_factory=dict,
        description='Field → set (any order), number (10 is "10"), case (it does not matter), or {by: FIELD}.',
    )
    write_only: tuple[str, ...] = Field(
        (), strict=False, description="Fields that the API never tells; sent again when what is declared changes."
    )
    ensure: EnsureField = "present"

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.ensure == "absent" and self.delete is None:
            raise ValueError("expected `delete`: how is it removed?")
        if self.update == "recreate" and (self.delete is None or self.made_by is None):
            raise ValueError("expected `create` and `delete` for `update: recreate`")
        for call in self.calls():
            if sealed.holds(call.path):
                raise ValueError("a secret cannot stand in a path, which is written into logs")
        if self.made_by is not None and PLACE.search(self.made_by.path):
            raise ValueError("the path of `create` or `write` cannot hold a {field}: nothing was read yet")
        return self

    def calls(self) -> tuple[CallSpec, ...]:
        return tuple(one for one in (self.made_by, *self.updates(), self.delete) if one is not None)

    @property
    def made_by(self) -> CallSpec | None:
        return self.create or self.write

    def updates(self) -> tuple[CallSpec, ...]:
        if isinstance(self.update, CallSpec):
            return (self.update,)
        if self.update is None and self.write is not None:
            return (self.write,)
        return self.update if isinstance(self.update, tuple) else ()

    def compared(self) -> dict[str, str]:
        """Field → how, in one word."""
        return {name: how if isinstance(how, str) else how["by"] for name, how in self.compare_as.items()}

    def unseen(self) -> tuple[str, ...]:
        return tuple(name for name in self.fields() if _below(name, self.write_only)) if self.write_only else ()

    def fields(self) -> dict[str, Any]:
        """Dotted name → value, of all that is compared or written only."""
        found = json_path.flat(dict(self.body)) if self.body else {}
        return {name: value for name, value in found.items() if not _below(name, self.ignore)}


def _below(name: str, others: Sequence[str]) -> bool:
    return any(name == one or name.startswith(one + ".") for one in others)


def state(name: str, spec: HttpObjectSpec, content: bytes | None) -> State | None:
    return None if spec.ensure == "absent" else spec.fields()


def observe(resources: Sequence[Resource]) -> Probe:
    return _http_read.observe(resources)


def fix(changes: Sequence[Change]) -> Mapping[str, tuple[Step, ...]]:
    return {change.resource.id: _http_write.steps(change) for change in changes}


def _claim(name: str, spec: HttpObjectSpec) -> tuple[str, ...]:
    match = ",".join(f"{key}={value}" for key, value in sorted(spec.read.match.items()))
    return (f"http:{spec.api}:{spec.read.path}:{match}",)


KIND = Kind(
    name="http_object",
    doc="An object behind a REST API.",
    Spec=HttpObjectSpec,
    stage=Stage.COMMAND,
    state=state,
    observe=observe,
    fix=fix,
    witness=lambda resource: None,
    check=check_text,
    owns=_claim,
    wants=lambda name, spec: (),
    over="api",
    removal=Removal(
        _http_removal.place,
        _http_removal.memento,
        lambda said, api: HttpObjectSpec(**said, api=api, ensure="absent"),
        _http_removal.rough,
    ),
    unseen=lambda spec: spec.unseen(),
)
