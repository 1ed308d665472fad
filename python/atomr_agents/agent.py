"""The agent: a model, its instructions and its tools, run by the Rust core.

Example:
    >>> from atomr_agents import Agent, tool
    >>> from atomr_agents.testkit import ScriptedModel
    >>> @tool
    ... async def forecast(city: str) -> str:
    ...     '''Tomorrow's weather.'''
    ...     return f"rain in {city}"
    >>> model = ScriptedModel().tool_calls(("forecast", {"city": "Oslo"})).text("Take an umbrella.")
    >>> agent = Agent(model, instructions="Answer in one line.", tools=[forecast])
    >>> agent.run_sync("What shall I wear in Oslo?").output
    'Take an umbrella.'
"""

from __future__ import annotations

from ._light import TypeVar, overload
from ._native.agent import (
    AgentCore,
    ApprovalLedger,
    Decision,
    Divergence,
    Durable,
    InferenceClient,
    Partial,
    PendingCall,
    PendingRun,
    Replay,
    SessionOptions,
)
from ._running import Running
from ._runs import RunResult, RunStream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Unpack

    from ._agent_settings import AgentSettings as AgentSettings
    from ._builder import AgentBuilder as AgentBuilder
    from ._builder import AgentRef as AgentRef
    from ._handoffs import Handoff as Handoff
    from ._native.cache import InMemoryLlmCache
    from ._native.core import Budget
    from ._session import Session as Session
    from .callable_ import Callable
    from .middleware import Middleware
    from .observability import EventBus
    from .strategy import Instructions, Memory, Skill, Skills, Tools
    from .tool import Grants, Tool

__all__ = [
    "Agent",
    "AgentBuilder",
    "AgentRef",
    "ApprovalLedger",
    "Decision",
    "Divergence",
    "Durable",
    "Handoff",
    "InferenceClient",
    "Partial",
    "PendingCall",
    "PendingRun",
    "Replay",
    "RunResult",
    "RunStream",
    "Session",
    "SessionOptions",
]

Deps = TypeVar("Deps")
Out = TypeVar("Out")
D = TypeVar("D")
O = TypeVar("O")  # noqa: E741


