"""The types that one JSON scalar stands for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Callable

    Found = tuple[dict[str, Any], Callable[[Any], Any] | None, Callable[[Any], bool], int]

_DECIMAL = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"


def scalar(tp: Any) -> Found | None:
    """The schema, decoder, shape and rank of a built-in scalar type."""
    if tp is None or tp is type(None):
        return {"type": "null"}, None, lambda value: value is None, 0
    if tp is str:
        return {"type": "string"}, None, lambda value: isinstance(value, str), 1
    if tp is bool:
        return {"type": "boolean"}, None, lambda value: isinstance(value, bool), 0
    if tp is int:
        return (
            {"type": "integer"},
            whole,
            lambda value: _is_number(value) and value % 1 == 0,
            0,
        )
    if tp is float:
        # After `int` in a union: 3 is a whole number where one is wanted.
        return {"type": "number"}, None, _is_number, 1
    if tp is bytes:
        return {"type": "string", "contentEncoding": "base64"}, _bytes, _text_for(_bytes), 0
    name = (getattr(tp, "__module__", ""), getattr(tp, "__qualname__", ""))
    if name[0] not in {"datetime", "uuid", "decimal", "pathlib", "pathlib._local"}:
        return None
    # The annotation exists, so its module is loaded: nothing is imported that was not there.
    module = sys.modules[name[0]]
    if name == ("datetime", "datetime"):
        return (
            {"type": "string", "format": "date-time"},
            tp.fromisoformat,
            _text_for(tp.fromisoformat, longer_than=10),
            0,
        )
    if name in (("datetime", "date"), ("datetime", "time")):
        return {"type": "string", "format": name[1]}, tp.fromisoformat, _text_for(tp.fromisoformat), 0
    if name == ("uuid", "UUID"):
        return {"type": "string", "format": "uuid"}, _from_text(tp), _text_for(tp), 0
    if name == ("decimal", "Decimal"):
        schema = {"anyOf": [{"type": "string", "pattern": _DECIMAL}, {"type": "number"}]}
        return (
            schema,
            lambda value: _decimal(module.Decimal, value),
            lambda value: _is_decimal(module, value),
            1,
        )
    if name[0].startswith("pathlib"):
        return {"type": "string", "format": "path"}, _from_text(tp), lambda value: isinstance(value, str), 1
    return None


def wire_value(value: Any) -> Any:
    """What stands for a value in JSON; NotImplemented where nothing does."""
    import enum

    if isinstance(value, enum.Enum):
        value = value.value
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float) and value - value == 0:
        return value
    return NotImplemented


def to_json(value: Any) -> Any:
    """A default value as JSON; NotImplemented where it has no JSON form."""
    wire = wire_value(value)
    if wire is not NotImplemented:
        return wire
    if value.__class__ is tuple:
        value = list[Any](value)
    if is_array(value):
        values = [to_json(each) for each in value]
        return NotImplemented if any(each is NotImplemented for each in values) else values
    if is_object(value):
        pairs: dict[Any, Any] = {key: to_json(each) for key, each in value.items()}
        known = all(isinstance(key, str) and each is not NotImplemented for key, each in pairs.items())
        return pairs if known else NotImplemented
    module = type(value).__module__
    if module == "datetime" and hasattr(value, "isoformat"):
        return value.isoformat()
    if module in {"uuid", "decimal", "pathlib", "pathlib._local"}:
        return str(value)
    return NotImplemented


def is_array(value: Any) -> TypeGuard[list[Any]]:
    """Whether a JSON value is an array."""
    return isinstance(value, list)


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether a JSON value is an object."""
    return isinstance(value, dict)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def whole(value: Any) -> Any:
    """JSON Schema takes 1.0 for an integer, and models write it."""
    return int(value) if value.__class__ is float else value


def _bytes(value: Any) -> bytes:
    import base64

    return base64.b64decode(_text(value), validate=True)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text is needed, not {value!r}")
    return value


def _text_for(make: Callable[[str], Any], longer_than: int = -1) -> Callable[[Any], bool]:
    """Whether a value is text that `make` takes."""

    def accepts(value: Any) -> bool:
        if not isinstance(value, str) or len(value) <= longer_than:
            return False
        try:
            make(value)
        except ValueError:
            return False
        return True

    return accepts


def _decimal(make: Callable[[str], Any], value: Any) -> Any:
    if not _is_number(value):
        _text(value)
    return make(str(value))


def _is_decimal(module: Any, value: Any) -> bool:
    if _is_number(value):
        return True
    if not isinstance(value, str):
        return False
    try:
        return bool(module.Decimal(value).is_finite())
    except module.InvalidOperation:
        return False


def _from_text(make: Callable[[str], Any]) -> Callable[[Any], Any]:
    return lambda value: make(_text(value))
