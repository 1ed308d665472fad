"""Types that bring their own schema: pydantic models and msgspec structs. Only what the program has
loaded is used: neither package is imported from here."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._codec import Codec, Compiler

    Make = Callable[[str], dict[str, Any]]


def codec(compiler: Compiler, tp: Any, origin: Any) -> Codec | None:
    """The codec of a model type; None where it is none."""
    pydantic: Any = sys.modules.get("pydantic")
    msgspec: Any = sys.modules.get("msgspec")
    label = "".join(c if c.isalnum() else "_" for c in getattr(tp, "__name__", origin.__name__))
    if pydantic is not None and (issubclass(origin, pydantic.BaseModel) or _is_pydantic_dataclass(origin)):
        make, decode = _pydantic(pydantic.TypeAdapter(tp))
    elif msgspec is not None and issubclass(origin, msgspec.Struct):
        make, decode = _msgspec(msgspec, tp)
    else:
        return None
    entry = compiler.name(tp, label)
    name = compiler.named[tp][0]
    # What the model refers to keeps its name behind the model's, so that it meets no type of another model.
    schema = make(f"#/$defs/{name}__")
    for key, body in schema.pop("$defs", {}).items():
        part = compiler.name((tp, key), f"{name}__{key}")
        part.schema = body
    entry.schema = schema
    entry.decode = decode
    entry.accepts = _fits(decode)
    return compiler.reference(tp)


def _pydantic(adapter: Any) -> tuple[Make, Callable[[Any], Any]]:
    def schema(prefix: str) -> dict[str, Any]:
        made: dict[str, Any] = adapter.json_schema(ref_template=prefix + "{model}")
        return made

    def decode(value: Any) -> Any:
        # In text mode a strict model takes what JSON can say: a date as text, a tuple as an array.
        return adapter.validate_json(json.dumps(value))

    return schema, decode


def _msgspec(msgspec: Any, tp: Any) -> tuple[Make, Callable[[Any], Any]]:
    def schema(prefix: str) -> dict[str, Any]:
        (root,), defs = msgspec.json.schema_components([tp], ref_template=prefix + "{name}")
        return {**root, "$defs": defs}

    return schema, lambda value: msgspec.convert(value, tp)


def _is_pydantic_dataclass(origin: type) -> bool:
    return "__pydantic_validator__" in origin.__dict__ and hasattr(origin, "__dataclass_fields__")


def _fits(decode: Callable[[Any], Any]) -> Callable[[Any], bool]:
    def accepts(value: Any) -> bool:
        try:
            decode(value)
        except (ValueError, TypeError):
            return False
        return True

    return accepts
