"""Types with named fields: dataclasses, TypedDicts and named tuples."""

from __future__ import annotations

import sys
import typing
from typing import Any

from ._codec import Codec, Compiler, decode_with, substitute
from ._docstring import parse
from ._scalars import is_object, to_json
from .errors import ArgumentError

if typing.TYPE_CHECKING:
    import types
    from collections.abc import Callable


class Field(typing.NamedTuple):
    """One field of a record, its type still as annotated."""

    name: str
    annotation: Any
    required: bool
    default: Any = NotImplemented
    description: str | None = None


def codec(compiler: Compiler, tp: Any, origin: Any) -> Codec | None:
    """The codec of a record type; None where it is none."""
    if typing.is_typeddict(origin):
        fields, make = _typed_dict(origin), None
    elif hasattr(origin, "__dataclass_fields__"):
        fields, make = _dataclass(compiler, tp, origin), origin
    elif hasattr(origin, "_fields") and tuple in origin.__mro__:
        fields, make = _named_tuple(origin), origin
    else:
        return None
    known = dict(zip(getattr(origin, "__parameters__", ()), typing.get_args(tp), strict=False))
    arguments = "".join(f"_{getattr(arg, '__name__', arg)}" for arg in known.values())
    label = "".join(c if c.isalnum() else "_" for c in f"{origin.__name__}{arguments}")
    entry = compiler.name(tp, label)
    text, described = parse(_own_doc(origin))
    parts = [(field, compiler.compile(substitute(field.annotation, known))) for field in fields]
    entry.schema = object_schema(
        [(f._replace(description=f.description or described.get(f.name)), c) for f, c in parts]
    )
    if text:
        entry.schema = {"type": "object", "description": text, **entry.schema}
    codecs = {field.name: part for field, part in parts}
    required = [field.name for field in fields if field.required]
    entry.accepts = _accepts(codecs, required)
    entry.decode = _decode(codecs, required, make)
    return compiler.reference(tp)


def object_schema(fields: list[tuple[Field, Codec]]) -> dict[str, Any]:
    """A closed object."""
    properties: dict[str, Any] = {}
    for field, part in fields:
        extra: dict[str, Any] = {}
        if field.description and "description" not in part.schema:
            extra["description"] = field.description
        if field.default is not NotImplemented:
            extra["default"] = field.default
        properties[field.name] = {**part.schema, **extra}
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    required = [field.name for field, _ in fields if field.required]
    if required:
        schema["required"] = required
    schema["additionalProperties"] = False
    return schema


def resolve(holder: Any, extra: dict[str, Any]) -> dict[str, Any]:
    """Annotations as types. A name that its module lacks is looked for where the type is being made, up the
    stack: classes of a function's body are found there."""
    names = dict(extra)
    while True:
        try:
            return typing.get_type_hints(holder, localns=names, include_extras=True)
        except NameError as error:
            if error.name is None or error.name in names:
                raise
            names[error.name] = _up_the_stack(error.name, error)


def _up_the_stack(name: str, error: NameError) -> Any:
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        if name in frame.f_locals and not frame.f_globals.get("__name__", "").startswith("atomr_agents."):
            return frame.f_locals[name]
        frame = frame.f_back
    raise error


def _hints(origin: Any) -> dict[str, Any]:
    return resolve(origin, {origin.__name__: origin})


def _own_doc(origin: Any) -> str | None:
    """The docstring that somebody wrote, not the one that dataclasses and named tuples make up."""
    doc = origin.__dict__.get("__doc__")
    made_up = doc is not None and doc.startswith(f"{origin.__name__}(")
    return None if made_up else doc


def _dataclass(compiler: Compiler, tp: Any, origin: Any) -> list[Field]:
    import dataclasses

    hints = _hints(origin)
    for name, field in origin.__dataclass_fields__.items():
        if getattr(field, "_field_type", None) is getattr(dataclasses, "_FIELD_INITVAR", NotImplemented):
            raise compiler.refuse(tp, f"its field `{name}` is an InitVar; make it a plain field")
    fields: list[Field] = []
    for field in dataclasses.fields(origin):
        if not field.init:
            continue
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        default = NotImplemented if field.default is dataclasses.MISSING else to_json(field.default)
        text = field.metadata.get("description")
        described = text if isinstance(text, str) else None
        fields.append(Field(field.name, hints[field.name], required, default, described))
    return fields


def _typed_dict(origin: Any) -> list[Field]:
    fields: list[Field] = []
    for name, annotation in _hints(origin).items():
        # Where annotations are postponed `__required_keys__` cannot see the qualifier, so that counts first.
        qualifiers = _qualifiers(annotation)
        required = typing.NotRequired not in qualifiers and (
            typing.Required in qualifiers or name in origin.__required_keys__
        )
        fields.append(Field(name, annotation, required))
    return fields


def _qualifiers(annotation: Any) -> list[Any]:
    found: list[Any] = []
    while (origin := typing.get_origin(annotation)) is not None:
        if origin is typing.Annotated:
            annotation = annotation.__origin__
        elif origin in (typing.Required, typing.NotRequired) or getattr(origin, "_name", "") == "ReadOnly":
            found.append(origin)
            annotation = typing.get_args(annotation)[0]
        else:
            break
    return found


def _named_tuple(origin: Any) -> list[Field]:
    hints = _hints(origin)
    defaults: dict[str, Any] = origin._field_defaults
    return [
        Field(name, hints.get(name, Any), name not in defaults, to_json(defaults.get(name, NotImplemented)))
        for name in origin._fields
    ]


def _accepts(codecs: dict[str, Codec], required: list[str]) -> Callable[[Any], bool]:
    def accepts(value: Any) -> bool:
        if not is_object(value) or any(name not in value for name in required):
            return False
        return all(name in codecs and codecs[name].accepts(member) for name, member in value.items())

    return accepts


def _decode(codecs: dict[str, Codec], required: list[str], make: Any) -> Callable[[Any], Any]:
    def decode(value: Any) -> Any:
        if not is_object(value):
            raise ArgumentError(f": an object is needed, not {value!r}")
        missing = [name for name in required if name not in value]
        if missing:
            raise ArgumentError(f": `{missing[0]}` is missing")
        unknown = [name for name in value if name not in codecs]
        if unknown:
            raise ArgumentError(f": `{unknown[0]}` is not known")
        decoded = {name: decode_with(codecs[name], member, name) for name, member in value.items()}
        return decoded if make is None else make(**decoded)

    return decode
