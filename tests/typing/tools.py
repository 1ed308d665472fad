"""What type checkers say of tools and guests. Nobody runs this: mypy and pyright read it."""

from collections.abc import AsyncIterator
from typing import Any, assert_type

from atomr_agents import (
    Agent,
    Grants,
    ModelRetry,
    PermissionSpec,
    RunContext,
    Tool,
    ToolDescriptor,
    ToolSet,
    ToolSetRegistry,
    callable_,
    guest,
    inference_client,
    tool,
    tracer,
)
from atomr_agents.core import Event
from atomr_agents.tool import tool_from_factory, toolset


class Db:
    def name(self, number: int) -> str:
        return str(number)


@tool
def add(a: int, b: int = 1) -> int:
    return a + b


@tool
async def forecast(city: str) -> str:
    return city


@tool(toolset="people", timeout=2.0, retries=1)
async def name(ctx: RunContext[Db], number: int) -> str:
    assert_type(ctx.deps, Db)
    if number < 0:
        raise ModelRetry("ask for a positive number")
    return ctx.deps.name(number)


class Station:
    def invoke(self, city: str) -> str:
        return city


class Clouds:
    async def invoke(self, height: int) -> bool:
        return height > 0


# mypy keeps the type of a decorated class as it was, so these are written as calls.
station = tool(Station())
station_class = tool(Station)
clouds = tool(name="clouds")(Clouds)

assert_type(add(1, b=2), int)
assert_type(add.name, str)
assert_type(add.parameters, dict[str, Any])
assert_type(station("Oslo"), str)
assert_type(station_class("Oslo"), str)
add("one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
add(1, c=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

assert_type(toolset("people"), list[Tool[..., Any]])
assert_type(tool_from_factory("add"), Tool[..., Any])

numbers = ToolSet("numbers", "1.0.0", [add, lambda: None], dependencies={"math": "^1"}, permissions={"a:{b}": ["c"]})
assert_type(numbers.tools, tuple[Tool[..., Any], ...])
assert_type(ToolSetRegistry().resolve({"numbers": "^1"}), list[ToolSet])
assert_type(guest.build_guest_toolset("all", "1.0.0"), ToolSet)
assert_type(add.descriptor(), ToolDescriptor)
assert_type(add.descriptor().permissions, PermissionSpec)
assert_type(Grants("a").narrow(["b"]).missing(PermissionSpec("a"), {"b": 1}), list[str])
tool(permissions=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


async def execute() -> None:
    assert_type(await add.execute({"a": 1}, grants=["a"]), dict[str, Any])


agent = Agent("openai:x", tools=[numbers, add, forecast, name, station, clouds, lambda: None, Station])
assert_type(agent, Agent[None, str])


async def by_hand(db: Db) -> None:
    ctx = RunContext(db, "run", "name", "call", "")
    assert_type(ctx, RunContext[Db])
    assert_type(await name(ctx, 7), str)
    assert_type(await forecast("Oslo"), str)
    assert_type(await clouds(3), bool)
    assert_type(await double(1), int)


@callable_
async def double(value: int) -> int:
    return 2 * value


@callable_(name="other")
def triple(value: int) -> int:
    return 3 * value


@tracer
class Counter:
    seen = 0

    def on_event(self, event: Event) -> None:
        self.seen += 1


@inference_client
async def parrot(request: dict[str, Any], ctx: RunContext[None]) -> AsyncIterator[str]:
    yield request["model"]


assert_type(triple(1), int)
assert_type(Counter().seen, int)
assert_type(parrot({}, RunContext(None, "", "", "", "")), AsyncIterator[str])
assert_type(guest.list_factories("tool"), list[str])
