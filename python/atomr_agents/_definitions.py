"""Where the definitions of a JSON Schema stand."""

from __future__ import annotations

import typing
from typing import Any

from ._scalars import is_array, is_object

if typing.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Schema = dict[str, Any]


def place(bodies: Mapping[str, Schema], schema: Schema) -> Schema:
    """Puts what is used twice or in itself into `$defs`, and the rest in place of the reference to it."""
    uses: dict[str, int] = {}
    for body in (schema, *bodies.values()):
        for name in _references(body):
            uses[name] = uses.get(name, 0) + 1
    shared = {name for name in bodies if uses.get(name, 0) > 1 or _reaches(name, name, bodies)}
    placed: Schema = _inline(schema, bodies, shared)
    definitions = {name: _inline(bodies[name], bodies, shared) for name in bodies if name in shared}
    return {**placed, "$defs": definitions} if definitions else placed


def _references(schema: Any) -> Iterable[str]:
    if is_object(schema):
        for key, value in schema.items():
            if key == "$ref" and isinstance(value, str):
                yield value.removeprefix("#/$defs/")
            else:
                yield from _references(value)
    elif is_array(schema):
        for value in schema:
            yield from _references(value)


def _reaches(start: str, goal: str, bodies: Mapping[str, Schema]) -> bool:
    seen: set[str] = set()
    open_names = [start]
    while open_names:
        for name in _references(bodies.get(open_names.pop(), {})):
            if name == goal:
                return True
            if name not in seen:
                seen.add(name)
                open_names.append(name)
    return False


def _inline(schema: Any, bodies: Mapping[str, Schema], shared: set[str]) -> Any:
    if is_array(schema):
        return [_inline(value, bodies, shared) for value in schema]
    if not is_object(schema):
        return schema
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if name in bodies and name not in shared:
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return _inline({**bodies[name], **beside}, bodies, shared)
    return {key: _inline(value, bodies, shared) for key, value in schema.items()}
