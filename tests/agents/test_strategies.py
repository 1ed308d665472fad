"""Strategies written in Python: each kind in each form, what the loop makes of it, and each way to fail."""

import asyncio
import threading
from typing import Any

import pytest

from atomr_agents import (
    Agent,
    AgentBuilder,
    Message,
    Skill,
    StrategyContext,
    clear_factories,
    guest,
    keyword_tool_strategy,
    static_tool_strategy,
    strategy,
    tool,
    with_config,
)
from atomr_agents.errors import (
    ConfigError,
    ContractError,
    RunTimeoutError,
    ToolDefinitionError,
)
from atomr_agents.strategy import (
    instruction_strategy_from_factory,
    memory_strategy_from_factory,
    skill_strategy_from_factory,
    static_skill_strategy,
    strategy_from_factory,
    tool_strategy_from_factory,
)
from atomr_agents.testkit import ScriptedModel

KINDS = ["instruction", "tool", "memory", "skill"]
METHODS = {"instruction": "render", "tool": "select", "memory": "retrieve", "skill": "applicable"}
SETTINGS = {"instruction": "instructions", "tool": "tools", "memory": "memory", "skill": "skills"}
BUILDERS = {
    "instruction": instruction_strategy_from_factory,
    "tool": tool_strategy_from_factory,
    "memory": memory_strategy_from_factory,
    "skill": skill_strategy_from_factory,
}


@tool
def forecast(city: str = "Oslo") -> str:
    """Tomorrow's weather."""
    return f"rain in {city}"


@tool
def refund(order: str = "1") -> str:
    """Refunds an order."""
    return f"refunded {order}"


ANSWERS: dict[str, Any] = {
    "instruction": "Be brief.",
    "tool": [forecast],
    "memory": ["likes rain", {"text": "lives in Oslo", "source": "notes"}],
    "skill": [Skill("refunds", "Refund what is broken.", tools=[refund])],
}
WRONG: dict[str, Any] = {"instruction": None, "tool": "forecast", "memory": "likes rain", "skill": [{"name": "x"}]}


def make(kind: str, form: str, speed: str, act: Any) -> Any:
    """A strategy of the kind in that form; `act` gets what it is given."""
    if speed == "async":

        async def body(*args: Any) -> Any:
            value = act(*args)
            return await value if asyncio.iscoroutine(value) else value
    else:

        def body(*args: Any) -> Any:  # type: ignore[misc]
            return act(*args)

    if form == "function":
        return body
    cls = type("Mine", (), {METHODS[kind]: staticmethod(body)})
    return cls if form == "class" else cls()


def agent_with(kind: str, given: Any, model: ScriptedModel, **settings: Any) -> Agent[Any, Any]:
    if kind == "tool":
        # A plain function would be taken for a tool that lacks its list.
        strategy(kind="tool", name="mine")(given)
    return Agent(model, **{SETTINGS[kind]: given, **settings})


def seen_by_the_model(model: ScriptedModel) -> tuple[str, list[str]]:
    """The system message and the names of the tools of the first request."""
    request = model.requests[0]
    first = request["messages"][0]
    system = first["parts"][0]["text"] if first["role"] == "system" else ""
    return system, [each["name"] for each in request.get("tools", ())]


REACHED = {
    "instruction": ("Be brief.", []),
    "tool": ("", ["forecast"]),
    "memory": ("What you remember:\n- likes rain\n- lives in Oslo", []),
    "skill": ("Refund what is broken.", ["refund"]),
}

walk = pytest.mark.parametrize(
    ("kind", "form", "speed"),
    [
        (kind, form, speed)
        for kind in KINDS
        for form in ("function", "class", "instance")
        for speed in ("sync", "async")
    ],
)


@walk
async def test_its_answer_reaches_the_model(kind: str, form: str, speed: str):
    given: list[tuple[Any, ...]] = []
    threads: list[int] = []

    def act(*args: Any) -> Any:
        given.append(args)
        threads.append(threading.get_ident())
        return ANSWERS[kind]

    model = ScriptedModel().text("ok")
    agent = agent_with(kind, make(kind, form, speed, act), model, name="porter")
    history = [Message.user("before"), Message.assistant("yes")]
    result = await agent.run("Will it rain?", deps={"user": "ada"}, history=history)
    assert result.output == "ok"
    assert seen_by_the_model(model) == REACHED[kind]
    ((ctx,),) = given
    assert isinstance(ctx, StrategyContext)
    assert (ctx.agent, ctx.run_id, ctx.deps) == ("porter", result.run_id, {"user": "ada"})
    assert (ctx.prompt, ctx.input, ctx.history) == ("Will it rain?", [Message.user("Will it rain?")], history)
    assert (threads[0] == threading.get_ident()) == (speed == "async")


