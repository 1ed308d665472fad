"""Tools: what a model may call. This module is also the decorator of its name.

Example:
    >>> from atomr_agents import tool
    >>> @tool
    ... def add(a: int, b: int = 1) -> int:
    ...     '''Adds two numbers.
    ...
    ...     Args:
    ...         a: The first one.
    ...     '''
    ...     return a + b
    >>> add.name, add.description, add(2, 3)
    ('add', 'Adds two numbers.', 5)
    >>> add.parameters["properties"]["a"]
    {'type': 'integer', 'description': 'The first one.'}
"""

from __future__ import annotations

from ._callable_module import make_callable
from ._light import Generic, ParamSpec, TypeVar, overload
from ._native.tool import NativeTool, ParsedToolCall, Provider, ToolCallParser
from .errors import ModelRetry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    P = ParamSpec("P")
    R = TypeVar("R")
    R_co = TypeVar("R_co", covariant=True)

    class HasInvoke(Protocol[P, R_co]):
        """An object that is a tool by its method `invoke`."""

        def invoke(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...

    class ToolDecorator(Protocol):
        """What `tool(...)` gives when it is called with options only."""

        @overload
        def __call__(self, target: type[HasInvoke[P, R]], /) -> Tool[P, R]: ...
        @overload
        def __call__(self, target: HasInvoke[P, R], /) -> Tool[P, R]: ...
        @overload
        def __call__(self, target: Callable[P, R], /) -> Tool[P, R]: ...

else:
    P, R = ParamSpec("P"), TypeVar("R")

__all__ = [
    "ModelRetry",
    "ParsedToolCall",
    "Provider",
    "Tool",
    "ToolCallParser",
    "tool",
    "tool_from_factory",
    "toolset",
]


class Tool(Generic[P, R]):
    """A tool: what the model is told about it, and the function or method that runs.

    It still is what it was made of: calling it calls the function, or `invoke` of the instance.
    """

    name: str
    """The name the model calls it by."""
    description: str
    """What it does and when to use it."""
    parameters: dict[str, Any]
    """The JSON Schema of its arguments."""
    toolset: str | None
    """The set it belongs to; see `toolset`."""
    native: NativeTool
    """The tool as the core runs it."""

    def __init__(
        self,
        target: object,
        call: Callable[P, R],
        native: NativeTool,
        parameters: dict[str, Any],
        toolset: str | None,
    ) -> None:
        self.name = native.name
        self.description = native.description
        self.parameters = parameters
        self.toolset = toolset
        self.native = native
        self.__wrapped__ = target
        self.__name__ = native.name
        self.__doc__ = getattr(target, "__doc__", None)
        self.__module__ = getattr(target, "__module__", __name__)
        self.__qualname__ = getattr(target, "__qualname__", native.name)
        self._call = call

    @property
    def timeout(self) -> float | None:
        """How many seconds one attempt may take."""
        return self.native.timeout

    @property
    def retries(self) -> int:
        """How often it is called again after it failed."""
        return self.native.retries

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Calls the function itself, without the core."""
        return self._call(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<tool {self.name}({', '.join(self.parameters.get('properties', ()))})>"


# The registry of the core keeps what was decorated; this keeps the tool that was made of it.
_made: dict[str, Tool[..., Any]] = {}


@overload
def tool(target: type[HasInvoke[P, R]], /) -> Tool[P, R]: ...
@overload
def tool(target: HasInvoke[P, R], /) -> Tool[P, R]: ...
@overload
def tool(target: Callable[P, R], /) -> Tool[P, R]: ...
@overload
def tool(
    *,
    toolset: str | None = None,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = None,
    retries: int = 0,
    parameters: dict[str, Any] | None = None,
    strict: bool = False,
) -> ToolDecorator: ...
def tool(
    target: Any = None,
    /,
    *,
    toolset: str | None = None,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = None,
    retries: int = 0,
    parameters: dict[str, Any] | None = None,
    strict: bool = False,
) -> Any:
    """Makes a tool of a function, a class or an instance with a method `invoke`, and registers it by its name.

    The schema comes from the type hints, the descriptions from the docstring (Google, NumPy or Sphinx style). A
    first parameter annotated `RunContext[...]` gets the run's context and is not part of the schema. A plain
    function runs on a worker thread, an `async def` on the caller's loop.

    Args:
        toolset: A set to which it belongs; `tool.toolset(name)` gives all of a set.
        name: The name the model calls it by; otherwise the function's or class's own.
        description: What the model is told; otherwise the docstring.
        timeout: How many seconds one attempt may take. The model is told when it was too slow.
        retries: How often it is called again after it raised or was too slow. Only for what may run twice.
        parameters: The JSON Schema of the arguments. The signature is not read then: the function gets the
            arguments as one dict.
        strict: Whether the provider shall force the arguments to match the schema, where it can.

    Raises:
        SchemaError: a parameter has no annotation, or one that JSON cannot stand for.
        ToolDefinitionError: providers would not accept the name or the schema.
        ContractError: the object is no function and has no `invoke`.

    Example:
        >>> @tool(name="weather", timeout=5.0, toolset="outside")
        ... class Weather:
        ...     async def invoke(self, city: str) -> str:
        ...         '''Tomorrow's weather.'''
        ...         return "rain"
        >>> Weather.name, Weather.timeout
        ('weather', 5.0)
    """

    def decorate(target: Any) -> Tool[..., Any]:
        from ._native import guest

        made = make_tool(
            target,
            name=name,
            description=description,
            timeout=timeout,
            retries=retries,
            parameters=parameters,
            strict=strict,
            toolset=toolset,
        )
        guest.register("tool", made.name, _object_of(made))
        _made[made.name] = made
        return made

    return decorate if target is None else decorate(target)


def make_tool(
    target: Any,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = None,
    retries: int = 0,
    parameters: dict[str, Any] | None = None,
    strict: bool = False,
    toolset: str | None = None,
) -> Tool[..., Any]:
    """As `tool`, but nothing is registered."""
    import inspect

    original = target.__wrapped__ if isinstance(target, Tool) else target
    instance = _instance(original) if inspect.isclass(original) else original
    is_function = inspect.isroutine(instance) or not hasattr(instance, "invoke")
    call = instance if is_function else instance.invoke
    if not callable(call):
        from .errors import ContractError

        what = type(instance).__qualname__
        raise ContractError(f"@tool: {what} is no function and has no method `invoke`; give it one")
    if not is_function:
        name = name or _text(instance, "name") or type(instance).__name__
        description = description or _text(instance, "description") or _class_doc(call, instance)
    if parameters is None:
        from ._schema import describe

        signature = describe(call, name=name, description=description)
        name, description, parameters = signature.name, signature.description, signature.schema
        takes_context, decode = signature.takes_context, None if signature.plain else signature.decode
    else:
        name = name or getattr(call, "__name__", None) or type(call).__name__
        description = (inspect.getdoc(call) or "") if description is None else description
        takes_context, decode = _takes_context(call), None
    native = NativeTool(
        instance,
        name,
        description,
        parameters,
        takes_context=takes_context,
        raw=decode is None and takes_dict(parameters) is None and False,
        decode=decode,
        timeout=timeout,
        retries=retries,
        strict=strict,
        key=name,
    )
    return Tool(original, call, native, parameters, toolset)
