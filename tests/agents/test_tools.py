"""Tools: what a model is told about them, how they run, and what it hears when they fail."""

import asyncio
import contextvars
import dataclasses
import enum
import functools
import json
import threading
import time
from typing import Any, Literal

import pytest

from atomr_agents import Agent, ModelRetry, RunContext, Tool, clear_factories, list_factories, tool
from atomr_agents.errors import ContractError, SchemaError, ToolDefinitionError
from atomr_agents.testkit import ScriptedModel
from atomr_agents.tool import tool_from_factory, toolset


def model_for(name: str, arguments: Any = None, times: int = 1) -> ScriptedModel:
    """A model that calls one tool `times` times at once, and is content with what it hears."""
    return ScriptedModel().tool_calls(*[(name, {} if arguments is None else arguments)] * times).text("done")


async def told(target: Any, arguments: Any = None, **settings: Any) -> tuple[str, bool]:
    """What the model hears of one call, and whether it was told as an error."""
    made = target if isinstance(target, Tool) else tool(target)
    result = await Agent(model_for(made.name, arguments), tools=[made], **settings).run("?")
    assert result.output == "done"
    part = result.messages[2].parts[0]
    return "".join(each["text"] for each in part["parts"]), part["is_error"]


# --- what a tool may be ---


async def test_functions_classes_and_instances_are_tools():
    @tool
    def plain(city: str) -> str:
        """Plain."""
        return f"plain {city}"

    @tool
    async def quick(city: str) -> str:
        return f"quick {city}"

    @tool
    class Weather:
        """The weather."""

        async def invoke(self, city: str) -> str:
            return f"class {city}"

    class Station:
        name = "station"
        description = "A station."

        def __init__(self, country: str) -> None:
            self.country = country

        def invoke(self, city: str) -> str:
            """Its own words are not needed."""
            return f"{self.country} {city}"

    station = tool(Station("NO"))

    class Call:
        async def __call__(self, city: str) -> str:
            return f"call {city}"

    called = tool(name="called")(Call())
    bound = tool(name="bound")(Station("SE").invoke)
    part = tool(name="part")(functools.partial(plain.__wrapped__, city="Rome"))
    wanted = {
        plain: "plain Oslo",
        quick: "quick Oslo",
        Weather: "class Oslo",
        station: "NO Oslo",
        called: "call Oslo",
        bound: "SE Oslo",
        part: "plain Oslo",
    }
    for made, answer in wanted.items():
        assert isinstance(made, Tool)
        assert await told(made, {"city": "Oslo"}) == (answer, False), made
    assert (Weather.name, Weather.description) == ("Weather", "The weather.")
    assert (station.name, station.description) == ("station", "A station.")
    assert sorted(list_factories("tool")) == ["Weather", "bound", "called", "part", "plain", "quick", "station"]


async def test_a_tool_can_still_be_called():
    @tool(name="other")
    async def double(n: int) -> int:
        """Doubles."""
        return 2 * n

    assert await double(4) == 8
    assert double.__wrapped__ is not double
    assert (double.name, double.__name__, double.__doc__) == ("other", "other", "Doubles.")
    assert repr(double) == "<tool other(n)>"

    @tool
    class Half:
        def invoke(self, n: int) -> float:
            return n / 2

    assert Half(3) == 1.5


async def test_plain_functions_given_to_an_agent_become_tools_and_are_not_registered():
    def shout(text: str) -> str:
        return text.upper()

    result = await Agent(model_for("shout", {"text": "hi"}), tools=[shout]).run("?")
    assert result.messages[2].parts[0]["parts"][0]["text"] == "HI"
    assert list_factories("tool") == []


async def test_the_schema_and_the_docstring_reach_the_model():
    class Unit(enum.Enum):
        CELSIUS = "C"
        FAHRENHEIT = "F"

    @dataclasses.dataclass
    class Place:
        city: str
        zip: int | None = None

    seen: list[Any] = []

    @tool(strict=False)
    async def forecast(place: Place, unit: Unit = Unit.CELSIUS, sky: Literal["clear", "any"] = "any") -> str:
        """Tomorrow's weather.

        Args:
            place: Where.
            unit: Of what.
        """
        seen.extend((place, unit, sky))
        return "4"

    model = model_for("forecast", {"place": {"city": "Oslo"}, "unit": "F"})
    await Agent(model, tools=[forecast]).run("?")
    assert seen == [Place("Oslo"), Unit.FAHRENHEIT, "any"]
    (asked,) = model.requests[0]["tools"]
    assert asked["description"] == "Tomorrow's weather."
    assert asked["parameters"]["properties"]["place"]["description"] == "Where."
    assert asked["parameters"]["required"] == ["place"]
    assert asked["parameters"] == forecast.parameters == forecast.native.parameters