@walk
async def test_what_it_raises_comes_out_as_itself(kind: str, form: str, speed: str):
    error = LookupError("gone")

    def act(ctx: Any) -> Any:
        raise error

    model = ScriptedModel().text("never")
    with pytest.raises(LookupError) as caught:
        await agent_with(kind, make(kind, form, speed, act), model).run("?")
    assert caught.value is error
    assert model.requests == []
    assert error.partial.messages[0].text == "?"  # type: ignore[attr-defined]


@walk
async def test_a_wrong_shape_is_a_contract_error_that_names_decorator_and_method(kind: str, form: str, speed: str):
    given = make(kind, form, speed, lambda ctx: WRONG[kind])
    strategy(kind=kind, name="mine")(given)  # type: ignore[call-overload]
    model = ScriptedModel().text("never")
    with pytest.raises(ContractError) as caught:
        await Agent(model, **{SETTINGS[kind]: given}).run("?")
    error = caught.value
    assert (error.guest, error.key, error.method) == (f"strategy:{kind}", "mine", METHODS[kind])
    assert f'strategy:{kind} "mine": {METHODS[kind]} broke its contract' in str(error)
    assert model.requests == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["task", "timeout"])
async def test_it_is_cancelled_with_the_run(kind: str, how: str):
    began, ended = asyncio.Event(), asyncio.Event()

    async def forever(ctx: Any) -> Any:
        began.set()
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()

    settings = {"timeout": 0.05} if how == "timeout" else {}
    agent = agent_with(kind, make(kind, "instance", "async", forever), ScriptedModel().text("never"), **settings)
    task = asyncio.create_task(agent.run("?"))
    await began.wait()
    if how == "task":
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        with pytest.raises(RunTimeoutError):
            await task
    await asyncio.wait_for(ended.wait(), 5)


async def test_all_of_them_are_asked_at_once():
    together = asyncio.Barrier(4)

    def meeting(kind: str) -> Any:
        async def act(ctx: Any) -> Any:
            # Passes only when all four have come.
            await asyncio.wait_for(together.wait(), 5)
            return ANSWERS[kind]

        return make(kind, "instance", "async", act)

    model = ScriptedModel().tool_calls(("refund", {"order": "7"})).text("ok")
    result = await Agent(model, **{SETTINGS[kind]: meeting(kind) for kind in KINDS}).run("?")
    system, tools = seen_by_the_model(model)
    assert system == "Be brief.\n\nRefund what is broken.\n\nWhat you remember:\n- likes rain\n- lives in Oslo"
    assert tools == ["forecast", "refund"]
    assert result.messages[2].parts[0]["parts"] == [{"type": "text", "text": "refunded 7"}]


async def test_a_memory_keeps_what_a_run_said_and_the_next_one_reads_it():
    class Notes:
        def __init__(self) -> None:
            self.notes: list[str] = []
            self.stored: list[list[str]] = []

        async def retrieve(self, ctx: StrategyContext[Any]) -> list[str]:
            return self.notes

        async def store(self, ctx: StrategyContext[Any], messages: list[Message]) -> None:
            assert all(isinstance(message, Message) for message in messages)
            self.stored.append([message.text for message in messages])
            self.notes.append(f"{ctx.prompt} -> {messages[-1].text}")

    notes = Notes()
    model = ScriptedModel().text("Hello Ada.").text("Ada.")
    agent = Agent(model, memory=notes)
    first = await agent.run("I am Ada.")
    await agent.run("Who am I?", history=first.messages)
    assert notes.stored == [["I am Ada.", "Hello Ada."], ["Who am I?", "Ada."]], "what was said before is not new"
    second = model.requests[1]["messages"]
    assert second[0]["parts"][0]["text"] == "What you remember:\n- I am Ada. -> Hello Ada."
    assert [message["role"] for message in second] == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize("speed", ["sync", "async"])
async def test_a_memory_that_cannot_store_fails_the_run(speed: str):
    error = OSError("disk full")

    def fail() -> None:
        raise error

    class Full:
        def retrieve(self, ctx: Any) -> list[str]:
            return []

        if speed == "sync":

            def store(self, ctx: Any, messages: Any) -> None:
                fail()
        else:

            async def store(self, ctx: Any, messages: Any) -> None:
                fail()

    with pytest.raises(OSError, match="disk full") as caught:
        await Agent(ScriptedModel().text("ok"), memory=Full()).run("?")
    assert caught.value is error
    assert caught.value.partial.messages[-1].text == "ok"  # type: ignore[attr-defined]


async def test_a_run_that_failed_is_not_stored():
    stored: list[Any] = []

    class Notes:
        def retrieve(self, ctx: Any) -> list[str]:
            return []

        def store(self, ctx: Any, messages: Any) -> None:
            stored.append(messages)

    with pytest.raises(Exception, match="no"):
        await Agent(ScriptedModel().error("refusal", "no"), memory=Notes()).run("?")
    assert stored == []


