"""Strategies: what an agent is told, what it may call, what it remembers and what it knows how to do, decided for
each run. This module is also the decorator of its name.

| kind          | method                                              | what it answers with                          |
|---------------|-----------------------------------------------------|-----------------------------------------------|
| `instruction` | `render(ctx)`                                       | text                                          |
| `tool`        | `select(ctx)`                                       | a list of what `Agent(tools=[...])` takes     |
| `memory`      | `retrieve(ctx)`, and perhaps `store(ctx, messages)` | a list of texts, or of dicts with `text`      |
| `skill`       | `applicable(ctx)`                                   | a list of `Skill`s                            |

Each is a function of a `StrategyContext` (plain or async), or a class or an instance with the method. All are asked at
once, before the first model call of a run. The other two are those of a `Harness`; see `atomr_agents.harness`:

| kind          | method                    | what it answers with                                                     |
|---------------|---------------------------|--------------------------------------------------------------------------|
| `loop`        | `step(state)`             | `{"kind": "continue", "working_memory"}` or `{"kind": "done", "output"}` |
| `termination` | `should_terminate(state)` | True or False, or the reason to end it                                   |

Example:
    >>> from atomr_agents import Agent, strategy
    >>> from atomr_agents.testkit import ScriptedModel
    >>> @strategy(kind="instruction")
    ... async def briefing(ctx):
    ...     return f"Answer {ctx.deps} in one line."
    >>> model = ScriptedModel().text("Rain.")
    >>> Agent(model, instructions=briefing).run_sync("Oslo?", deps="Ada").output
    'Rain.'
    >>> model.requests[0]["messages"][0]["parts"][0]["text"]
    'Answer Ada in one line.'
"""

from __future__ import annotations