async def test_a_schema_of_ones_own_gives_the_arguments_as_one_dict():
    parameters = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

    @tool(parameters=parameters, name="raw", description="Raw.")
    def raw(arguments):
        return json.dumps(arguments)

    @tool(parameters=parameters)
    async def with_context(arguments, ctx):
        return f"{arguments['n']} {ctx.tool_name}"

    assert await told(raw, {"n": 1, "more": True}) == ('{"n": 1, "more": true}', False)
    assert await told(with_context, {"n": 2}) == ("2 with_context", False)
    assert (await told(raw, {"n": "one"}))[1] is True
    with pytest.raises(ToolDefinitionError):
        tool(parameters={"type": "object", "properties": {"n": {"type": "nonsense"}}})(lambda arguments: None)


async def test_what_a_tool_returns_is_told_as_text_or_json():
    cases: list[tuple[Any, str]] = [
        ("text", "text"),
        ({"a": [1, None]}, '{"a":[1,null]}'),
        (None, "null"),
        (7, "7"),
        ([1.5, True], "[1.5,true]"),
        ("", ""),
    ]

    class Give:
        def __init__(self, value: object) -> None:
            self.value = value

        def invoke(self) -> object:
            return self.value

    for value, text in cases:
        assert await told(Give(value), {}) == (text, False)


# --- what is refused when a tool is made ---


def test_a_signature_without_a_schema_is_refused_and_the_parameter_named():
    with pytest.raises(SchemaError, match="tool `broken`, parameter `city`: it has no annotation"):

        @tool
        def broken(city) -> str:
            return city

    with pytest.raises(SchemaError, match="parameter `lock`"):

        @tool
        def locked(lock: threading.Lock) -> None: ...

    with pytest.raises(SchemaError, match=r"parameter `\*cities`"):

        @tool
        def starred(*cities: str) -> None: ...

    assert issubclass(SchemaError, ToolDefinitionError)
    assert list_factories("tool") == []


def test_what_is_no_tool_is_refused():
    with pytest.raises(ContractError, match="int is no function and has no method `invoke`"):
        tool(7)  # type: ignore[call-overload]
    with pytest.raises(ContractError, match=r"takes arguments \(city\); decorate an instance instead"):

        @tool
        class Weather:
            def __init__(self, city: str) -> None: ...

            def invoke(self) -> str: ...

    async def generator():
        yield 1

    with pytest.raises(ContractError, match="return one value"):
        tool(generator)


def test_names_that_providers_refuse_are_refused_when_the_tool_is_made():
    for name in ("", "with space", "é", "x" * 65):
        with pytest.raises(ToolDefinitionError, match="cannot be a tool's name"):
            tool(name=name)(lambda: None)


def test_a_tool_name_used_twice_is_refused():
    def add(a: int) -> int:
        return a

    with pytest.raises(ToolDefinitionError, match='two tools are named "add"') as caught:
        Agent(ScriptedModel().text("x"), tools=[add, tool(name="add")(lambda: None)])
    assert caught.value.kind == "tool_definition"


# --- failures are told to the model, and the run goes on ---


async def test_an_exception_is_told_and_the_run_goes_on():
    async def fails(city: str) -> str:
        raise KeyError(city)

    text, is_error = await told(fails, {"city": "Oslo"})
    assert is_error
    assert "KeyError" in text
    assert "Oslo" in text
    assert "Traceback" not in text


async def test_model_retry_is_told_word_for_word():
    def fails() -> str:
        raise ModelRetry("there are 30 rows; ask for a smaller one")

    assert await told(fails) == ("there are 30 rows; ask for a smaller one", True)


async def test_arguments_that_do_not_fit_never_reach_the_tool():
    ran: list[Any] = []

    def add(a: int, b: int = 0) -> int:
        ran.append((a, b))
        return a + b

    for arguments in ({}, {"a": "one"}, {"a": 1, "c": 2}, '{"a": 1', "[1]", '{"a": NaN}', '"text"'):
        text, is_error = await told(add, arguments)
        assert is_error, arguments
        assert "add" in text, text
    assert ran == []


async def test_a_value_that_fits_the_schema_but_not_the_type_is_an_argument_error():
    import datetime

    def on(day: datetime.date) -> str:
        return day.isoformat()

    assert await told(on, {"day": "2024-02-29"}) == ("2024-02-29", False)
    text, is_error = await told(on, {"day": "2023-02-29"})
    assert is_error
    assert "day" in text


async def test_gigantic_arguments_cross_or_are_told():
    def size(text: str) -> int:
        return len(text)

    assert await told(size, {"text": "x" * 5_000_000}) == ("5000000", False)


async def test_a_tool_that_does_not_exist_is_told_with_those_that_do():
    result = await Agent(model_for("nope"), tools=[tool(name="yes")(lambda: None)]).run("?")
    text = result.messages[2].parts[0]["parts"][0]["text"]
    assert "nope" in text
    assert "yes" in text
    assert result.output == "done"


async def test_a_return_that_is_no_json_is_told_with_the_tool_named():
    def bad() -> object:
        return threading.Lock()

    text, is_error = await told(bad)
    assert is_error
    assert "bad" in text


