"""What each setting of an agent may be."""

from __future__ import annotations

from . import _checks as checks
from .errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ._native.agent import AgentCore, ApprovalLedger, Decision, Durable, PendingRun, SessionOptions
    from ._native.core import Budget
    from ._native.observability import EventBus
    from ._native.tool import Grants

OF_THE_CLIENT = (
    "base_url",
    "api_key",
    "connect_timeout",
    "first_byte_timeout",
    "idle_timeout",
    "max_attempts",
    "max_connections",
)
"""What is said to a client that is yet to be made."""

PLAIN = (
    "name",
    "max_iterations",
    "max_parallel_tools",
    "timeout",
    "temperature",
    "top_p",
    "max_tokens",
    "seed",
    "reasoning_effort",
    "thinking_budget",
    "output_mode",
    "output_retries",
    "extra_body",
    "metadata",
    "watch_prompt",
)
"""What the core takes as it is."""

_SETTINGS: dict[str, checks.Check] = {
    "description": checks.text,
    "output_mode": checks.optional(checks.one_of("native", "tool", "prompted")),
    "output_retries": checks.whole(0),
    "thinking_budget": checks.optional(checks.whole(0)),
    "metadata": checks.optional(checks.dictionary),
    "watch_prompt": checks.flag,
    "name": checks.filled,
    "model_name": checks.optional(checks.filled),
    "max_iterations": checks.whole(1),
    "max_parallel_tools": checks.whole(1),
    "timeout": checks.optional(checks.seconds),
    "temperature": checks.optional(checks.number(0)),
    "top_p": checks.optional(checks.number(0, 1)),
    "max_tokens": checks.optional(checks.whole(1)),
    "seed": checks.optional(checks.integer),
    "session_policy": checks.optional(checks.one_of("queue", "steer", "interrupt", "reject")),
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


def tool_choice(choice: str, names: Sequence[str] | None) -> str:
    """The choice, when it is one among these tools; without names, what there is to choose from is known in a run."""
    if names is None or choice in ("auto", "none") or choice in names or (choice == "required" and names):
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


def sessions(policy: str | None, given: Any) -> SessionOptions | str:
    """How sessions are held."""
    if given is None:
        return policy or "queue"
    from ._native.agent import SessionOptions

    if not isinstance(given, SessionOptions):
        checks.fail("sessions", "a SessionOptions", given)
    if policy is not None:
        raise ConfigError("sessions has a policy of its own: SessionOptions(policy=...) instead of session_policy")
    return given


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


def cache_points(given: Any) -> list[str]:
    """After which parts of a prompt the provider shall keep what it has read."""
    wanted = "a list of some of tools, system, messages"
    for each in (points := checks.items("prompt_cache", wanted, given)):
        if each not in ("tools", "system", "messages"):
            checks.fail("prompt_cache", wanted, each)
    return list(points)


def budget(given: Any) -> Budget | None:
    """A budget, or none."""
    from ._native.core import Budget

    if given is not None and not isinstance(given, Budget):
        checks.fail("budget", "a Budget", given)
    return given


def handoffs(given: Any) -> list[tuple[AgentCore | None, str, str]]:
    """Who may take a conversation over."""
    from ._handoffs import of

    return [of(each) for each in checks.items("handoffs", "a list of agents, Handoffs or names of agents", given)]


def middleware(given: Any) -> list[object]:
    """What stands in between; the core looks at each."""
    several = checks.items("middleware", "a list of middleware", given)
    for each in several:
        if type(each).__module__ == "builtins" and not isinstance(each, type):
            checks.fail("each of middleware", "a middleware: an object with one of its methods", each)
    return list(several)


def ledger(given: Any) -> ApprovalLedger | None:
    """Where used approvals are remembered, or nothing."""
    from ._native.agent import ApprovalLedger

    if given is not None and not isinstance(given, ApprovalLedger):
        checks.fail("approvals", "an ApprovalLedger", given)
    return given


def durable(given: Any) -> Durable | None:
    """Where runs are kept, or nothing."""
    from ._native.agent import Durable

    return given if given is None or isinstance(given, Durable) else Durable(given)


def grants(given: Any) -> Grants | None:
    """What tools may do, or nothing."""
    from ._native.tool import Grants

    if given is None or isinstance(given, Grants):
        return given
    several = [given] if isinstance(given, str) else checks.items("grants", "Grants, a text or a list of texts", given)
    for each in several:
        checks.filled("each of grants", each)
    return Grants(list(several))


def pending(given: Any) -> PendingRun:
    """A suspended run."""
    from ._native.agent import PendingRun

    if not isinstance(given, PendingRun):
        wanted = "the `pending` of a result, PendingRun.from_json(...), or, with a store, the name of a run"
        checks.fail("pending", wanted, given)
    return given


def decisions(given: Any) -> list[Decision]:
    """One decision or several."""
    from ._native.agent import Decision

    wanted = "decisions such as call.approve()"
    several = [given] if isinstance(given, Decision) else checks.items("decisions", wanted, given)
    for each in several:
        if not isinstance(each, Decision):
            checks.fail("decisions", wanted, each)
    return list(several)


def deps_type(given: Any) -> Any:
    """A type, or what `typing` makes of types."""
    module = type(given).__module__
    if given is not None and not isinstance(given, type) and module not in ("typing", "types", "typing_extensions"):
        checks.fail("deps_type", "a type", given)
    return given
