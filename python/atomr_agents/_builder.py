"""The low-level way to an agent: a builder whose every method gives a new builder."""

from __future__ import annotations

from .agent import Agent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Unpack

    from ._runs import RunResult
    from .agent import AgentSettings
    from .callable_ import Callable
    from .core import Message
    from .observability import EventBus
    from .strategy import Instructions, Memory, Skill, Skills, Tools


class AgentBuilder:
    """Builds an `AgentRef` word by word. Every method gives a new builder, so a beginning can be shared.

    Example:
        >>> from atomr_agents import AgentBuilder
        >>> from atomr_agents.testkit import ScriptedModel
        >>> weather = AgentBuilder("weather").with_instructions("Answer in one word.")
        >>> agent = weather.with_model(ScriptedModel().text("Rain.")).build()
        >>> import asyncio
        >>> asyncio.run(agent.run_turn("Oslo?")).output
        'Rain.'
    """

    __slots__ = ("_model", "_settings")

    def __init__(self, name: str = "agent") -> None:
        from . import _checks

        _checks.filled("name", name)
        self._model: Any = None
        self._settings: dict[str, Any] = {"name": name}

    def _with(self, **settings: Any) -> AgentBuilder:
        builder = AgentBuilder()
        builder._model = self._model
        builder._settings = {**self._settings, **settings}
        return builder

    def with_model(self, model: Any, **settings: Unpack[AgentSettings]) -> AgentBuilder:
        """Calls this model; see `Agent`. `base_url`, `api_key` and the like may be said here too."""
        builder = self._with(**settings)
        builder._model = model
        return builder

    def with_instructions(self, instructions: Instructions) -> AgentBuilder:
        """Tells the model what to be: a text, or what writes one for each run."""
        return self._with(instructions=instructions)

    def with_tools(self, *tools: Any) -> AgentBuilder:
        """Adds tools: each is a tool, something that becomes one, or a list of these."""
        lists: list[Sequence[Any]] = [tool if isinstance(tool, (list, tuple)) else (tool,) for tool in tools]
        added = [each for several in lists for each in several]
        before = self._settings.get("tools", ())
        if not isinstance(before, (list, tuple)):
            from .errors import ConfigError

            raise ConfigError("a tool strategy selects the tools already; let it offer these as well")
        return self._with(tools=[*before, *added])  # pyright: ignore[reportUnknownArgumentType]

    def with_tool_strategy(self, tools: Tools) -> AgentBuilder:
        """Lets a strategy select the tools of each run, in place of those that were added."""
        return self._with(tools=tools)

    def with_memory(self, memory: Memory) -> AgentBuilder:
        """Gives it a memory."""
        return self._with(memory=memory)

    def with_skills(self, skills: Sequence[Skill] | Skills) -> AgentBuilder:
        """Gives it skills, or what chooses some for each run."""
        return self._with(skills=skills)

    def with_output_type(self, output_type: Any) -> AgentBuilder:
        """Asks for an answer of this type."""
        return self._with(output_type=output_type)

    def with_deps_type(self, deps_type: Any) -> AgentBuilder:
        """Takes `deps` of this type."""
        return self._with(deps_type=deps_type)

    def with_max_iterations(self, max_iterations: int) -> AgentBuilder:
        """Lets a run call the model so many times."""
        return self._with(max_iterations=max_iterations)

    def with_timeout(self, seconds: float) -> AgentBuilder:
        """Lets a run take so long."""
        return self._with(timeout=seconds)

    def with_bus(self, *buses: EventBus) -> AgentBuilder:
        """Adds buses that see the events of every run."""
        return self._with(bus=[*self._settings.get("bus", ()), *buses])

    def with_settings(self, **settings: Unpack[AgentSettings]) -> AgentBuilder:
        """Any other settings of `Agent`."""
        return self._with(**settings)

    def build(self) -> AgentRef:
        """The agent.

        Raises:
            ConfigError: no model was named, or a setting makes no sense.
        """
        if self._model is None:
            from .errors import ConfigError

            raise ConfigError("no model was named; call with_model(...) before build()")
        return AgentRef(Agent(self._model, **self._settings))

    def __repr__(self) -> str:
        # The names alone: one of the settings may be a key.
        model = "" if self._model is None else " with a model"
        return f"<AgentBuilder {self._settings['name']}{model}: {', '.join(self._settings)}>"


class AgentRef:
    """An agent that was built; it runs turn by turn."""

    __slots__ = ("agent",)

    def __init__(self, agent: Agent[Any, Any]) -> None:
        self.agent = agent
        """The agent itself."""

    @property
    def name(self) -> str:
        """Its name, in events and paths."""
        return self.agent.name

    @property
    def model(self) -> str:
        """The model it calls, without the prefix."""
        return self.agent.model

    async def run_turn(
        self, user: str | Message | Sequence[Message], history: Sequence[Message] | None = None, deps: Any = None
    ) -> RunResult[Any]:
        """Runs one turn to its end; give it `result.messages` as the history of the next one."""
        return await self.agent.run(user, deps=deps, history=history)

    def as_callable(self) -> Callable:
        """The agent as a step of something larger."""
        return self.agent.as_callable()

    def __repr__(self) -> str:
        return f"<AgentRef {self.name} {self.model}>"
