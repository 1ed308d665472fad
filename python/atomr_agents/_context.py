"""What a tool may know of the run that calls it."""

from __future__ import annotations

from ._light import Generic, TypeVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._native.core import Message

Deps = TypeVar("Deps")


class RunContext(Generic[Deps]):
    """The run that calls a tool. A tool that wants it names it as its first parameter.

    Example:
        >>> from atomr_agents import RunContext, tool
        >>> @tool
        ... async def balance(ctx: RunContext[dict[str, int]], account: str) -> int:
        ...     '''The balance of an account.'''
        ...     return ctx.deps[account]
        >>> list(balance.parameters["properties"])
        ['account']
    """

    __slots__ = ("_key", "deps", "metadata", "path", "run_id", "tags", "tool_call_id", "tool_name")

    deps: Deps
    """What the run was given as `deps=`."""
    run_id: str
    """The run."""
    tool_name: str
    """The name under which the tool was called; empty outside tools."""
    tool_call_id: str
    """The provider's id for the call; empty outside tools."""
    path: str
    """Where in the tree of agents and steps this is; empty at the root."""
    tags: tuple[str, ...]
    """The tags of every `with_config` around this, the outer ones first."""
    metadata: dict[str, Any]
    """The data of every `with_config` around this; of one name, the inner one's."""

    def __init__(
        self,
        deps: Deps,
        run_id: str,
        tool_name: str,
        tool_call_id: str,
        path: str,
        config: tuple[tuple[str, ...], dict[str, Any]] | None = None,
        idempotency_key: str | None = None,
    ) -> None:
        self._key = idempotency_key
        self.deps = deps
        self.run_id = run_id
        self.tool_name = tool_name
        self.tool_call_id = tool_call_id
        self.path = path
        self.tags, self.metadata = ((), {}) if config is None else config

    @property
    def idempotency_key(self) -> str:
        """What this call hands to the service that it calls, so that a second attempt does nothing there.

        It is the same at every attempt of this call. In a run that is kept that includes attempts after a crash, in
        another process; elsewhere those of the tool's own `retries`. HTTP services take it in the header
        `Idempotency-Key`.
        """
        if self._key is None:
            from hashlib import blake2b

            about = "\0".join((self.run_id, self.path, self.tool_name, self.tool_call_id))
            self._key = blake2b(about.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return self._key

    def __repr__(self) -> str:
        return f"RunContext(run_id={self.run_id!r}, tool_name={self.tool_name!r}, path={self.path!r})"


class LoopContext(RunContext[Deps]):
    """The run that a loop or a termination serves. A strategy that wants it has a second parameter.

    Its `idempotency_key` names the iteration, the same in every attempt: what is done under it twice shall count once.
    It is empty in a termination.

    Example:
        >>> from atomr_agents import Harness
        >>> def once(state, ctx: LoopContext[str]):
        ...     return {"kind": "done", "output": [ctx.deps, bool(ctx.idempotency_key)]}
        >>> Harness(once).run_sync(deps="Ada").output
        ['Ada', True]
    """

    __slots__ = ()

    def __init__(
        self,
        deps: Deps,
        run_id: str,
        path: str,
        idempotency_key: str,
        config: tuple[tuple[str, ...], dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(deps, run_id, "", "", path, config, idempotency_key)

    def __repr__(self) -> str:
        return f"LoopContext(run_id={self.run_id!r}, path={self.path!r})"


class StrategyContext(RunContext[Deps]):
    """The run that a strategy serves, and what is asked in it.

    Example:
        >>> from atomr_agents import Agent, StrategyContext
        >>> from atomr_agents.testkit import ScriptedModel
        >>> def briefing(ctx: StrategyContext[str]) -> str:
        ...     return f"You talk to {ctx.deps}, who wrote {len(ctx.prompt)} letters."
        >>> model = ScriptedModel().text("Hello.")
        >>> agent = Agent(model, instructions=briefing, deps_type=str)
        >>> _ = agent.run_sync("Hi", deps="Ada")
        >>> model.requests[0]["messages"][0]["parts"][0]["text"]
        'You talk to Ada, who wrote 2 letters.'
    """

    __slots__ = ("agent", "history", "input")

    agent: str
    """The agent's name; empty where a strategy is asked outside of a run."""
    input: list[Message]
    """What is asked: the new messages of this turn, usually one of the user."""
    history: list[Message]
    """What was said before, oldest first, without the system message."""

    def __init__(
        self,
        deps: Deps,
        run_id: str,
        path: str,
        agent: str,
        input: list[Message],
        history: list[Message],
        config: tuple[tuple[str, ...], dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(deps, run_id, "", "", path, config)
        self.agent = agent
        self.input = input
        self.history = history

    @property
    def prompt(self) -> str:
        """The text of the new messages, joined by line breaks."""
        return "\n".join(message.text for message in self.input)

    def __repr__(self) -> str:
        return f"StrategyContext(run_id={self.run_id!r}, agent={self.agent!r}, path={self.path!r})"