async def test_tools_are_selected_for_each_run():
    @strategy(kind="tool")
    async def by_role(ctx: StrategyContext[str]) -> list[Any]:
        def whoami() -> str:
            """Who asks."""
            return ctx.deps

        return [whoami, forecast] if ctx.deps == "admin" else [whoami]

    model = ScriptedModel().tool_calls(("whoami", {})).text("a").tool_calls(("forecast", {})).text("b")
    agent = Agent(model, tools=by_role, deps_type=str)
    first = await agent.run("?", deps="admin")
    assert first.messages[2].parts[0]["parts"] == [{"type": "text", "text": "admin"}]
    second = await agent.run("?", deps="guest")
    requests = model.requests
    assert [[each["name"] for each in request["tools"]] for request in requests] == [
        ["whoami", "forecast"],
        ["whoami", "forecast"],
        ["whoami"],
        ["whoami"],
    ]
    assert second.messages[2].parts[0]["is_error"], "a tool that was not selected is not run"


async def test_two_tools_of_one_name_are_an_error_of_the_run():
    class Twice:
        def select(self, ctx: Any) -> Any:
            return [forecast, tool(name="forecast")(lambda: "sun")]

    with pytest.raises(ToolDefinitionError, match="forecast"):
        await Agent(ScriptedModel().text("never"), tools=Twice()).run("?")


async def test_a_tool_choice_is_looked_up_among_what_was_selected():
    agent = Agent(ScriptedModel().text("never"), tools=static_tool_strategy([forecast]), tool_choice="subtract")
    with pytest.raises(ConfigError, match="subtract"):
        await agent.run("?")
    model = ScriptedModel().tool_calls(("forecast", {})).text("ok")
    await Agent(model, tools=static_tool_strategy([forecast]), tool_choice="forecast").run("?")
    assert model.requests[0]["tool_choice"] != "auto"


async def test_keywords_call_for_tools():
    chosen = keyword_tool_strategy([forecast, refund], {"forecast": ["rain", "Wetter"]})
    assert await chosen.select("Will it RAIN?") == ["forecast", "refund"]
    assert await chosen.select([Message.user("wie ist das wetter")]) == ["forecast", "refund"]
    assert await chosen.select("Is the train late?") == ["refund"]
    model = ScriptedModel().text("ok")
    await Agent(model, tools=chosen).run("rain?")
    assert seen_by_the_model(model)[1] == ["forecast", "refund"]
    for keywords in ({"forecast": [""]}, {"nothing": ["x"]}, {"forecast": "rain"}, ["rain"], {"": ["x"]}):
        with pytest.raises(ConfigError):
            keyword_tool_strategy([forecast], keywords)  # type: ignore[arg-type]


async def test_skills_bring_words_and_tools_and_a_shared_tool_is_offered_once():
    skills = [Skill("a", "Skill a.", tools=[forecast, refund]), Skill("b", "Skill b.", tools=[refund])]
    for given in (skills, tuple(skills), static_skill_strategy(skills)):
        model = ScriptedModel().text("ok")
        await Agent(model, instructions="Be brief.", tools=[forecast], skills=given).run("?")
        assert seen_by_the_model(model) == ("Be brief.\n\nSkill a.\n\nSkill b.", ["forecast", "refund"])
    assert await static_skill_strategy(skills).applicable("?") == [
        {"name": "a", "instructions": "Skill a.", "tools": ["forecast", "refund"]},
        {"name": "b", "instructions": "Skill b.", "tools": ["refund"]},
    ]
    other = tool(name="refund")(lambda: "another")
    with pytest.raises(ToolDefinitionError, match="refund"):
        await Agent(ScriptedModel().text("never"), tools=[other], skills=skills).run("?")


@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_decorated_is_found_by_its_key_and_by_itself(kind: str):
    made: list[Any] = []

    class Mine:
        def __init__(self) -> None:
            made.append(self)

        async def answer(self, ctx: Any) -> Any:
            return ANSWERS[kind]

    setattr(Mine, METHODS[kind], Mine.answer)
    assert strategy(kind=kind)(Mine) is Mine  # type: ignore[call-overload]
    assert guest.list_factories(f"strategy:{kind}") == ["Mine"]
    assert guest.target(f"strategy:{kind}", "Mine") is made[0]
    for handle in (BUILDERS[kind]("Mine"), strategy_from_factory(kind, "Mine")):  # type: ignore[operator]
        answer = await getattr(handle, METHODS[kind])("?")
        assert answer
        model = ScriptedModel().text("ok")
        await Agent(model, **{SETTINGS[kind]: handle}).run("?")
        assert seen_by_the_model(model) == REACHED[kind]
    model = ScriptedModel().text("ok")
    await Agent(model, **{SETTINGS[kind]: Mine}).run("?")
    assert seen_by_the_model(model) == REACHED[kind]
    assert len(made) == 1, "the class that was decorated is the instance that was registered"
    with pytest.raises(KeyError, match="Mine"):
        BUILDERS[kind]("other")  # type: ignore[operator]
    clear_factories()
    with pytest.raises(KeyError, match="none"):
        BUILDERS[kind]("Mine")  # type: ignore[operator]


