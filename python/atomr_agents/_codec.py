"""From a Python type to its JSON Schema, and from a JSON value that fits the schema back to the Python value.

One `Codec` per type. Its decoder is None where the JSON value already is the Python value. Named types
(dataclasses, TypedDicts, named tuples, models) are collected in `Compiler.named`, so that recursion ends and
a type used twice is described once.
"""

from __future__ import annotations

import sys
import types
import typing
from collections import abc
from typing import Any

from ._definitions import place
from ._scalars import is_array, is_object, scalar, wire_value
from .errors import ArgumentError, SchemaError

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Json = Any
    Schema = dict[str, Any]
    Decode = Callable[[Json], Any]
    Accepts = Callable[[Json], bool]

_ARRAYS: dict[Any, Any] = {
    list: list,
    set: set,
    frozenset: frozenset,
    abc.Sequence: list,
    abc.MutableSequence: list,
    abc.Collection: list,
    abc.Iterable: list,
    abc.Set: frozenset,
    abc.MutableSet: set,
}
_OBJECTS: frozenset[Any] = frozenset({dict, abc.Mapping, abc.MutableMapping})
_NO_JSON = "no JSON value stands for it; use a dataclass, a TypedDict, a pydantic model or a built-in type"
_CONSTRAINTS = {
    "number": (
        ("gt", "exclusiveMinimum"),
        ("ge", "minimum"),
        ("lt", "exclusiveMaximum"),
        ("le", "maximum"),
        ("multiple_of", "multipleOf"),
    ),
    "string": (("min_length", "minLength"), ("max_length", "maxLength"), ("pattern", "pattern")),
    "array": (("min_length", "minItems"), ("max_length", "maxItems")),
    "object": (("min_length", "minProperties"), ("max_length", "maxProperties")),
}


class Codec:
    """A type's schema, its decoder (None: the value as it is), and whether a value has this type's shape."""

    __slots__ = ("accepts", "decode", "rank", "schema")

    def __init__(self, schema: Schema, decode: Decode | None, accepts: Accepts, rank: int = 0) -> None:
        self.schema = schema
        self.decode = decode
        self.accepts = accepts
        # In a union the narrow types are tried first: 0 says nothing but this, 1 any text, 2 anything.
        self.rank = rank


def decode_with(codec: Codec, value: Json, where: str) -> Any:
    """Decodes, and says where in the value it failed."""
    if codec.decode is None:
        return value
    try:
        return codec.decode(value)
    except ArgumentError as error:
        raise ArgumentError(f"{where}.{error}" if str(error)[:1].isidentifier() else f"{where}{error}") from error
    except (ValueError, TypeError, KeyError, ArithmeticError) as error:
        raise ArgumentError(f"{where}: {error}") from error


