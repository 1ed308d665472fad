"""What a model is told about a Python function, and how the arguments it sends become Python values.

The argument dict has been checked against the schema before it is decoded, so values that are plain JSON on
both sides are not looked at again: where every parameter is plain, decoding answers the same dict.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._codec import Codec
    from .errors import SchemaError


class ToolSignature:
    """A function as a tool: name, description, parameters."""

    __slots__ = ("_codecs", "_whole", "description", "name", "plain", "schema", "takes_context")

    def __init__(
        self,
        name: str,
        description: str,
        schema: dict[str, Any],
        codecs: dict[str, Codec],
        *,
        takes_context: bool,
    ) -> None:
        from ._scalars import whole

        self.name = name
        self.description = description
        self.schema = schema
        """A JSON Schema of type object, closed."""
        self.takes_context = takes_context
        """Whether the first parameter is the run's context; it is not part of the schema."""
        self._codecs = {name: codec for name, codec in codecs.items() if codec.decode is not None}
        self.plain = not self._codecs
        """Whether `decode` has nothing to do."""
        # Where all there is to do is making 1.0 an integer, there mostly is nothing.
        self._whole = all(codec.decode is whole for codec in self._codecs.values())

    def decode(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Keyword arguments from checked JSON; raises ArgumentError where a value does not fit its type."""
        if self.plain:
            return arguments
        if self._whole and not any(value.__class__ is float for value in arguments.values()):
            return arguments
        from ._codec import decode_with

        decoded = dict(arguments)
        for name, codec in self._codecs.items():
            if name in decoded:
                decoded[name] = decode_with(codec, decoded[name], name)
        return decoded

    def __repr__(self) -> str:
        return f"ToolSignature({self.name!r}, parameters={list(self.schema['properties'])})"


def describe(fn: Callable[..., Any], *, name: str | None = None, description: str | None = None) -> ToolSignature:
    """Reads the type hints and the docstring of a callable.

    Raises:
        SchemaError: a parameter has no annotation, or one that JSON cannot stand for, or a kind that a tool
            cannot take.
    """
    from ._codec import Compiler
    from ._records import Field, object_schema
    from ._scalars import to_json

    tool = name or _name_of(fn)
    text, described = _docs(fn)
    fields: list[tuple[Field, Codec]] = []
    compiler = Compiler(lambda annotation, why: _refusal(tool, where[0], annotation, why))
    where = [""]
    takes_context = False
    for position, parameter in enumerate(_signature(fn, tool)):
        where[0] = parameter.name
        if parameter.annotation is parameter.empty:
            if position == 0 and parameter.name in ("self", "cls"):
                why = "a method is a tool when it is bound; write `tool(instance.method)`, or name the method `invoke`"
                raise _refusal(tool, parameter.name, None, why)
            raise _refusal(tool, parameter.name, None, "it has no annotation; say its type")
        hint = _resolve(fn, parameter, tool)
        if _is_context(hint):
            if position != 0:
                raise _refusal(tool, parameter.name, hint, "the context must be the first parameter")
            takes_context = True
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            raise _refusal(tool, stars + parameter.name, None, "a tool names each of its parameters; name them")
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise _refusal(tool, parameter.name, None, "tools are called by name; remove the `/` from the signature")
        required = parameter.default is parameter.empty
        default = NotImplemented if required else to_json(parameter.default)
        field = Field(parameter.name, hint, required, default, described.get(parameter.name))
        fields.append((field, compiler.compile(hint)))
    schema = compiler.finish(object_schema(fields))
    codecs = {field.name: codec for field, codec in fields}
    return ToolSignature(
        tool, text if description is None else description, schema, codecs, takes_context=takes_context
    )


def schema_of(output: Any) -> tuple[dict[str, Any], Callable[[Any], Any]]:
    """The JSON Schema of a type, and what turns a value that fits it into that type.

    A dict is taken for a JSON Schema, and its values stay as they are.
    """
    from ._codec import Compiler, decode_with
    from ._scalars import is_object

    if is_object(output):
        return output, lambda value: value

    compiler = Compiler(lambda annotation, why: _refusal(None, None, annotation, why))
    codec = compiler.compile(output)
    return compiler.finish(codec.schema), lambda value: decode_with(codec, value, "output")


def _name_of(fn: Any) -> str:
    target = getattr(fn, "func", fn)
    return getattr(target, "__name__", None) or type(target).__name__


def _docs(fn: Any) -> tuple[str, dict[str, str]]:
    """What the docstrings say. An instance is described by its `__call__`, else by its class."""
    import functools
    import inspect

    from ._docstring import parse

    if isinstance(fn, functools.partial):
        return _docs(fn.func)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    if hasattr(fn, "__name__"):
        return parse(inspect.getdoc(fn))
    text, names = parse(inspect.getdoc(type(fn).__call__))
    of_class, more = parse(type(fn).__doc__)
    return text or of_class, {**more, **names}


def _signature(fn: Any, tool: str) -> list[Any]:
    import inspect

    try:
        return list(inspect.signature(fn).parameters.values())
    except (ValueError, TypeError) as error:
        raise _refusal(tool, None, None, "it has no signature that can be read; wrap it in a function") from error


def _resolve(fn: Any, parameter: Any, tool: str) -> Any:
    """One annotation as a type: a name that cannot be found blames its own parameter only."""
    import inspect
    import types

    from ._records import resolve

    target = _plain_function(fn)
    closure: dict[str, Any] = {}
    if isinstance(target, types.FunctionType):
        closure.update(inspect.getclosurevars(target).nonlocals)
    # Something with annotations and globals, which is all that is asked of it.
    holder = types.FunctionType(_resolve.__code__, getattr(target, "__globals__", {}))
    holder.__annotations__ = {parameter.name: parameter.annotation}
    try:
        return resolve(holder, {**closure, **_type_parameters(target)})[parameter.name]
    except NameError as error:
        why = f"`{error.name}` is not defined at run time; import it outside `if TYPE_CHECKING:`"
        raise _refusal(tool, parameter.name, parameter.annotation, why) from error
    except (SyntaxError, TypeError, AttributeError) as error:
        raise _refusal(tool, parameter.name, parameter.annotation, f"it cannot be evaluated: {error}") from error


def _plain_function(fn: Any) -> Any:
    import functools
    import inspect

    while isinstance(fn, functools.partial):
        fn = fn.func  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    fn = inspect.unwrap(fn)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(fn, type):
        fn = fn.__init__  # type: ignore[misc]
    elif not hasattr(fn, "__code__") and not hasattr(fn, "__func__"):
        fn = type(fn).__call__
    return getattr(fn, "__func__", fn)


def _type_parameters(target: Any) -> dict[str, Any]:
    return {parameter.__name__: parameter for parameter in getattr(target, "__type_params__", ())}


def _is_context(hint: Any) -> bool:
    kind = getattr(hint, "__origin__", hint)
    module = getattr(kind, "__module__", "")
    return getattr(kind, "__name__", "") == "RunContext" and module.partition(".")[0] == "atomr_agents"


def _refusal(tool: str | None, parameter: str | None, annotation: Any, why: str) -> SchemaError:
    from .errors import SchemaError

    subject = [f"tool `{tool}`"] if tool else ["output type"]
    if parameter:
        subject.append(f"parameter `{parameter}`")
    if annotation is not None:
        import inspect

        subject.append(f"`{annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)}`")
    return SchemaError(f"{', '.join(subject)}: {why}")
