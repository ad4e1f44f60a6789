"""Small kinds for tests of the format: schemas only, since nothing here reaches a host."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from fleet.model.kind import Kind, Probe, Stage
from fleet.model.step import Script


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FileSpec(_Spec):
    content: str | None = Field(None, description="Text.")
    template: str | None = Field(None, description="A template, by path.")
    owner: str = Field("root", description="Owner.")
    mode: str = Field("644", description="Octal mode.")
    validate_: str | None = Field(None, description="A check.", alias="validate")


class ServiceSpec(_Spec):
    running: bool = Field(True, description="Runs now.")
    enabled: bool = Field(True, description="Starts at boot.")


class CommandSpec(_Spec):
    argv: list[str] = Field(default_factory=list, description="Words.")


def _kind(name: str, spec: type[Any]) -> Kind:
    return Kind(
        name=name,
        doc=f"A {name}.",
        Spec=spec,
        stage=Stage.FILE,
        state=lambda name, spec, content: {},
        observe=lambda resources: Probe(Script(""), lambda outcome: {}),
        fix=lambda changes: {},
        witness=lambda resource: None,
        check=lambda name: None,
        owns=lambda name, spec: (),
        wants=lambda name, spec: (),
    )


KINDS: Mapping[str, Kind] = {
    name: _kind(name, spec) for name, spec in {"file": FileSpec, "service": ServiceSpec, "command": CommandSpec}.items()
}