class Compiler:
    """Makes codecs; `refuse` raises the SchemaError that names the function and the parameter."""

    def __init__(self, refuse: Callable[[Any, str], SchemaError]) -> None:
        self.refuse = refuse
        self.named: dict[Any, tuple[str, Codec]] = {}

    # --- one type ---

    def compile(self, tp: Any) -> Codec:
        if tp.__class__.__hash__ is None:
            # A list such as `[int]`, or an object of the user's: no type, and no key of a table either.
            raise self.refuse(tp, _NO_JSON)
        if tp is Any or tp is object:
            return Codec({}, None, lambda _: True, rank=2)
        found = scalar(tp)
        if found is not None:
            return Codec(*found)
        if tp is list or tp is tuple or tp in _OBJECTS or tp in _ARRAYS:
            return self._generic(tp, tp, ())
        origin = typing.get_origin(tp)
        if origin is not None:
            return self._origin(tp, origin, typing.get_args(tp))
        if isinstance(tp, type):
            return self._class(tp, tp)
        if hasattr(tp, "__supertype__"):
            return self.compile(tp.__supertype__)
        if isinstance(tp, typing.TypeVar):
            if tp.__bound__ is None:
                raise self.refuse(tp, "a type variable without a bound says nothing about the value; write the type")
            return self.compile(tp.__bound__)
        if type(tp).__name__ == "TypeAliasType":
            return self._alias(tp)
        if typing.is_typeddict(tp):
            return self._class(tp, tp)
        raise self.refuse(tp, _NO_JSON)

    def _origin(self, tp: Any, origin: Any, args: tuple[Any, ...]) -> Codec:
        if origin is typing.Annotated:
            return self._annotated(tp)
        if origin is typing.Union or origin is types.UnionType:
            return self._union([self.compile(arg) for arg in args])
        if origin is typing.Literal:
            return self._literal(tp, args)
        if origin in (typing.Required, typing.NotRequired) or getattr(origin, "_name", "") == "ReadOnly":
            return self.compile(args[0])
        if type(origin).__name__ == "TypeAliasType":
            return self._alias(tp)
        if origin is tuple or origin in _OBJECTS or origin in _ARRAYS:
            return self._generic(tp, origin, args)
        if isinstance(origin, type):
            return self._class(tp, origin)
        raise self.refuse(tp, _NO_JSON)

    def _annotated(self, tp: Any) -> Codec:
        codec = self.compile(tp.__origin__)
        extra: Schema = {}
        for note in tp.__metadata__:
            if isinstance(note, str):
                extra["description"] = note
                continue
            text = getattr(note, "description", None) or getattr(note, "documentation", None)
            if isinstance(text, str):
                extra["description"] = text
            for part in (note, *(getattr(note, "metadata", None) or ())):
                extra.update(_constraints(codec.schema, part))
        return Codec({**codec.schema, **extra}, codec.decode, codec.accepts, codec.rank)

    def _literal(self, tp: Any, values: tuple[Any, ...]) -> Codec:
        wires = [wire_value(value) for value in values]
        if any(wire is NotImplemented for wire in wires):
            raise self.refuse(tp, "a literal must be a string, a number, a boolean, None or an Enum member")
        known: dict[Any, Any] = {(type(wire), wire): value for wire, value in zip(wires, values, strict=True)}
        plain = all(wire is value for wire, value in zip(wires, values, strict=True))
        return _choice(known, plain=plain)

    def _union(self, members: list[Codec]) -> Codec:
        schemas: list[Schema] = []
        for member in members:
            if member.schema not in schemas:
                schemas.append(member.schema)
        ordered = sorted(members, key=lambda member: member.rank)
        # 1.0 is a float where one is wanted, and a whole number elsewhere.
        floats_first = sorted(ordered, key=lambda member: member.schema.get("type") != "number")

        def accepts(value: Json) -> bool:
            return any(member.accepts(value) for member in ordered)

        def decode(value: Json) -> Any:
            for member in floats_first if value.__class__ is float else ordered:
                if member.accepts(value):
                    return value if member.decode is None else member.decode(value)
            raise ArgumentError(": fits none of the allowed types")

        schema = {} if {} in schemas else schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        plain = all(member.decode is None for member in members)
        return Codec(schema, None if plain else decode, accepts, rank=max(member.rank for member in members))

    # --- containers ---

    def _generic(self, tp: Any, origin: Any, args: tuple[Any, ...]) -> Codec:
        if origin in _OBJECTS:
            return self._mapping(tp, *(args or (str, Any)))
        if origin is tuple and args and args[-1] is not Ellipsis:
            return self._fixed(args)
        if origin is tuple and tp is not tuple and not args:
            return self._fixed(())
        return self._array(tuple if origin is tuple else _ARRAYS[origin], args[0] if args else Any)

    def _array(self, kind: Any, item_type: Any) -> Codec:
        make: Callable[[list[Any]], Any] = kind
        item = self.compile(item_type)
        schema: Schema = {"type": "array"} if not item.schema else {"type": "array", "items": item.schema}
        if kind in (set, frozenset):
            schema["uniqueItems"] = True

        def accepts(value: Json) -> bool:
            return is_array(value) and all(map(item.accepts, value))

        def decode(value: Json) -> Any:
            values = _sized(value)
            if item.decode is None:
                return make(values)
            return make([decode_with(item, each, f"[{at}]") for at, each in enumerate(values)])

        return Codec(schema, None if kind is list and item.decode is None else decode, accepts)

    def _fixed(self, args: tuple[Any, ...]) -> Codec:
        items = [self.compile(arg) for arg in args]
        schema: Schema = {"type": "array", "minItems": len(items), "maxItems": len(items)}
        if items:
            schema["prefixItems"] = [item.schema for item in items]

        def accepts(value: Json) -> bool:
            if not is_array(value) or len(value) != len(items):
                return False
            return all(item.accepts(each) for item, each in zip(items, value, strict=True))

        def decode(value: Json) -> Any:
            values = _sized(value, len(items))
            pairs = zip(items, values, strict=True)
            return tuple(decode_with(item, each, f"[{at}]") for at, (item, each) in enumerate(pairs))

        return Codec(schema, decode, accepts)

    def _mapping(self, tp: Any, key_type: Any, value_type: Any) -> Codec:
        key = self.compile(key_type)
        item = self.compile(value_type)
        schema: Schema = {"type": "object"}
        whole = key_type is int
        if whole:
            schema["propertyNames"] = {"pattern": "^-?[0-9]+$"}
        elif key.schema.get("type") != "string":
            raise self.refuse(
                tp, "the keys of a JSON object are text; use str, int, an Enum of strings, a date or a UUID"
            )
        elif key.schema != {"type": "string"}:
            schema["propertyNames"] = key.schema
        schema["additionalProperties"] = item.schema or True

        def accepts(value: Json) -> bool:
            if not is_object(value):
                return False
            accepts_key = _is_whole if whole else key.accepts
            return all(accepts_key(k) and item.accepts(v) for k, v in value.items())

        def decode(value: Json) -> Any:
            pairs = _object(value).items()
            decode_key = int if whole else key.decode or str
            return {decode_key(k): decode_with(item, v, f"[{k!r}]") for k, v in pairs}

        plain = not whole and key.decode is None and item.decode is None
        return Codec(schema, None if plain else decode, accepts)

    # --- named types ---

    def _class(self, tp: Any, origin: Any) -> Codec:
        import enum

        if issubclass(origin, enum.Enum):
            known: dict[Any, Any] = {
                (type(w), w): m for m in origin.__members__.values() if (w := wire_value(m)) is not NotImplemented
            }
            if len(known) < len(list(origin)):
                raise self.refuse(tp, "the values of an Enum must be strings, numbers, booleans or None")
            return _choice(known, plain=False)
        if tp in self.named:
            return self._reference(tp)
        from . import _records

        codec: Codec | None = None
        if "pydantic" in sys.modules or "msgspec" in sys.modules:
            from . import _models

            codec = _models.codec(self, tp, origin)
        codec = codec or _records.codec(self, tp, origin)
        if codec is None:
            raise self.refuse(tp, _NO_JSON)
        return codec

    def _alias(self, tp: Any) -> Codec:
        if tp in self.named:
            return self._reference(tp)
        codec = self.name(tp, tp.__name__)
        target = tp.__value__
        if typing.get_origin(tp) is not None:
            target = substitute(target, dict(zip(tp.__type_params__, typing.get_args(tp), strict=True)))
        inner = self.compile(target)
        codec.schema, codec.accepts, codec.rank = inner.schema, inner.accepts, inner.rank
        # The alias may stand in its own value, where its decoder is asked for before it is known.
        codec.decode = inner.decode or _same
        return self._reference(tp)

    def name(self, tp: Any, name: str) -> Codec:
        """Enters a named type before its parts are looked at, so that they may name it."""

        def later(value: Json) -> Any:
            return codec.decode(value) if codec.decode and codec.decode is not later else value

        codec = Codec({}, later, lambda value: False)
        taken = {known for known, _ in self.named.values()}
        unique, number = name, 2
        while unique in taken:
            unique, number = f"{name}_{number}", number + 1
        self.named[tp] = (unique, codec)
        return codec

    def _reference(self, tp: Any) -> Codec:
        name, codec = self.named[tp]

        def decode(value: Json) -> Any:
            return value if codec.decode is None else codec.decode(value)

        return Codec({"$ref": f"#/$defs/{name}"}, decode, lambda value: codec.accepts(value))

    def reference(self, tp: Any) -> Codec:
        """The way to a type that `name` has entered."""
        return self._reference(tp)

    def finish(self, schema: Schema) -> Schema:
        """The schema with the definitions that it refers to."""
        return place({name: codec.schema for name, codec in self.named.values()}, schema)