async def test_a_slow_tool_is_cancelled_and_told():
    ended: list[str] = []

    @tool(timeout=0.05)
    async def slow() -> str:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return "never"

    started = time.monotonic()
    text, is_error = await told(slow)
    assert is_error
    assert "slow did not finish within" in text
    assert time.monotonic() - started < 5
    await asyncio.sleep(0.05)
    assert ended == ["cancelled"]


async def test_a_tool_that_blocks_for_ever_is_left_behind():
    release = threading.Event()

    @tool(timeout=0.05)
    def stuck() -> str:
        release.wait(30)
        return "late"

    try:
        text, is_error = await told(stuck)
        assert is_error
        assert "did not finish" in text
    finally:
        release.set()


async def test_retries_are_counted():
    runs: list[int] = []

    @tool(retries=2)
    async def flaky(good_at: int) -> str:
        runs.append(1)
        if len(runs) < good_at:
            raise OSError("busy")
        return f"after {len(runs)}"

    assert await told(flaky, {"good_at": 3}) == ("after 3", False)
    runs.clear()
    text, is_error = await told(flaky, {"good_at": 9})
    assert is_error
    assert "busy" in text
    assert len(runs) == 3


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
async def test_a_tool_that_wants_to_end_the_process_ends_the_run_only(error: type[BaseException]):
    from atomr_agents.errors import GuestExitedError

    async def leave() -> str:
        raise error(3)

    agent = Agent(model_for("leave"), tools=[leave])
    with pytest.raises(GuestExitedError) as caught:
        await agent.run("?")
    assert isinstance(caught.value.__cause__, error)
    roles = [message.role for message in caught.value.partial.messages]
    assert roles[:2] == ["user", "assistant"]


async def test_an_odd_base_exception_is_told():
    class Odd(BaseException):
        pass

    def odd() -> str:
        raise Odd("strange")

    text, is_error = await told(odd)
    assert is_error
    assert "strange" in text


# --- at once ---


async def test_calls_of_one_turn_run_at_once_and_their_results_come_in_order():
    running, most = 0, 0

    async def work(n: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.05 - n * 0.004)
        running -= 1
        return n

    model = ScriptedModel().tool_calls(*(("work", {"n": n}) for n in range(10))).text("done").repeat()
    result = await Agent(model, tools=[work]).run("?")
    texts = [part["parts"][0]["text"] for message in result.messages[2:-1] for part in message.parts]
    assert texts == [str(n) for n in range(10)]
    assert most == 10
    most = 0
    await Agent(model, tools=[work], max_parallel_tools=3).run("?")
    assert most == 3


async def test_one_failing_call_leaves_the_others_alone():
    async def good(n: int) -> int:
        await asyncio.sleep(0.01)
        return n

    async def bad() -> int:
        raise ValueError("no")

    model = ScriptedModel().tool_calls(("good", {"n": 1}), ("bad", {}), ("good", {"n": 2})).text("done")
    result = await Agent(model, tools=[good, bad]).run("?")
    parts = [part for message in result.messages[2:-1] for part in message.parts]
    assert [part["is_error"] for part in parts] == [False, True, False]
    assert [part["call_id"] for part in parts] == [call["id"] for call in result.messages[1].tool_calls]


async def test_async_tools_run_on_the_callers_loop_and_see_its_context():
    name = contextvars.ContextVar("name", default="unset")
    seen: dict[str, Any] = {}

    async def here() -> str:
        seen["loop"] = asyncio.get_running_loop()
        return name.get()

    def there() -> str:
        seen["thread"] = threading.current_thread()
        return name.get()

    name.set("caller")
    assert await told(here) == ("caller", False)
    assert await told(there) == ("caller", False)
    assert seen["loop"] is asyncio.get_running_loop()
    assert seen["thread"] is not threading.current_thread()


# --- the registry ---


def test_the_registry_gives_tools_back_by_key_and_by_set():
    @tool(toolset="numbers")
    def one() -> int:
        return 1

    @tool(toolset="numbers", name="zwei")
    def two() -> int:
        return 2

    @tool
    def alone() -> int:
        return 0

    assert tool_from_factory("one") is one
    assert toolset("numbers") == [one, two]
    assert toolset("none") == []
    with pytest.raises(KeyError, match="three"):
        tool_from_factory("three")

    @tool(name="one")
    def again() -> int:
        return 11

    assert tool_from_factory("one") is again
    assert toolset("numbers") == [two]
    assert clear_factories() == 3
    assert toolset("numbers") == []
    with pytest.raises(KeyError):
        tool_from_factory("zwei")


async def test_a_context_is_told_where_it_is():
    seen: list[RunContext[None]] = []

    async def look(ctx: RunContext[None], n: int) -> str:
        seen.append(ctx)
        return "seen"

    result = await Agent(model_for("look", {"n": 1}), tools=[look]).run("?")
    (ctx,) = seen
    assert (ctx.deps, ctx.run_id, ctx.tool_name, ctx.path) == (None, result.run_id, "look", "")
    assert ctx.tool_call_id == result.messages[1].tool_calls[0]["id"]
    assert "n" in tool(look).parameters["properties"]
    assert "ctx" not in tool(look).parameters["properties"]
