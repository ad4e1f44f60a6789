"""Attributes of a profile, as JSON Schema says them → what a Kind has as its Spec. Made when first used: few are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict, create_model

TYPES = ("string", "integer", "number", "boolean", "array", "object")
WORDS = ("type", "description", "default", "enum", "items", "writeOnly", "minimum", "maximum", "minLength", "maxLength",
         "pattern", "minItems", "maxItems")  # fmt: skip
# Attributes that every object has beside its own.
COMMON: Mapping[str, Mapping[str, Any]] = {
    "api": {"type": "string", "default": "",
            "description": "A name under `apis:` of the environment; the host itself unless said."},
    "ensure": {"type": "string", "enum": ["present", "absent"], "default": "present",
               "description": "present, or absent to remove it."},
}  # fmt: skip
_PLAIN: Mapping[str, Any] = {"string": str, "integer": int, "number": int | float, "boolean": bool,
                             "object": dict[str, Any]}  # fmt: skip
_BOUNDS = {"minimum": "ge", "maximum": "le", "minLength": "min_length", "maxLength": "max_length", "pattern": "pattern",
           "minItems": "min_length", "maxItems": "max_length"}  # fmt: skip


class ProfileSpec:
    """Stands where other kinds have a pydantic class: called with attributes it gives a frozen model of them, or raises
    pydantic's ValidationError.

    attributes: name → JSON Schema with description. required: those that must be said.
    """

    def __init__(
        self, name: str, doc: str, attributes: Mapping[str, Mapping[str, Any]], required: frozenset[str]
    ) -> None:
        self.__doc__ = doc
        self._name, self._required = name, required
        self._attributes = {**attributes, **COMMON}
        self.secrets = frozenset(attributes)
        self._model: type[BaseModel] | None = None

    def __call__(self, **attributes: Any) -> BaseModel:
        return self.model(**attributes)

    @property
    def model_fields(self) -> Mapping[str, Any]:
        return self.model.model_fields

    def model_json_schema(self, **_: Any) -> dict[str, Any]:
        properties = {name: dict(schema) for name, schema in self._attributes.items()}
        return {"type": "object", "properties": properties, "required": sorted(self._required)}

    @property
    def model(self) -> type[BaseModel]:
        if self._model is None:
            fields: Any = {name: self._field(name, schema) for name, schema in self._attributes.items()}
            config = ConfigDict(frozen=True, extra="forbid", strict=True)
            self._model = create_model(self._name, __config__=config, **fields)
        return self._model

    def _field(self, name: str, schema: Mapping[str, Any]) -> tuple[Any, Any]:
        bounds = {ours: schema[theirs] for theirs, ours in _BOUNDS.items() if theirs in schema}
        said = {"description": schema.get("description", ""), **bounds}
        if name in self._required:
            return _type(schema), Field(**said)
        return _type(schema) | None, Field(schema.get("default"), **said)


def _type(schema: Mapping[str, Any]) -> Any:
    if "enum" in schema:
        return Literal[tuple(schema["enum"])]
    if schema.get("type") == "array":
        lists: Any = list
        return Annotated[lists[_type(schema.get("items", {}))], Strict(False)]
    return _PLAIN.get(schema.get("type", ""), Any)
