"""What type checkers say of agents. Nobody runs this: mypy and pyright read it."""

from dataclasses import dataclass
from typing import Any, TypedDict, assert_type

from atomr_agents import (
    Agent,
    AgentBuilder,
    AgentRef,
    Callable,
    Event,
    EventBus,
    Message,
    RunResult,
    RunStream,
    Usage,
)
from atomr_agents.core import EventKind
from atomr_agents.testkit import ReplayServer, ScriptedModel


@dataclass
class Weather:
    city: str
    degrees: int


class Forecast(TypedDict):
    rain: bool


class Db:
    def name(self, number: int) -> str:
        return str(number)


plain = Agent("openai:gpt-4o-mini", instructions="Answer in one line.", temperature=0.2, max_tokens=100)
assert_type(plain, Agent[None, str])
assert_type(Agent("openai:x", output_type=str), Agent[None, str])
assert_type(Agent("openai:x", output_type=Weather), Agent[None, Weather])
assert_type(Agent("openai:x", output_type=Forecast), Agent[None, Forecast])
assert_type(Agent("openai:x", output_type=list[int]), Agent[None, list[int]])
assert_type(Agent("openai:x", deps_type=Db), Agent[Db, str])
assert_type(Agent("openai:x", deps_type=Db, output_type=Weather, name="w"), Agent[Db, Weather])
assert_type(Agent("openai:x", output_type={"type": "object"}), Agent[None, Any])
assert_type(Agent("openai:x", deps_type=Db, output_type={"type": "object"}), Agent[Db, Any])
explicit: Agent[Db, Weather] = Agent[Db, Weather](ScriptedModel(), deps_type=Db, output_type=Weather)

Agent("openai:x", nonsense=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
Agent("openai:x", temperature="hot")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


async def runs(agent: Agent[Db, Weather], db: Db, history: list[Message]) -> None:
    result = await agent.run("Oslo?", deps=db, history=history)
    assert_type(result, RunResult[Weather])
    assert_type(result.output, Weather)
    assert_type(result.messages, list[Message])
    assert_type(result.usage, Usage)
    assert_type(result.cost, float | None)
    assert_type(result.run_id, str)
    assert_type(agent.run_sync(Message.user("Oslo?"), deps=db).output.degrees, int)
    assert_type((await plain.run("Oslo?")).output, str)
    await agent.run("Oslo?", deps="no database")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await agent.run(7, deps=db)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def streams(agent: Agent[None, Weather]) -> None:
    stream = agent.stream("Oslo?")
    assert_type(stream, RunStream[Weather])
    async with stream as same:
        assert_type(same, RunStream[Weather])
        async for event in same:
            assert_type(event, Event)
            assert_type(event.kind, EventKind)
            assert_type(event.text, str | None)
            assert_type(event.usage, Usage | None)
        assert_type((await same.result()).output, Weather)
        assert_type(same.messages, list[Message])
    async for piece in agent.stream("Oslo?").text():
        assert_type(piece, str)


async def buses() -> None:
    bus = EventBus()
    Agent("openai:x", bus=bus)
    Agent("openai:x", bus=[bus, EventBus(16)])
    async for event in bus.stream():
        assert_type(event, Event)
    handle = bus.subscribe(lambda event: print(event.kind))
    await handle.detach()


async def low_level() -> None:
    builder = AgentBuilder("weather").with_model("openai:x", base_url="http://localhost").with_instructions("Short.")
    agent = builder.with_max_iterations(3).build()
    assert_type(agent, AgentRef)
    assert_type(await agent.run_turn("Oslo?"), RunResult[Any])
    assert_type(agent.as_callable(), Callable)


def servers() -> None:
    with ReplayServer(cut="byte") as server:
        assert_type(server.base_url, str)
    ReplayServer(cut="never")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
