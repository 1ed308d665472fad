"""What type checkers say of strategies. Nobody runs this: mypy and pyright read it."""

from collections.abc import Sequence
from typing import Any, assert_type

from atomr_agents import (
    Agent,
    AgentBuilder,
    Message,
    Skill,
    StrategyContext,
    keyword_tool_strategy,
    static_tool_strategy,
    strategy,
)
from atomr_agents.strategy import (
    InstructionStrategyHandle,
    MemoryStrategyHandle,
    SkillStrategyHandle,
    ToolStrategyHandle,
    instruction_strategy_from_factory,
    memory_strategy_from_factory,
    skill_strategy_from_factory,
    static_skill_strategy,
    tool_strategy_from_factory,
)


@strategy(kind="instruction")
async def briefing(ctx: StrategyContext[str]) -> str:
    assert_type(ctx.deps, str)
    assert_type(ctx.input, list[Message])
    assert_type(ctx.history, list[Message])
    assert_type(ctx.prompt, str)
    return ctx.prompt


def plain(ctx: StrategyContext[Any]) -> str:
    return ctx.agent


@strategy(kind="tool", name="all")
def every(ctx: StrategyContext[Any]) -> list[object]:
    return []


@strategy(kind="memory")
class Notes:
    async def retrieve(self, ctx: StrategyContext[Any]) -> list[str]:
        return [ctx.prompt]

    async def store(self, ctx: StrategyContext[Any], messages: list[Message]) -> None:
        pass


class Chosen:
    def applicable(self, ctx: StrategyContext[Any]) -> Sequence[Skill]:
        return [Skill("a", "b", tools=[plain])]


strategy(kind="persona")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]

Agent("openai:x", instructions="Answer.", tools=[plain])
Agent("openai:x", instructions=briefing, tools=every, memory=Notes, skills=Chosen())
Agent("openai:x", instructions=plain, tools=static_tool_strategy([plain]), memory=Notes(), skills=[Skill("a")])
Agent("openai:x", memory=lambda ctx: ["a", {"text": "b"}], skills=static_skill_strategy([Skill("a")]))
Agent("openai:x", instructions=7)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
Agent("openai:x", memory="notes")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
AgentBuilder().with_instructions(briefing).with_memory(Notes()).with_skills([Skill("a")]).with_tool_strategy(every)

assert_type(instruction_strategy_from_factory("a"), InstructionStrategyHandle)
assert_type(tool_strategy_from_factory("a"), ToolStrategyHandle)
assert_type(memory_strategy_from_factory("a"), MemoryStrategyHandle)
assert_type(skill_strategy_from_factory("a"), SkillStrategyHandle)
assert_type(keyword_tool_strategy([plain], {"plain": ["word"]}), ToolStrategyHandle)


async def asked() -> None:
    assert_type(await instruction_strategy_from_factory("a").render("Hi", deps=3), str)
    assert_type(await tool_strategy_from_factory("a").select(Message.user("Hi")), list[str])
    assert_type(await memory_strategy_from_factory("a").retrieve("Hi"), list[dict[str, str]])
    await memory_strategy_from_factory("a").store("Hi", [Message.user("Hi")], history=[Message.user("before")])
    assert_type(await skill_strategy_from_factory("a").applicable("Hi"), list[dict[str, Any]])
