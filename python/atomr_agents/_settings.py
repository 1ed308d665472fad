"""What each setting of an agent may be."""

from __future__ import annotations

from . import _checks as checks
from .errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ._native.observability import EventBus
    from .tool import Tool

_SETTINGS: dict[str, checks.Check] = {
    "instructions": checks.text,
    "name": checks.filled,
    "model_name": checks.optional(checks.filled),
    "max_iterations": checks.whole(1),
    "max_parallel_tools": checks.whole(1),
    "timeout": checks.optional(checks.seconds),
    "temperature": checks.optional(checks.number(0)),
    "top_p": checks.optional(checks.number(0, 1)),
    "max_tokens": checks.optional(checks.whole(1)),
    "seed": checks.optional(checks.integer),
    "reasoning_effort": checks.optional(checks.filled),
    "tool_choice": checks.filled,
    "extra_body": checks.optional(checks.dictionary),
    "base_url": checks.optional(checks.filled),
    "api_key": checks.optional(checks.filled),
    "connect_timeout": checks.optional(checks.seconds),
    "first_byte_timeout": checks.optional(checks.seconds),
    "idle_timeout": checks.optional(checks.seconds),
    "max_attempts": checks.optional(checks.whole(1)),
    "max_connections": checks.optional(checks.whole(1)),
}


def check(values: dict[str, Any]) -> None:
    """Refuses what makes no sense, by name."""
    checks.every(_SETTINGS, values)


def tools_of(given: Any) -> list[Tool[..., Any]]:
    """The tools of an agent, from what was given as them."""
    from ._toolsets import flattened
    from .tool import as_tool

    if hasattr(given, "__next__"):
        given = list(given)
    return [as_tool(each) for each in flattened(checks.items("tools", "a list of tools or functions", given))]


def tool_choice(choice: str, tools: Sequence[Tool[..., Any]]) -> str:
    """The choice, when it is one among these tools."""
    names = [tool.name for tool in tools]
    if choice in ("auto", "none") or choice in names or (choice == "required" and names):
        return choice
    there = ", ".join(names) or "none"
    raise ConfigError(
        f"tool_choice is {choice!r}; it must be auto, none, required or the name of one of the tools, here: {there}"
    )


def stops(given: Any) -> list[str]:
    """One text or several at which a model stops."""
    several = [given] if isinstance(given, str) else checks.items("stop", "a text or a list of texts", given)
    for each in several:
        checks.filled("each stop", each)
    return list(several)


def buses(given: Any) -> list[EventBus]:
    """The buses of an agent: one or several."""
    from .observability import EventBus

    several = [given] if isinstance(given, EventBus) else checks.items("bus", "an EventBus or a list of them", given)
    for each in several:
        if not isinstance(each, EventBus):
            checks.fail("bus", "an EventBus or a list of them", each)
    return [each.native for each in several]


def prices(given: Any) -> list[tuple[str, tuple[float, float, float]]] | None:
    """USD per million tokens, by model."""
    if given is None:
        return None
    wanted = "a dict from a model's name to its prices in USD per million tokens: (input, cached input, output)"
    if not hasattr(given, "items"):
        checks.fail("prices", wanted, given)
    table: list[tuple[str, tuple[float, float, float]]] = []
    for model, three in given.items():
        checks.filled("a model's name in prices", model)
        per_million = checks.items(f"the price of {model}", "three numbers: input, cached input, output", three)
        if len(per_million) != 3:
            checks.fail("prices", wanted, given)
        for price in per_million:
            checks.number(0, 1e9)(f"the price of {model}", price)
        table.append((model, (per_million[0], per_million[1], per_million[2])))
    return table


def deps_type(given: Any) -> Any:
    """A type, or what `typing` makes of types."""
    module = type(given).__module__
    if given is not None and not isinstance(given, type) and module not in ("typing", "types", "typing_extensions"):
        checks.fail("deps_type", "a type", given)
    return given
