"""What is said of an object behind an API: how it is read, made, changed and removed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from fleet.kinds._spec import Spec
from fleet.model import json_path
from fleet.model.step import Job, Pages

Compare = Literal["set", "number", "case"]
PLACE = re.compile(r"\{([A-Za-z_@$][\w.$@-]*)\}")  # RFC 6570, level 1
_CONTROL = re.compile(r"[\x00-\x20\x7f]")


def check_api_path(path: str) -> str:
    if not path.startswith("/") or _CONTROL.search(path) or "#" in path:
        raise ValueError("expected a path below the API's url, beginning with / and percent-encoded where needed")
    if any(part in (".", "..") for part in path.partition("?")[0].split("/")):
        raise ValueError("a path cannot hold `.` or `..`")
    return path


def _json_path(value: str | None) -> str | None:
    if value is not None:
        json_path.compiled(value)
    return value


class PagesSpec(Spec):
    """How a long list goes on: exactly one of `link`, `cursor` and `number`."""

    link: bool = Field(False, description="By the Link header, rel=next.")
    cursor: str | None = Field(None, description="JSONPath of the next page's cursor.")
    number: int | None = Field(None, description="The first page's number; a page without items is the end.")
    parameter: str = Field("page", description="The query's parameter for the cursor or the number.")

    _paths = field_validator("cursor")(_json_path)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.link + (self.cursor is not None) + (self.number is not None) != 1:
            raise ValueError("expected exactly one of link, cursor and number")
        return self

    def pages(self, items: str) -> Pages:
        if self.link:
            return Pages("link")
        if self.cursor is not None:
            return Pages("cursor", self.parameter, self.cursor)
        return Pages("number", self.parameter, items + "[*]", self.number or 0)


class PendingSpec(Spec):
    """Where an API keeps what will be so from the next reboot on."""

    path: str = Field(description="Below the API's url.")
    object: str | None = Field(None, description="JSONPath of the fields in the answer; all of it unless said.")

    _path = field_validator("path")(check_api_path)
    _object = field_validator("object")(_json_path)


class ReadSpec(Spec):
    """How the object is read: alone, or out of a list that is asked for once for all of its objects."""

    path: str = Field(description="Below the API's url.")
    items: str | None = Field(None, description="JSONPath of the list that the object stands in, such as $.items.")
    object: str | None = Field(None, description="JSONPath of the object in the answer; all of it unless said.")
    match: Mapping[str, Any] = Field(
        default_factory=dict, description="Fields that tell the object from others; a list means any of these."
    )
    missing: tuple[int, ...] = Field((404,), strict=False, description="Statuses that say that it is not there.")
    pages: PagesSpec | None = Field(None, description="How a long list goes on.")
    pending: PendingSpec | None = Field(None, description="Where stands what will be so after a reboot.")

    _path = field_validator("path")(check_api_path)

    @field_validator("items", "object")
    @classmethod
    def _paths(cls, value: str | None) -> str | None:
        _json_path(value)
        return value.removesuffix("[*]") if value is not None else None

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        if self.items is not None and not self.match:
            raise ValueError("expected `match` beside `items`: which of them is it?")
        return self


class JobSpec(Spec):
    """What goes on after the answer, and how to hear of its end."""

    at: str = Field("location", description="location (the header), a path, or JSONPath of a path in the answer.")
    field: str = Field("", description="JSONPath of the job's state; the status 202 means busy unless said.")
    done: tuple[str, ...] = Field((), strict=False, description="States that mean done.")
    failed: tuple[str, ...] = Field((), strict=False, description="States that mean failed.")
    within: float = Field(300.0, strict=False, gt=0, description="Seconds it may take.")
    every: float = Field(2.0, strict=False, ge=0.1, description="Seconds between two questions.")

    def job(self) -> Job:
        return Job(self.at, self.field, self.done, self.failed, self.within, self.every)


class CallSpec(Spec):
    """One request that changes something. `{field}` in its path is that field of the object as it was read."""

    method: Literal["POST", "PUT", "PATCH", "DELETE"] = Field(description="POST, PUT, PATCH or DELETE.")
    path: str = Field(description="Below the API's url.")
    body: Any = Field(None, description="What is sent; the resource's `body` unless said.")
    format: Literal["json", "merge-patch", "json-patch", "text"] = Field(
        "json", description="json; merge-patch (RFC 7396) and json-patch (RFC 6902) send what differs; text: as it is."
    )
    keep: tuple[str, ...] = Field(
        (), strict=False, description='Fields sent back as they were read; ["*"]: all that are not ours.'
    )
    only_for: tuple[str, ...] = Field((), strict=False, description="Sent only when one of these fields differs.")
    repeatable: bool = Field(False, description="Doing it twice is as good as once, whatever its method.")
    key: bool = Field(False, description="The API honours Idempotency-Key.")
    accept: tuple[int, ...] = Field((), strict=False, description="Statuses beside 2xx that mean that it was done.")
    job: JobSpec | None = Field(None, description="It goes on after the answer.")

    _path = field_validator("path")(check_api_path)