async def test_the_contract_is_named_before_a_run_where_it_can_be():
    class Nothing:
        pass

    for kind in KINDS:
        with pytest.raises(ContractError, match=f"strategy:{kind}.*{METHODS[kind]}"):
            strategy(kind=kind)(Nothing)  # type: ignore[call-overload]
        if kind != "tool":
            with pytest.raises(ConfigError, match=SETTINGS[kind]):
                Agent(ScriptedModel(), **{SETTINGS[kind]: Nothing()})
    with pytest.raises(ConfigError, match="tools must be"):
        Agent(ScriptedModel(), tools=lambda ctx: [forecast])  # type: ignore[misc]
    for kind in KINDS:
        for other in KINDS:
            if kind != other:
                handle = strategy(kind=other, name="h")(make(other, "instance", "sync", print))  # type: ignore[call-overload]
                assert handle is not None
                wrong = BUILDERS[other]("h")  # type: ignore[operator]
                with pytest.raises(ConfigError, match=SETTINGS[kind]):
                    Agent(ScriptedModel(), **{SETTINGS[kind]: wrong})


@pytest.mark.parametrize("kind", ["persona", "", "strategy:memory", None, 3])
def test_a_kind_that_there_is_not_is_refused_with_those_there_are(kind: Any):
    with pytest.raises(ConfigError, match="instruction, tool, memory, skill"):
        strategy(kind=kind)
    if kind != "strategy:memory":
        with pytest.raises(ConfigError):
            strategy_from_factory(kind, "x")


def test_skills_are_checked():
    for arguments in (("",), (" ",), (3,), ("a", 3)):
        with pytest.raises(ConfigError):
            Skill(*arguments)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="tools"):
        Skill("a", tools=forecast)  # type: ignore[arg-type]


async def test_the_builder_takes_strategies():
    model = ScriptedModel().text("ok")
    builder = AgentBuilder("b").with_model(model).with_instructions(lambda ctx: f"Answer {ctx.prompt!r}.")
    builder = builder.with_memory(lambda ctx: ["likes rain"]).with_skills([Skill("a", "Skill a.")])
    agent = builder.with_tool_strategy(static_tool_strategy([forecast])).build()
    await agent.run_turn("Hi")
    system, tools = seen_by_the_model(model)
    assert system == "Answer 'Hi'.\n\nSkill a.\n\nWhat you remember:\n- likes rain"
    assert tools == ["forecast"]
    with pytest.raises(ConfigError, match="strategy"):
        AgentBuilder().with_tool_strategy(static_tool_strategy([])).with_tools(forecast)


async def test_a_strategy_that_starts_a_run_of_its_own_is_part_of_the_run():
    inner = Agent(ScriptedModel().text("Be kind.").text("Be kind."), name="inner")

    async def ask(ctx: Any) -> str:
        return (await inner.run("How shall I be?")).output

    model = ScriptedModel().text("ok")
    stream = Agent(model, instructions=ask).stream("?")
    agents = {event.path for event in [event async for event in stream]}
    assert seen_by_the_model(model)[0] == "Be kind."
    assert any("inner" in path for path in agents), agents


async def test_handles_are_asked_with_deps_and_history():
    @strategy(kind="instruction")
    def tell(ctx: StrategyContext[Any]) -> str:
        return f"{ctx.agent!r} {ctx.deps} {[message.text for message in ctx.history]} {ctx.prompt}"

    handle = instruction_strategy_from_factory("tell")
    asked = await handle.render([Message.user("a"), Message.user("b")], history=[Message.user("c")], deps=7)
    assert asked == "'' 7 ['c'] a\nb"


async def test_a_strategy_sees_the_tags_and_data_of_the_steps_around_it():
    seen: list[Any] = []

    def tell(ctx: StrategyContext[Any]) -> str:
        seen.append((ctx.tags, ctx.metadata))
        return "Be brief."

    agent = Agent(ScriptedModel().text("ok").text("ok"), instructions=tell)
    await agent.run("?")
    await with_config(agent.as_callable(), tags=["a"], metadata={"n": 1}).call("?")
    assert seen == [((), {}), (("a",), {"n": 1})]
