"""How a function, a class or an instance becomes a tool."""

from __future__ import annotations

from ._native.tool import NativeTool, NativeToolMeta

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ._toolsets import Permissions
    from .tool import Tool


def make_tool(
    target: Any,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = None,
    retries: int = 0,
    requires_approval: bool = False,
    max_concurrency: int = 0,
    parameters: dict[str, Any] | None = None,
    strict: bool = False,
    toolset: str | None = None,
    version: str | None = None,
    effect: str | None = None,
    reconcile: Callable[[str, dict[str, Any]], Any] | None = None,
    permissions: Permissions | None = None,
    tags: Sequence[str] = (),
    metadata: dict[str, Any] | None = None,
) -> Tool[..., Any]:
    """As `tool`, but nothing is registered."""
    from . import _checks
    from ._guests import instance_of, name_of, takes_context_second
    from .tool import Tool

    _checks.optional(_checks.text)("name", name)
    if name == "":
        from .errors import ToolDefinitionError

        raise ToolDefinitionError("an empty text cannot be a tool's name; leave `name` away to use the function's own")
    _checks.optional(_checks.text)("description", description)
    _checks.optional(_checks.seconds)("timeout", timeout)
    _checks.whole(0)("retries", retries)
    _checks.flag("requires_approval", requires_approval)
    _checks.whole(0)("max_concurrency", max_concurrency)
    _checks.optional(_checks.dictionary)("parameters", parameters)
    _checks.flag("strict", strict)
    _checks.optional(_checks.text)("version", version)
    _checks.optional(_checks.dictionary)("metadata", metadata)
    _checks.optional(_checks.one_of("none", "idempotent", "once"))("effect", effect)
    if effect == "once" and retries:
        from .errors import ConfigError

        raise ConfigError('a tool whose effect is "once" is not called again; leave `retries` at 0')
    if reconcile is not None and not callable(reconcile):
        _checks.fail("reconcile", "a function of an idempotency key and a dict of arguments", reconcile)
    meta = NativeToolMeta(version, permissions, tags, metadata, effect)
    original: Any = target.__wrapped__ if isinstance(target, Tool) else target
    instance = instance_of("tool", original)
    method: Any = getattr(instance, "invoke", None)
    call: Any = instance if method is None else method
    if not callable(call):
        from .errors import ContractError

        what = type(instance).__qualname__
        raise ContractError(f"@tool: {what} is no function and has no method `invoke`; give it one")
    if method is not None:
        name = name or _text(instance, "name") or type(instance).__name__
        description = description or _text(instance, "description") or _class_doc(instance, method)
    decode: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    if parameters is None:
        from ._schema import describe

        signature = describe(call, name=name, description=description)
        called, description, schema = signature.name, signature.description, signature.schema
        takes_context = signature.takes_context
        if not signature.plain:
            decode = signature.decode
    else:
        schema = parameters
        called = name or name_of(call)
        description = _doc(call) if description is None else description
        takes_context = takes_context_second(call)
    native = NativeTool(
        instance,
        called,
        description,
        schema,
        takes_context=takes_context,
        raw=parameters is not None,
        decode=decode,
        timeout=timeout,
        retries=retries,
        strict=strict,
        key=called,
        requires_approval=requires_approval,
        max_concurrency=max_concurrency,
        meta=meta,
        reconcile=reconcile,
    )
    return Tool(original, call, native, schema, toolset, instance)


def as_tool(target: Any) -> Tool[..., Any]:
    """What `Agent(tools=[...])` makes of each entry: a tool stays itself, anything else becomes one."""
    from .tool import Tool

    tool: Tool[..., Any] = target if isinstance(target, Tool) else make_tool(target)  # pyright: ignore[reportUnknownVariableType]
    return tool


def _text(instance: object, name: str) -> str | None:
    value = getattr(instance, name, None)
    return value if isinstance(value, str) and value else None


def _doc(call: object) -> str:
    import inspect

    return inspect.getdoc(call) or ""


def _class_doc(instance: object, method: object) -> str | None:
    """The docstring of the class, where `invoke` has none of its own."""
    return None if getattr(method, "__doc__", None) else _doc(type(instance)) or None
