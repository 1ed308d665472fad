"""What stands between an agent's loop and what it does: ours, and what you write.

Write a class with some of these methods, each plain or `async`, each with a `RunContext` first. What a method returns
replaces what it was given; None leaves it as it is. Whatever it raises ends the run with that very exception.

| method | gets | may return |
|---|---|---|
| `before_agent(ctx, messages)` | the new messages, as dicts | other messages |
| `after_agent(ctx, output)` | the answer as text | another text |
| `before_model(ctx, request)` | the request, as a dict | another request |
| `after_model(ctx, reply)` | the reply, as a dict | another reply |
| `before_tool(ctx, call)` | `{"id", "name", "arguments"}` | another call |
| `after_tool(ctx, call, outcome)` | `{"ok", "content"}` or `{"ok", "error"}` | another outcome |
| `wrap_model(ctx, request, call_next)` | `await call_next(request)` makes the call | the reply |
| `wrap_tool(ctx, call, call_next)` | `await call_next(call)` makes the call | the outcome |

Of several, the first is the outermost: its `before` methods and wraps come first, its `after` methods last.

Example:
    >>> from atomr_agents import Agent, AgentMiddleware
    >>> from atomr_agents.testkit import ScriptedModel
    >>> class Loud(AgentMiddleware):
    ...     async def after_agent(self, ctx, output):
    ...         return output.upper()
    >>> Agent(ScriptedModel().text("rain"), middleware=[Loud()]).run_sync("Oslo?").output
    'RAIN'
"""

from __future__ import annotations

from ._native.agent import NativeMiddleware

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from logging import Logger
    from typing import Any

    from ._context import RunContext

    CallNext = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]

__all__ = [
    "AgentMiddleware",
    "Middleware",
    "logging_middleware",
    "rate_limit_middleware",
    "redaction_middleware",
    "retry_middleware",
    "tool_error_recovery_middleware",
]


class AgentMiddleware:
    """The base of middleware written in Python; any object with one of the methods is taken too."""

    __slots__ = ()


class Middleware:
    """A middleware of the core."""

    __slots__ = ("native",)

    def __init__(self, native: NativeMiddleware) -> None:
        self.native = native

    def __repr__(self) -> str:
        return repr(self.native)


def retry_middleware(max_attempts: int = 4, *, wait: float = 0.5, max_wait: float = 8.0) -> Middleware:
    """Makes a model call again when it failed in a way that may pass, also in mid-answer: an event of the kind
    `model_retried` tells that what was streamed of it is void.

    Args:
        max_attempts: How often the call is made, the first time included.
        wait: The longest wait, in seconds, before the second attempt; it doubles with each further one. What the
            provider asks for counts before it.
        max_wait: The longest wait of our own choice.
    """
    from . import _checks

    _checks.whole(1)("max_attempts", max_attempts)
    _checks.seconds("wait", wait)
    _checks.seconds("max_wait", max_wait)
    return Middleware(NativeMiddleware.retry(max_attempts, wait, max_wait))


def rate_limit_middleware(calls: int, *, per: float = 60.0, max_waiting: int = 10_000) -> Middleware:
    """Lets so many model calls begin within any window of time; others wait their turn. Give one object to several
    agents, and they share it.

    Args:
        calls: How many.
        per: The window in seconds.
        max_waiting: How many may wait; further ones fail at once with `OverloadedError`.
    """
    from . import _checks

    _checks.whole(1)("calls", calls)
    _checks.seconds("per", per)
    _checks.whole(0)("max_waiting", max_waiting)
    return Middleware(NativeMiddleware.rate_limit(calls, per, max_waiting))


def redaction_middleware(
    texts: Sequence[str] = (), *, patterns: Sequence[str] = (), replacement: str = "[redacted]"
) -> Middleware:
    """Replaces what nobody shall read: in what is sent to the model, in what it says, piece by piece, and in what tools
    give back, errors too. The arguments of tool calls stay as the model writes them.

    Args:
        texts: Texts, as they are.
        patterns: Regular expressions (syntax of the Rust crate `regex`). What matches may have up to 256 bytes; a
            stream is held back by so much.
        replacement: What stands in their place.

    Example:
        >>> from atomr_agents import Agent
        >>> from atomr_agents.testkit import ScriptedModel
        >>> model = ScriptedModel().text("Your number is 4711.")
        >>> agent = Agent(model, middleware=[redaction_middleware(patterns=["[0-9]{4}"])])
        >>> agent.run_sync("What is it?").output
        'Your number is [redacted].'
    """
    from . import _checks

    for name, given in (("texts", texts), ("patterns", patterns)):
        for each in _checks.items(name, "a list of texts", given):
            _checks.filled(f"each of {name}", each)
    _checks.text("replacement", replacement)
    return Middleware(NativeMiddleware.redaction(list(texts), list(patterns), replacement))


def tool_error_recovery_middleware(message: str | None = None) -> Middleware:
    """Lets the model go on from tool errors that would end the run.

    Args:
        message: What the model is told of a failed call; `{tool}` and `{error}` in it are filled in. The error itself
            where it is not said.
    """
    from . import _checks

    _checks.optional(_checks.filled)("message", message)
    return Middleware(NativeMiddleware.tool_error_recovery(message))


class _Logging(AgentMiddleware):
    __slots__ = ("_log",)

    def __init__(self, log: Logger) -> None:
        self._log = log

    async def before_agent(self, ctx: RunContext[Any], messages: list[dict[str, Any]]) -> None:
        self._log.info("run %s started%s: %d messages", ctx.run_id, _at(ctx), len(messages))

    async def after_agent(self, ctx: RunContext[Any], output: str) -> None:
        self._log.info("run %s ended%s", ctx.run_id, _at(ctx))

    async def wrap_model(self, ctx: RunContext[Any], request: dict[str, Any], call_next: CallNext) -> dict[str, Any]:
        return await self._timed(ctx, f"model {request['model']}", call_next, request)

    async def wrap_tool(self, ctx: RunContext[Any], call: dict[str, Any], call_next: CallNext) -> dict[str, Any]:
        return await self._timed(ctx, f"tool {call['name']}", call_next, call)

    async def _timed(
        self, ctx: RunContext[Any], what: str, call_next: CallNext, given: dict[str, Any]
    ) -> dict[str, Any]:
        from time import perf_counter

        started = perf_counter()
        try:
            answer = await call_next(given)
        except Exception as error:
            elapsed = (perf_counter() - started) * 1e3
            self._log.warning("run %s: %s failed after %.0f ms: %s", ctx.run_id, what, elapsed, type(error).__name__)
            raise
        failed = answer.get("ok") is False
        log = self._log.warning if failed else self._log.info
        log(
            "run %s: %s %s in %.0f ms",
            ctx.run_id,
            what,
            "failed" if failed else "answered",
            (perf_counter() - started) * 1e3,
        )
        return answer


def _at(ctx: RunContext[Any]) -> str:
    return f" at {ctx.path}" if ctx.path else ""


def logging_middleware(logger: Logger | None = None) -> AgentMiddleware:
    """Logs runs, model calls and tool calls with their times, and nothing that was said or that tools were called with.

    Args:
        logger: Where to; `logging.getLogger("atomr_agents")` where it is not said.
    """
    if logger is None:
        import logging

        logger = logging.getLogger("atomr_agents")
    return _Logging(logger)
