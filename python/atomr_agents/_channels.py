"""What type hints, defaults and functions say about a channel, in the words of the core."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    # The reducer, its name, what the channel begins with, the types of JSON that may be in it.
    Row = tuple[Any, str, Any, list[str] | None]

_TYPES: dict[Any, str] = {
    bool: "boolean",
    dict: "object",
    float: "number",
    int: "integer",
    list: "array",
    str: "string",
    tuple: "array",
    type(None): "null",
}


def channel(name: str, reducer: Any, default: Any, annotation: Any) -> Row:
    """A channel as it was described by hand, or by the hint of a class."""
    annotation, hinted = _split(annotation)
    built_in = _built_in(_plus(hinted if reducer is None else reducer, default, annotation))
    if isinstance(built_in, _native().Reducer):
        return built_in, built_in.name, default, _types(_inner(annotation, built_in.name))
    _check(name, built_in)
    if default is None and _origin(annotation) in (bool, dict, float, int, list, str):
        # As LangGraph does: a sum begins with 0, a list empty.
        default = _origin(annotation)()
    return built_in, _name(built_in), default, _types(annotation)


def channels_of(cls: Any) -> list[tuple[str, Row]]:
    """The channels of a TypedDict, a dataclass or a pydantic model: its fields, reduced as their hints say."""
    import typing

    hints = getattr(cls, "__annotations__", None) if isinstance(cls, type) else None
    if hints is None:
        from .errors import ContractError

        raise ContractError(f"a state is described by a class with type hints, not by {cls!r}")
    defaults = dict(_defaults(cls))
    described = typing.get_type_hints(cls, include_extras=True)
    fields = {key: hint for key, hint in described.items() if typing.get_origin(hint) is not typing.ClassVar}
    return [(key, channel(key, None, defaults.get(key), hint)) for key, hint in fields.items()]


def _native() -> Any:
    from ._native import state

    return state


def _split(annotation: Any) -> tuple[Any, Any]:
    """The type, and the reducer that is noted with it."""
    import typing

    reducer = None
    wrappers = (typing.Annotated, typing.Required, typing.NotRequired)
    while (origin := typing.get_origin(annotation)) in wrappers:
        annotation, *notes = typing.get_args(annotation)
        if origin is typing.Annotated:
            noted = [note for note in notes if callable(note) and _is_reducer(note)]
            reducer = noted[-1] if noted else reducer
    return annotation, reducer


def _is_reducer(note: Any) -> bool:
    return not isinstance(note, type) or issubclass(note, _native().Reducer)


def _built_in(reducer: Any) -> Any:
    """Without a reducer the last write is kept; a class of a built-in one stands for it."""
    native = _native()
    if reducer is None:
        return native.LastWriteWins()
    if isinstance(reducer, type) and issubclass(reducer, native.Reducer):
        return reducer()
    return reducer


def _plus(reducer: Any, default: Any, annotation: Any) -> Any:
    """`operator.add` appends to a list; on everything else it does what Python does."""
    import operator

    if reducer is not operator.add:
        return reducer
    if isinstance(default, list) or _origin(annotation) is list:
        return _native().AppendList()
    return add


def add(current: Any, incoming: Any) -> Any:
    """`current + incoming`; the first write is taken as it is, where the channel has no default."""
    return incoming if current is None else current + incoming


def _check(channel: str, reducer: Any) -> None:
    import inspect

    from .errors import ContractError

    wrong = None
    if not callable(reducer):
        wrong = f"{reducer!r} is no reducer"
    elif inspect.iscoroutinefunction(reducer):
        wrong = f"{_name(reducer)} is asynchronous"
    else:
        try:
            inspect.signature(reducer).bind(None, None)
        except ValueError:
            pass  # a built-in that does not tell its parameters
        except TypeError:
            wrong = f"{_name(reducer)}{inspect.signature(reducer)} cannot be called with two values"
    if wrong:
        raise ContractError(f"channel `{channel}`: {wrong}; a reducer is a plain function (current, incoming) -> new")


def _name(reducer: Any) -> str:
    name = getattr(reducer, "__name__", None) or type(reducer).__name__
    return str(name)


def _origin(annotation: Any) -> Any:
    import typing

    return typing.get_origin(annotation) or annotation


def _inner(annotation: Any, reducer: str) -> Any:
    """The type of what a write brings: of an item, of a value, or of it all."""
    import typing

    wanted = {"append_list": list, "merge_map": dict}.get(reducer)
    if reducer == "append_messages":
        return None
    if wanted is None:
        return annotation
    inner = typing.get_args(annotation)
    return inner[-1] if inner and _origin(annotation) is wanted else None


def _types(annotation: Any) -> list[str] | None:
    """The types of JSON that an annotation admits; None if it does not say."""
    import types
    import typing

    if annotation is None or annotation is typing.Any:
        return None
    if _origin(annotation) in (typing.Union, types.UnionType):
        found = [_types(each) or [] for each in typing.get_args(annotation)]
        return list(dict.fromkeys(name for each in found for name in each)) if all(found) else None
    name = _TYPES.get(_origin(annotation))
    return [name] if name else None


def _defaults(cls: Any) -> Iterator[tuple[str, Any]]:
    """What the fields of a class begin with; those of a TypedDict have nothing."""
    import dataclasses

    if dataclasses.is_dataclass(cls):
        for field in dataclasses.fields(cls):
            if field.default is not dataclasses.MISSING:
                yield field.name, field.default
            elif field.default_factory is not dataclasses.MISSING:
                yield field.name, field.default_factory()
        return
    for key, field in getattr(cls, "model_fields", {}).items():
        if not field.is_required():
            yield key, field.get_default(call_default_factory=True)
