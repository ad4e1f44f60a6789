"""`http_check`: whether something answers as it should. It changes nothing; what needs it waits until it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from pydantic import Field, field_validator

from fleet.kinds._http_read import answers, route
from fleet.kinds._http_spec import check_api_path
from fleet.kinds._http_state import fitted
from fleet.kinds._spec import Spec, check_text
from fleet.model import json_path
from fleet.model.api import Answered
from fleet.model.change import Change, Observed, Unreadable
from fleet.model.host import Resource
from fleet.model.kind import Kind, Probe, Stage
from fleet.model.step import Check, Outcome, Request, Script, Step
from fleet.model.value import State

# Whatever it says is what it says.
ANY_STATUS = tuple(range(300, 600))


class HttpCheckSpec(Spec):
    """A question to an API, asked from where fleet runs, and the answer that it should have.

    http_check:
      the shop is up:
        api: shop
        path: /health
        json: {$.database: ok}
        seconds: 0.5
        within: 30
    """

    api: str = Field("", description="A name under `apis:` of the environment; the host itself unless said.")
    path: str = Field(description="Below the API's url.")
    status: int = Field(200, ge=100, le=599, description="The answer's status.")
    contains: str | None = Field(None, description="Text that stands in the answer.")
    json_: Mapping[str, Any] = Field(
        default_factory=dict, alias="json", description="JSONPath → the value that stands there."
    )
    seconds: float | None = Field(None, strict=False, gt=0, description="In how many seconds it answers.")
    within: float = Field(
        0, strict=False, ge=0, le=3600, description="Seconds that an apply waits for it to become so."
    )

    _path = field_validator("path")(check_api_path)

    @field_validator("json_")
    @classmethod
    def _paths(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        for one in value:
            json_path.compiled(one)
        return value


def state(name: str, spec: HttpCheckSpec, content: bytes | None) -> State:
    said: dict[str, Any] = {"status": spec.status, **spec.json_}
    if spec.contains is not None:
        said["contains"] = spec.contains
    if spec.seconds is not None:
        said["seconds"] = f"at most {spec.seconds:g}"
    return said


def observe(resources: Sequence[Resource]) -> Probe:
    requests = list(dict.fromkeys(_request(one.spec) for one in resources))
    numbers = {one: number for number, one in enumerate(requests)}

    def read(outcome: Outcome) -> Mapping[str, Observed]:
        said = answers(outcome)
        return {one.id: _observed(one.spec, said[numbers[_request(one.spec)]]) for one in resources}

    return Probe(Script(""), read, tuple(requests))


def _request(spec: HttpCheckSpec) -> Request:
    return Request("GET", spec.path, route=route(spec.path), accept=ANY_STATUS, api=spec.api, raw=True)


def _observed(spec: HttpCheckSpec, answer: Answered) -> Observed:
    if answer.error:
        return Unreadable(answer.error)
    body = str(answer.body[0]) if answer.body else ""
    found: dict[str, Any] = {"status": answer.status}
    if spec.contains is not None and spec.contains in body:
        found["contains"] = spec.contains
    if spec.seconds is not None:
        fast = answer.seconds <= spec.seconds
        found["seconds"] = f"at most {spec.seconds:g}" if fast else f"{answer.seconds:.2g}"
    document = json_path.parsed(body) if spec.json_ else None
    for path, wanted in spec.json_.items():
        value = json_path.first(path, document)
        if value is not json_path.MISSING:
            found[path] = fitted(wanted, value)
    return found


def fix(changes: Sequence[Change]) -> Mapping[str, tuple[Step, ...]]:
    """Nothing can be done but wait."""
    found: dict[str, tuple[Step, ...]] = {}
    for change in changes:
        spec = change.resource.spec
        found[change.resource.id] = (Check(_request(spec), partial(_fails, change.resource), max(spec.within, 0.01)),)
    return found


def _fails(resource: Resource, answer: Answered) -> str:
    now = _observed(resource.spec, answer)
    if not isinstance(now, Mapping):
        return now.reason if isinstance(now, Unreadable) else ""
    wrong = [name for name, value in (resource.desired or {}).items() if now.get(name) != value]
    return ", ".join(f"{name} is {now.get(name, 'not there')}" for name in wrong)


KIND = Kind(
    name="http_check",
    doc="Whether something answers over HTTP as it should.",
    Spec=HttpCheckSpec,
    stage=Stage.COMMAND,
    state=state,
    observe=observe,
    fix=fix,
    witness=lambda resource: None,
    check=check_text,
    owns=lambda name, spec: (f"http_check:{name}",),
    wants=lambda name, spec: (),
    over="api",
)
