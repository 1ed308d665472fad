"""What is asked of an object written by the user before the core gets it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def instance_of(kind: str, target: Any) -> Any:
    """A class becomes its instance; everything else stays itself."""
    if not isinstance(target, type):
        return target
    wanted = _required(target)
    if wanted:
        from .errors import ContractError

        names = ", ".join(wanted)
        raise ContractError(f"@{kind}: {target.__qualname__}() takes arguments ({names}); decorate an instance instead")
    return target()


def takes_context_second(call: Any) -> bool:
    """Whether a function takes the context of the run after its one value: a second parameter without a default."""
    return len(_required(call)) >= 2


def registered(kind: str, target: Any) -> tuple[str, Any] | None:
    """The key under which an object, or its class, was registered, and what runs: of a class, its instance."""
    from ._native import guest

    for key in guest.list_factories(kind):
        known = guest.target(kind, key)
        if known is target or type(known) is target:
            return key, known
    return None


def name_of(target: Any) -> str:
    """The key of an object without a name of its own: that of its function or class."""
    name = getattr(target, "__name__", None) or type(target).__name__
    return str(name)


def _required(call: Any) -> list[str]:
    """The parameters that must be given, and can be by position; none where a built-in does not tell."""
    import inspect

    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [each.name for each in parameters if each.kind in kinds and each.default is each.empty]


def named(target: Any, name: str | None) -> tuple[Any, str | None]:
    """What to decorate and its name, which may stand first."""
    return (None, target) if isinstance(target, str) else (target, name)


def registering(kind: str, target: Any, name: str | None) -> Any:
    """Writes an object to the registry and gives it back; without one, what does so with the object it decorates."""
    from . import _checks
    from ._native.guest import register

    _checks.optional(_checks.filled)("name", name)

    def decorate(target: Any) -> Any:
        register(kind, name or name_of(target), target)
        return target

    return decorate if target is None else decorate(target)