def _same(value: Json) -> Json:
    return value


def substitute(tp: Any, known: Mapping[Any, Any]) -> Any:
    """A type with its type variables replaced."""
    if not known:
        return tp
    if isinstance(tp, typing.TypeVar):
        return known.get(tp, tp)
    variables = getattr(tp, "__parameters__", ())
    if not variables or isinstance(tp, type):
        return tp
    return tp[tuple(known.get(variable, variable) for variable in variables)]


def _choice(known: dict[Any, Any], *, plain: bool) -> Codec:
    """One of a few values; the type stands in the key, because True == 1."""
    wires = [wire for _, wire in known]
    schema: Schema = {"enum": wires}
    names = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
    kinds = {type(wire).__name__ for wire in wires}
    if len(kinds) == 1 and (kind := names.get(kinds.pop())):
        schema = {"type": kind, "enum": wires}

    def accepts(value: Json) -> bool:
        return value.__hash__ is not None and (type(value), value) in known

    def decode(value: Json) -> Any:
        if not accepts(value):
            raise ArgumentError(f": {value!r} is none of {', '.join(map(repr, wires))}")
        return known[type(value), value]

    return Codec(schema, None if plain else decode, accepts)


def _constraints(schema: Schema, note: Any) -> Iterable[tuple[str, Any]]:
    """Bounds as annotated_types and pydantic state them; one that the type has no word for says nothing."""
    kind = "number" if schema.get("type") == "integer" else schema.get("type")
    for attribute, keyword in _CONSTRAINTS.get(str(kind), ()):
        value = getattr(note, attribute, None)
        if isinstance(value, (int, float, str)):
            yield keyword, value


def _sized(value: Json, length: int | None = None) -> list[Json]:
    if not is_array(value):
        raise ArgumentError(f": an array is needed, not {value!r}")
    if length is not None and len(value) != length:
        raise ArgumentError(f": {length} items are needed, not {len(value)}")
    return value


def _object(value: Json) -> dict[str, Json]:
    if not is_object(value):
        raise ArgumentError(f": an object is needed, not {value!r}")
    return value


def _is_whole(text: Json) -> bool:
    return isinstance(text, str) and text.lstrip("-").isdecimal()