class Agent(Running[Deps, Out]):
    """A model with instructions and tools. Make it once and run it often, also at once and in several loops.

    Args:
        model: `"openai:NAME"`, `"openai-responses:NAME"`, `"anthropic:NAME"` or `"gemini:NAME"` (the key and the
            address come from the environment where they are not given, e.g. OPENAI_API_KEY and OPENAI_BASE_URL), a
            `ScriptedModel`, an `InferenceClient`, or an object decorated with `@inference_client`.
        instructions: What the model is told to be: a text, or what writes one for each run: a function of a
            `StrategyContext` (plain or async) or an object with `render(ctx)`. See `atomr_agents.strategy`.
        tools: What it may call: tools, or functions, classes and instances that become one. Or what selects them for
            each run: `static_tool_strategy(...)`, `keyword_tool_strategy(...)`, an object with `select(ctx)`, or a
            function decorated with `@strategy(kind="tool")`.
        memory: What it remembers: a function of a `StrategyContext` that gives texts, or an object with `retrieve(ctx)`
            and perhaps `store(ctx, messages)`.
        skills: What it knows how to do: `Skill`s, or what chooses some for each run: a function of a `StrategyContext`
            or an object with `applicable(ctx)`.
        output_type: What the answer is: `str`, a dataclass, a TypedDict, a pydantic model, any type that JSON can
            stand for, or a JSON Schema as a dict (the output is the JSON value then). None is `str`.
        deps_type: The type of `deps`, which tools see as `RunContext.deps`.
        output_mode: How the model is asked for the output type: `native` (the provider forces it), `tool` (a tool takes
            the answer) or `prompted` (in words). The best that the model knows, where it is not said.
        output_retries: How often the model is asked again for an answer that is not of the output type.
        description: What the agent is good for, for other agents that it is a tool of or that hand to it.
        handoffs: Agents that may take the conversation over, `Handoff`s to them, or the names of agents that the run
            knows already.
        middleware: What stands between the loop and what it does; see `atomr_agents.middleware`. The first is the
            outermost.
        budget: What a run and everything below it may use.
        grants: What tools may do; without it, nothing that needs a permission.
        approvals: Where used approvals are remembered: an `ApprovalLedger`; in memory where it is not said.
        store: Where runs are kept, so that one that was killed goes on in its middle: a store of `atomr_agents.state`,
            text such as `sqlite:runs.db` or `postgres://...`, or a `Durable` with more to say about it. Nowhere, where
            it is not said.
        session_policy: What becomes of an input that arrives while a turn of its session runs: `queue` (it runs next),
            `steer` (it joins the turn), `interrupt` (it takes the turn's place) or `reject`; `queue` where it is not
            said.
        sessions: More about sessions than the policy: a `SessionOptions`, which has the policy, too.
        fallbacks: Models that are asked in their order when the one before failed before its first word.
        cache: Answers kept for equal requests, which cost nothing the second time; see `atomr_agents.cache`.
        base_url: The address of a server that speaks the provider's protocol.
        api_key: The key; where it is not given, the environment's.
        model_name: The model to ask a given client for.
        name: The agent's name, in events and paths.
        max_iterations: How many times a run may call the model.
        max_parallel_tools: How many tools of one turn run at once; the others wait.
        timeout: How many seconds a run may take.
        temperature: How freely tokens are drawn.
        top_p: The probability mass that is drawn from.
        max_tokens: The most tokens that the model may write in one answer.
        stop: Texts at which the model stops.
        seed: For repeatable output, where the provider supports it.
        reasoning_effort: How hard a reasoning model shall think, in the provider's own word.
        thinking_budget: The most tokens that a reasoning model may think, where the provider counts them apart; 0 turns
            thinking off.
        prompt_cache: After which parts of the prompt the provider shall keep what it has read, where that must be asked
            for: some of `tools`, `system`, `messages`.
        watch_prompt: Whether an event tells when the beginning of a prompt changed, so that the provider's prompt cache
            cannot serve it.
        metadata: Words about each request for the provider's records.
        tool_choice: `auto`, `none`, `required`, or the name of a tool, for the first answer of a run.
        extra_body: Fields put into the provider's request as they are; they win over everything else.
        prices: USD per million tokens (input, cached input, output) by model, beside the built-in table.
        bus: One or several `EventBus` that see the events of every run.
        connect_timeout: Seconds to connect.
        first_byte_timeout: Seconds from the request to the first byte of the answer.
        idle_timeout: Seconds that a stream may be silent.
        max_attempts: How often a model call is made when the provider is busy, the first one included.
        max_connections: How many requests to the provider may be under way at once in this process; others wait
            their turn. 200 by default.

    Raises:
        ConfigError: no key, an unknown prefix, a setting that makes no sense.
        SchemaError: a tool's signature or the output type cannot be told to a model.
        ToolDefinitionError: two tools of one name, or one that providers would not accept.

    Example:
        >>> from dataclasses import dataclass
        >>> from atomr_agents import Agent
        >>> from atomr_agents.testkit import ScriptedModel
        >>> @dataclass
        ... class Weather:
        ...     city: str
        ...     degrees: int
        >>> agent = Agent(ScriptedModel().text('{"city": "Oslo", "degrees": 4}'), output_type=Weather)
        >>> agent.run_sync("Oslo?").output
        Weather(city='Oslo', degrees=4)
    """

    __slots__ = (
        "__weakref__",
        "_core",
        "_durable",
        "_output",
        "_session_options",
        "_sessions",
        "deps_type",
        "description",
    )

    description: str
    """What it is good for, for other agents."""

    @overload
    def __init__(self: Agent[None, str], model: Any, **settings: Unpack[AgentSettings]) -> None: ...
    @overload
    def __init__(
        self: Agent[None, O], model: Any, *, output_type: type[O], **settings: Unpack[AgentSettings]
    ) -> None: ...
    @overload
    def __init__(self: Agent[D, str], model: Any, *, deps_type: type[D], **settings: Unpack[AgentSettings]) -> None: ...
    @overload
    def __init__(
        self: Agent[D, O],
        model: Any,
        *,
        output_type: type[O],
        deps_type: type[D],
        **settings: Unpack[AgentSettings],
    ) -> None: ...
    @overload
    def __init__(
        self: Agent[None, Any], model: Any, *, output_type: Any, **settings: Unpack[AgentSettings]
    ) -> None: ...
    @overload
    def __init__(
        self: Agent[D, Any],
        model: Any,
        *,
        output_type: Any,
        deps_type: type[D],
        **settings: Unpack[AgentSettings],
    ) -> None: ...
    def __init__(
        self,
        model: Any,
        *,
        instructions: Instructions = "",
        tools: Sequence[Any] | Tools = (),
        memory: Memory | None = None,
        skills: Sequence[Skill] | Skills = (),
        output_type: Any = str,
        output_mode: str | None = None,
        output_retries: int = 2,
        deps_type: Any = None,
        description: str = "",
        handoffs: Sequence[Any] = (),
        middleware: Sequence[Middleware | object] = (),
        budget: Budget | None = None,
        grants: Grants | str | Sequence[str] | None = None,
        approvals: ApprovalLedger | None = None,
        store: Any = None,
        session_policy: str | None = None,
        sessions: SessionOptions | None = None,
        fallbacks: Sequence[Any] = (),
        cache: InMemoryLlmCache | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        model_name: str | None = None,
        name: str = "agent",
        max_iterations: int = 32,
        max_parallel_tools: int = 128,
        timeout: float | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
        seed: int | None = None,
        reasoning_effort: str | None = None,
        thinking_budget: int | None = None,
        tool_choice: str = "auto",
        extra_body: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        prompt_cache: Sequence[str] = (),
        watch_prompt: bool = False,
        prices: Mapping[str, tuple[float, float, float]] | None = None,
        bus: EventBus | Sequence[EventBus] | None = None,
        connect_timeout: float | None = None,
        first_byte_timeout: float | None = None,
        idle_timeout: float | None = None,
        max_attempts: int | None = None,
        max_connections: int | None = None,
    ) -> None:
        from . import _settings, _strategies
        from ._model import resolve

        given = locals()
        _settings.check(given)
        of_the_client = {key: given[key] for key in _settings.OF_THE_CLIENT}
        client, asked_for = resolve(model, model_name, of_the_client, fallbacks, cache)
        self.deps_type = _settings.deps_type(deps_type)
        self.description = description
        self._output = None
        if output_type is not str and output_type is not None:
            from ._output import Output

            self._output = Output(output_type)
        resolved = _strategies.of(instructions, tools, memory, skills)
        plain = {key: given[key] for key in _settings.PLAIN}
        plain["stop"] = _settings.stops(stop)
        plain["tool_choice"] = _settings.tool_choice(tool_choice, resolved.names)
        plain["prompt_cache"] = _settings.cache_points(prompt_cache)
        plain["prices"] = _settings.prices(prices)
        plain["output"] = (
            None if self._output is None else (self._output.name, self._output.schema, self._output.strict)
        )
        self._durable = store is not None
        self._session_options = _settings.sessions(session_policy, sessions)
        self._sessions = None
        self._core = AgentCore(
            client,
            asked_for,
            settings=plain,
            instructions=resolved.instructions,
            tools=resolved.tools,
            memory=resolved.memory,
            skills=resolved.skills,
            buses=() if bus is None else _settings.buses(bus),
            budget=_settings.budget(budget),
            handoffs=_settings.handoffs(handoffs) if handoffs != () else (),
            middleware=_settings.middleware(middleware),
            ledger=_settings.ledger(approvals),
            durable=_settings.durable(store),
            grants=_settings.grants(grants),
            validate=None if self._output is None else self._output.validate,
        )

    @property
    def name(self) -> str:
        """Its name, in events and paths."""
        return self._core.name

    @property
    def model(self) -> str:
        """The model it calls, without the prefix."""
        return self._core.model

    def as_tool(
        self,
        *,
        name: str | None = None,
        description: str | None = None,
        timeout: float | None = None,
        requires_approval: bool = False,
        max_concurrency: int = 0,
    ) -> Tool[..., Any]:
        """The agent as a tool of another one: it gets a task in words, and its answer is the tool's result.

        It runs inside the run that calls it: on its budget, until its deadline, cancelled with it, its events in the
        same stream.

        Example:
            >>> from atomr_agents import Agent
            >>> from atomr_agents.testkit import ScriptedModel
            >>> expert = Agent(ScriptedModel().text("42"), name="expert", description="Knows things.")
            >>> model = ScriptedModel().tool_calls(("expert", {"task": "Say it."})).text("42, I hear.")
            >>> Agent(model, tools=[expert.as_tool()]).run_sync("What is it?").output
            '42, I hear.'
        """
        from ._handoffs import agent_tool

        return agent_tool(self, self._core, name, description, timeout, requires_approval, max_concurrency)

    def as_callable(self) -> Callable:
        """The agent as a step: it takes a string or `{"user": string}` and gives `{"text", "input_tokens", ...}`.

        Example:
            >>> from atomr_agents import Agent
            >>> from atomr_agents.testkit import ScriptedModel
            >>> Agent(ScriptedModel().text("Rain.")).as_callable().call_sync("Oslo?")["text"]
            'Rain.'
        """
        from .callable_ import Callable

        return Callable(self._core.as_callable())

    def __repr__(self) -> str:
        return f"<Agent {self.name} {self.model}>"


def __getattr__(name: str) -> Any:
    # The builder is a way in that most do not take.
    if name in ("AgentBuilder", "AgentRef"):
        from . import _builder

        return getattr(_builder, name)
    if name == "Session":
        from ._session import Session

        return Session
    if name == "Handoff":
        from ._handoffs import Handoff

        return Handoff
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