from ._callable_module import make_callable
from ._context import StrategyContext
from ._light import TypeVar
from ._native.strategy import (
    InstructionStrategyHandle,
    MemoryStrategyHandle,
    SkillStrategyHandle,
    ToolStrategyHandle,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from typing import Any, Literal, Protocol, TypeAlias, overload

    from ._native.harness import LoopStrategy, TerminationStrategy
    from .tool import Tool

    T = TypeVar("T")
    R_co = TypeVar("R_co", covariant=True)
    Now: TypeAlias = "R_co | Awaitable[R_co]"
    Context: TypeAlias = StrategyContext[Any]
    Chunks: TypeAlias = "Sequence[str | Mapping[str, Any]]"

    class HasRender(Protocol):
        """An object that writes instructions."""

        def render(self, ctx: Any, /) -> Now[str]: ...

    class HasSelect(Protocol):
        """An object that selects tools."""

        def select(self, ctx: Any, /) -> Now[Sequence[Any]]: ...

    class HasRetrieve(Protocol):
        """An object that remembers."""

        def retrieve(self, ctx: Any, /) -> Now[Chunks]: ...

    class HasApplicable(Protocol):
        """An object that chooses skills."""

        def applicable(self, ctx: Any, /) -> Now[Sequence[Skill]]: ...

    Instructions: TypeAlias = (
        "str | InstructionStrategyHandle | Callable[[Context], Now[str]] | HasRender | type[HasRender]"
    )
    Tools: TypeAlias = "ToolStrategyHandle | Callable[[Context], Now[Sequence[Any]]] | HasSelect | type[HasSelect]"
    Memory: TypeAlias = "MemoryStrategyHandle | Callable[[Context], Now[Chunks]] | HasRetrieve | type[HasRetrieve]"
    Skills: TypeAlias = (
        "SkillStrategyHandle | Callable[[Context], Now[Sequence[Skill]]] | HasApplicable | type[HasApplicable]"
    )

__all__ = [
    "InstructionStrategyHandle",
    "MemoryStrategyHandle",
    "Skill",
    "SkillStrategyHandle",
    "StrategyContext",
    "ToolStrategyHandle",
    "instruction_strategy_from_factory",
    "keyword_tool_strategy",
    "loop_strategy_from_factory",
    "memory_strategy_from_factory",
    "skill_strategy_from_factory",
    "static_skill_strategy",
    "static_tool_strategy",
    "strategy",
    "strategy_from_factory",
    "termination_strategy_from_factory",
    "tool_strategy_from_factory",
]


class Skill:
    """Something an agent knows how to do: words for the model, and the tools that go with them.

    Args:
        name: Its name.
        instructions: What the model is told while it applies; becomes part of the system message.
        tools: What the model is offered while it applies: what `Agent(tools=[...])` takes. A tool that the agent or
            another skill has too is offered once.

    Example:
        >>> from atomr_agents import tool
        >>> @tool
        ... def refund(order: str) -> str:
        ...     return "done"
        >>> Skill("refunds", "Refund what arrived broken.", tools=[refund])
        <Skill refunds: refund>
    """

    __slots__ = ("instructions", "name", "tools")

    name: str
    """Its name."""
    instructions: str
    """What the model is told while it applies."""
    tools: list[Tool[..., Any]]
    """What the model is offered while it applies."""

    def __init__(self, name: str, instructions: str = "", *, tools: Sequence[Any] = ()) -> None:
        from . import _checks
        from ._strategies import several

        _checks.filled("the name of a skill", name)
        _checks.text("the instructions of a skill", instructions)
        self.name = name
        self.instructions = instructions
        self.tools = several(tools)

    def __repr__(self) -> str:
        return f"<Skill {self.name}: {', '.join(tool.name for tool in self.tools) or 'no tools'}>"


if TYPE_CHECKING:

    @overload
    def strategy(kind: Literal["instruction"], *, name: str | None = None) -> Callable[[T], T]: ...
    @overload
    def strategy(kind: Literal["tool"], *, name: str | None = None) -> Callable[[T], T]: ...
    @overload
    def strategy(kind: Literal["memory"], *, name: str | None = None) -> Callable[[T], T]: ...
    @overload
    def strategy(kind: Literal["skill"], *, name: str | None = None) -> Callable[[T], T]: ...
    @overload
    def strategy(kind: Literal["loop"], *, name: str | None = None) -> Callable[[T], T]: ...
    @overload
    def strategy(kind: Literal["termination"], *, name: str | None = None) -> Callable[[T], T]: ...


def strategy(kind: str, *, name: str | None = None) -> Any:
    """Registers a strategy; the object itself comes back.

    Args:
        kind: `instruction`, `tool`, `memory`, `skill`, `loop` or `termination`.
        name: Its key; otherwise the function's or class's own name.

    Raises:
        ConfigError: there is no such kind.
        ContractError: the object has not the method of its kind, and is no function.

    Example:
        >>> from atomr_agents import Message
        >>> @strategy(kind="memory")
        ... class Notes:
        ...     def __init__(self):
        ...         self.notes = []
        ...     def retrieve(self, ctx):
        ...         return self.notes[-3:]
        ...     def store(self, ctx, messages):
        ...         self.notes.append(messages[0].text)
        >>> import asyncio
        >>> notes = memory_strategy_from_factory("Notes")
        >>> asyncio.run(notes.store("Call me Ada.", [Message.user("Call me Ada.")]))
        >>> asyncio.run(notes.retrieve("Who am I?"))
        [{'source': '', 'text': 'Call me Ada.'}]
    """
    from . import _checks
    from ._strategies import METHODS

    if kind not in tuple(METHODS):
        from .errors import ConfigError

        raise ConfigError(f"there is no strategy kind {kind!r}; write @strategy(kind=...) with {', '.join(METHODS)}")
    _checks.optional(_checks.filled)("name", name)

    def decorate(target: T) -> T:
        from ._guests import name_of
        from ._native import guest

        guest.register(f"strategy:{kind}", name or name_of(target), target)
        return target

    return decorate


def strategy_from_factory(kind: str, key: str) -> Any:
    """The strategy of a kind that was registered under this key; a KeyError lists what there is."""
    from ._strategies import from_factory

    return from_factory(kind, key)


def instruction_strategy_from_factory(key: str) -> InstructionStrategyHandle:
    """The instruction strategy that was registered under this key; a KeyError lists what there is."""
    handle: InstructionStrategyHandle = strategy_from_factory("instruction", key)
    return handle


def tool_strategy_from_factory(key: str) -> ToolStrategyHandle:
    """The tool strategy that was registered under this key; a KeyError lists what there is."""
    handle: ToolStrategyHandle = strategy_from_factory("tool", key)
    return handle


def memory_strategy_from_factory(key: str) -> MemoryStrategyHandle:
    """The memory strategy that was registered under this key; a KeyError lists what there is."""
    handle: MemoryStrategyHandle = strategy_from_factory("memory", key)
    return handle


def skill_strategy_from_factory(key: str) -> SkillStrategyHandle:
    """The skill strategy that was registered under this key; a KeyError lists what there is."""
    handle: SkillStrategyHandle = strategy_from_factory("skill", key)
    return handle


def loop_strategy_from_factory(key: str) -> LoopStrategy:
    """The loop strategy that was registered under this key; a KeyError lists what there is."""
    handle: LoopStrategy = strategy_from_factory("loop", key)
    return handle


def termination_strategy_from_factory(key: str) -> TerminationStrategy:
    """The termination strategy that was registered under this key; a KeyError lists what there is."""
    handle: TerminationStrategy = strategy_from_factory("termination", key)
    return handle


def static_tool_strategy(tools: Sequence[Any]) -> ToolStrategyHandle:
    """The same tools for every run.

    Example:
        >>> import asyncio
        >>> from atomr_agents import tool
        >>> add = tool(name="add")(lambda: 1)
        >>> asyncio.run(static_tool_strategy([add]).select("Hello"))
        ['add']
    """
    from ._strategies import tools_of

    return ToolStrategyHandle.fixed(tools_of(tools), None)


def keyword_tool_strategy(tools: Sequence[Any], keywords: Mapping[str, Sequence[str]]) -> ToolStrategyHandle:
    """Of these tools those that the words of the turn call for.

    Args:
        tools: All of them.
        keywords: The words that call for a tool, by its name. A tool without any is always offered. Upper and lower
            case are the same, and a word is not found inside a longer one.

    Raises:
        ConfigError: there are words for a tool that is not there, or an empty one.

    Example:
        >>> import asyncio
        >>> from atomr_agents import tool
        >>> tools = [tool(name="forecast")(lambda: "rain"), tool(name="search")(lambda: "found")]
        >>> strategy = keyword_tool_strategy(tools, {"forecast": ["rain", "weather"]})
        >>> asyncio.run(strategy.select("Will it RAIN?")), asyncio.run(strategy.select("Who was Ada?"))
        (['forecast', 'search'], ['search'])
    """
    from . import _checks
    from ._strategies import tools_of

    if not hasattr(keywords, "items"):
        _checks.fail("keywords", "a dict from the name of a tool to a list of words", keywords)
    listed: list[tuple[str, list[str]]] = []
    for name, words in keywords.items():
        _checks.filled("the name of a tool in keywords", name)
        several = _checks.items(f"the keywords of {name}", "a list of words", words)
        for word in several:
            _checks.filled(f"each of the keywords of {name}", word)
        listed.append((name, list(several)))
    return ToolStrategyHandle.fixed(tools_of(tools), listed)


def static_skill_strategy(skills: Sequence[Skill]) -> SkillStrategyHandle:
    """The same skills for every run.

    Example:
        >>> import asyncio
        >>> asyncio.run(static_skill_strategy([Skill("rhyme", "Answer in rhymes.")]).applicable("Hello"))
        [{'name': 'rhyme', 'instructions': 'Answer in rhymes.', 'tools': []}]
    """
    from ._strategies import skills_of

    return SkillStrategyHandle.fixed(skills_of(skills))


make_callable(__name__, strategy)
