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
from ._make_tool import as_tool as as_tool
from ._make_tool import make_tool
from ._native.tool import (
    Grants,
    NativeTool,
    ParsedToolCall,
    PermissionSpec,
    Provider,
    Reconciled,
    ToolCallParser,
    ToolControl,
    ToolDescriptor,
    ToolReturn,
)
from ._toolsets import ToolSet, ToolSetRegistry
from .errors import ModelRetry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    from ._toolsets import Permissions

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
    "Grants",
    "ModelRetry",
    "ParsedToolCall",
    "PermissionSpec",
    "Provider",
    "Reconciled",
    "Tool",
    "ToolCallParser",
    "ToolControl",
    "ToolDescriptor",
    "ToolReturn",
    "ToolSet",
    "ToolSetRegistry",
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
    instance: object
    """The function, or the object whose `invoke` runs."""

    def __init__(
        self,
        target: object,
        call: Callable[P, R],
        native: NativeTool,
        parameters: dict[str, Any],
        toolset: str | None,
        instance: object,
    ) -> None:
        self.name = native.name
        self.description = native.description
        self.parameters = parameters
        self.toolset = toolset
        self.native = native
        self.instance = instance
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

    @property
    def requires_approval(self) -> bool:
        """Whether somebody must be asked before each call."""
        return self.native.requires_approval

    @property
    def effect(self) -> str:
        """What happens when a call is made twice: `none`, `idempotent` or `once`."""
        return self.native.effect

    @property
    def max_concurrency(self) -> int:
        """How many of its calls run at once; 0 is without a limit."""
        return self.native.max_concurrency

    def as_native(self, native: NativeTool) -> Tool[P, R]:
        """The same function, run by the core as `native`."""
        return Tool(self.__wrapped__, self._call, native, self.parameters, self.toolset, self.instance)

    def descriptor(self) -> ToolDescriptor:
        """What is known of it: name, version, schema, permissions, tags."""
        return self.native.descriptor()

    async def execute(
        self,
        arguments: dict[str, Any] | None = None,
        *,
        grants: Grants | str | Sequence[str] | None = None,
        deps: Any = None,
    ) -> dict[str, Any]:
        """Runs it as an agent does: arguments and permissions are checked, `timeout` and `retries` apply.

        Args:
            arguments: What a model would pass, before it is decoded.
            grants: What the call is allowed; without it, nothing that needs a permission.
            deps: What the tool sees as `RunContext.deps`.

        Returns:
            What the model would see, in `parts`.

        Raises:
            DeniedError: a permission is not granted.
            InvalidArgumentsError: the arguments do not match the schema.
            RunTimeoutError: it was too slow.
            Exception: whatever the tool raised.

        Example:
            >>> import asyncio
            >>> asyncio.run(tool(name="now")(lambda: "noon").execute())
            {'kind': 'content', 'parts': [{'type': 'text', 'text': 'noon'}]}
        """
        return await self.native.execute({} if arguments is None else arguments, grants, deps)

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
    requires_approval: bool = False,
    max_concurrency: int = 0,
    parameters: dict[str, Any] | None = None,
    strict: bool = False,
    version: str | None = None,
    effect: str | None = None,
    reconcile: Callable[[str, dict[str, Any]], Any] | None = None,
    permissions: Permissions | None = None,
    tags: Sequence[str] = (),
    metadata: dict[str, Any] | None = None,
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
    requires_approval: bool = False,
    max_concurrency: int = 0,
    parameters: dict[str, Any] | None = None,
    strict: bool = False,
    version: str | None = None,
    effect: str | None = None,
    reconcile: Callable[[str, dict[str, Any]], Any] | None = None,
    permissions: Permissions | None = None,
    tags: Sequence[str] = (),
    metadata: dict[str, Any] | None = None,
) -> Any:
    """Makes a tool of a function, a class or an instance with a method `invoke`, and registers it by its name.

    The schema comes from the type hints, the descriptions from the docstring (Google, NumPy or Sphinx style). A
    first parameter annotated `RunContext[...]` gets the run's context and is not part of the schema. A plain
    function runs on a worker thread, an `async def` on the caller's loop.

    Args:
        toolset: A set to which it belongs; `toolset(name)` of this module gives all of a set.
        name: The name the model calls it by; otherwise the function's or class's own.
        description: What the model is told; otherwise the docstring.
        timeout: How many seconds one attempt may take. The model is told when it was too slow.
        retries: How often it is called again after it raised or was too slow. Only for what may run twice.
        requires_approval: Whether somebody must be asked before each call. The run ends with a `pending` result then,
            which `Agent.resume` takes up.
        max_concurrency: How many of its calls run at once, over all agents; others wait. 0 is without a limit.
        parameters: The JSON Schema of the arguments. The signature is not read then: the function gets the
            arguments as one dict, and the run's context after it if it takes two.
        strict: Whether the provider shall force the arguments to match the schema, where it can.
        version: The semantic version of its behaviour, such as `1.2.0`.
        effect: What happens to the world when a call is made twice, which a run that is kept must know after a crash:
            `none` (it only looks: it is called again), `idempotent` (nothing more than the first time, as it hands on
            `RunContext.idempotency_key`: it is called again with the same one; this is what a tool is that says
            nothing), or `once` (it must not be made again: the run stops with `OutcomeUnknownError` until somebody
            says what happened, and a cancelled run waits for it, at most 10 seconds).
        reconcile: For `once`: finds out about a call whose end nobody saw, as a function (plain or async) of its
            idempotency key and its arguments. It gives what the tool would have returned, or
            `Reconciled.DID_NOT_HAPPEN`; `Reconciled.UNKNOWN` or None when it cannot find out.
        permissions: What a call needs to be allowed: names (`net.fetch`), with the argument that says what is touched
            where that matters (`fs.read:{path}`). A call that lacks one is refused, and the model is told.
        tags: Words to find and group it by.
        metadata: Anything else that its users want to know; nothing acts on it.

    Raises:
        SchemaError: a parameter has no annotation, or one that JSON cannot stand for.
        ToolDefinitionError: providers would not accept the name or the schema.
        ContractError: the object is no function and has no `invoke`.
        ConfigError: an option makes no sense.

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
        from . import _checks
        from ._native import guest

        _checks.optional(_checks.filled)("toolset", toolset)
        made = make_tool(
            target,
            name=name,
            description=description,
            timeout=timeout,
            retries=retries,
            requires_approval=requires_approval,
            max_concurrency=max_concurrency,
            parameters=parameters,
            strict=strict,
            toolset=toolset,
            version=version,
            effect=effect,
            reconcile=reconcile,
            permissions=permissions,
            tags=tags,
            metadata=metadata,
        )
        guest.register("tool", made.name, made.instance)
        # A key that is used again moves to the end, as if it were new.
        _made.pop(made.name, None)
        _made[made.name] = made
        return made

    return decorate if target is None else decorate(target)


def tool_from_factory(key: str) -> Tool[..., Any]:
    """The tool that was registered under this key.

    Raises:
        KeyError: nothing is; the message lists what there is.

    Example:
        >>> @tool
        ... def shout(text: str) -> str:
        ...     return text.upper()
        >>> tool_from_factory("shout") is shout
        True
    """
    from ._native import guest

    target = guest.target("tool", key)
    made = _made.get(key)
    return made if made is not None and made.instance is target else make_tool(target, name=key)


def toolset(name: str) -> list[Tool[..., Any]]:
    """The registered tools of a set, in the order in which they were made.

    Example:
        >>> @tool(toolset="numbers")
        ... def double(n: int) -> int:
        ...     return 2 * n
        >>> toolset("numbers")
        [<tool double(n)>]
    """
    from ._native import guest

    known = set(guest.list_factories("tool"))
    return [made for made in _made.values() if made.toolset == name and made.name in known]


def forget() -> None:
    """Forgets the registered tools, as `clear_factories` does with all guests."""
    _made.clear()


make_callable(__name__, tool)
