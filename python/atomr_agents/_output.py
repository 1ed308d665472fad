"""What an agent's answer becomes: text, or a value of the type that was asked for."""

from __future__ import annotations

from ._scalars import is_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Schema = dict[str, Any]

WRAPPED = "value"
"""Providers want an object; any other type is the one field of an object."""


class Output:
    """The shape of an answer, and what turns it into the value."""

    __slots__ = ("decode", "name", "schema", "strict", "validate", "wrapped")

    def __init__(self, output_type: Any) -> None:
        from ._schema import schema_of

        schema, decode = schema_of(output_type)
        self.name = _name(output_type)
        self.wrapped = not is_object(output_type) and schema.get("type") != "object"
        """Whether the value is the one field of an object."""
        if not self.wrapped:
            self.schema, self.decode = schema, decode
        else:
            self.schema, self.decode = _wrap(schema), _unwrapping(decode)
        self.strict = _is_strict(self.schema)
        self.validate = None if is_object(output_type) else self.decode
        """What says more than the schema whether a value is of the type."""

    def read(self, value: Any) -> Any:
        """The value of the type. One with which a tool ended the run may lack the object around it."""
        if self.wrapped and not (is_object(value) and WRAPPED in value):
            value = {WRAPPED: value}
        return self.decode(value)


def _unwrapping(decode: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: decode(value[WRAPPED])


def _wrap(schema: Schema) -> Schema:
    inner = {key: value for key, value in schema.items() if key != "$defs"}
    outer: Schema = {
        "type": "object",
        "properties": {WRAPPED: inner},
        "required": [WRAPPED],
        "additionalProperties": False,
    }
    # References are told from the root, so the definitions stay there.
    return {**outer, "$defs": schema["$defs"]} if "$defs" in schema else outer


def _name(output_type: Any) -> str:
    """What providers call the shape: at most 64 of `A-Z a-z 0-9 _ -`."""
    given: object = getattr(output_type, "__name__", None)
    if is_object(output_type):
        given = output_type.get("title")
    name = "".join(each if each.isascii() and (each.isalnum() or each in "_-") else "_" for each in str(given or ""))
    return name[:64].strip("_") or "output"


# What providers that force a schema know; one word beyond it, and the schema is sent without force.
_WORDS = ("type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref", "$defs")
_FORCED = frozenset((*_WORDS, "description", "title"))


def _is_strict(schema: Any) -> bool:
    """Whether a provider can force the schema: closed objects with nothing optional, and no other words."""
    if not is_object(schema) or not schema or not _FORCED.issuperset(schema):
        return False
    properties: Schema = schema.get("properties", {})
    if schema.get("type") == "object":
        closed = schema.get("additionalProperties") is False
        if not closed or set(schema.get("required", ())) != set(properties):
            return False
    parts = [*properties.values(), *schema.get("anyOf", ()), *schema.get("$defs", {}).values()]
    if "items" in schema:
        parts.append(schema["items"])
    return all(_is_strict(part) for part in parts)
