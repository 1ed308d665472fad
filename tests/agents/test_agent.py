"""The agent: what it is given, what it gives back, and where it can run."""

import asyncio
import dataclasses
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, TypedDict

import pydantic
import pytest

import atomr_agents
from atomr_agents import Agent, AgentBuilder, InferenceClient, Message, RunContext, tool
from atomr_agents._model import PROVIDERS
from atomr_agents.errors import ConfigError, ContractError, InvalidOutputError, RuntimeUnavailableError
from atomr_agents.testkit import ReplayServer, ScriptedModel


@dataclasses.dataclass
class Weather:
    city: str
    degrees: int


class Forecast(TypedDict):
    rain: bool


class Sky(pydantic.BaseModel):
    clouds: list[str]


def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


def calls(*names: str) -> ScriptedModel:
    model = ScriptedModel()
    return model.tool_calls(*((name, {"a": 1, "b": 2}) for name in names))


# --- the result ---


async def test_a_run_gives_output_transcript_usage_and_id():
    model = calls("add").text("It is 3.")
    agent = Agent(model, instructions="Be brief.", tools=[add], name="adder")
    result = await agent.run("1 + 2?")
    assert result.output == "It is 3."
    assert [message.role for message in result.messages] == ["user", "assistant", "tool", "assistant"]
    assert result.messages[1].tool_calls[0]["name"] == "add"
    assert result.messages[2].parts[0]["parts"] == [{"type": "text", "text": "3"}]
    assert result.iterations == 2
    assert result.finish_reason == "stop"
    assert result.usage.input_tokens > 0
    assert result.usage.total_tokens == result.usage.input_tokens + result.usage.output_tokens
    assert result.cost is None, "the price of a scripted model is not known"
    assert result.event_count > 6
    assert len(result.run_id) == 36
    assert (agent.name, agent.model) == ("adder", "scripted")
    first = model.requests[0]
    assert first["messages"][0] == {"role": "system", "parts": [{"type": "text", "text": "Be brief."}]}
    assert first["tools"][0]["name"] == "add"
    assert first["tools"][0]["description"] == "Adds two numbers."


async def test_every_run_has_an_id_of_its_own():
    agent = Agent(ScriptedModel().text("x").repeat())
    results = await asyncio.gather(*(agent.run("?") for _ in range(20)))
    assert len({result.run_id for result in results}) == 20


async def test_the_messages_of_a_result_are_the_history_of_the_next_run():
    model = ScriptedModel().text("Rain.").text("Sun.")
    agent = Agent(model)
    first = await agent.run("Oslo?")
    second = await agent.run("And Bergen?", history=first.messages)
    assert [message.text for message in second.messages] == ["Oslo?", "Rain.", "And Bergen?", "Sun."]
    assert [message.text for message in second.new_messages] == ["And Bergen?", "Sun."]
    assert len(model.requests[1]["messages"]) == 3


async def test_a_prompt_is_text_a_message_or_several():
    model = ScriptedModel().text("x").repeat()
    agent = Agent(model)
    await agent.run(Message.user("one"))
    await agent.run([Message.user("one"), Message("user", [{"type": "text", "text": "two"}])])
    assert len(model.requests[0]["messages"]) == 1
    assert [message["parts"][0]["text"] for message in model.requests[1]["messages"]] == ["one", "two"]
    with pytest.raises(TypeError):
        await agent.run(7)  # type: ignore[arg-type]


async def test_cost_is_known_where_the_price_is():
    agent = Agent(ScriptedModel().text("a b c"), prices={"scripted": (1.0, 0.5, 2.0)})
    result = await agent.run("?")
    wanted = (result.usage.input_tokens * 1.0 + result.usage.output_tokens * 2.0) / 1e6
    assert result.cost == pytest.approx(wanted, abs=1e-6)


# --- the output ---


@pytest.mark.parametrize(
    ("output_type", "text", "value"),
    [
        (Weather, '{"city": "Oslo", "degrees": 4}', Weather("Oslo", 4)),
        (Forecast, '{"rain": true}', {"rain": True}),
        (Sky, '{"clouds": ["cirrus"]}', Sky(clouds=["cirrus"])),
        (list[int], '{"value": [1, 2]}', [1, 2]),
        (Weather | int, '{"value": 4}', 4),
        ({"type": "object", "properties": {"n": {"type": "integer"}}}, '{"n": 3}', {"n": 3}),
    ],
)
async def test_an_answer_becomes_a_value_of_the_output_type(output_type: Any, text: str, value: object):
    model = ScriptedModel().text(text)
    result = await Agent(model, output_type=output_type).run("?")
    assert result.output == value
    asked = model.requests[0]["output"]
    assert asked["schema"]["type"] == "object"
    assert asked["name"].replace("_", "").isalnum()


async def test_a_schema_is_forced_only_where_providers_can():
    model = ScriptedModel().text('{"city": "Oslo", "degrees": 4}').repeat()
    await Agent(model, output_type=Weather).run("?")
    assert model.requests[0]["output"]["strict"] is True

    @dataclasses.dataclass
    class Loose:
        city: str
        degrees: int = 0

    await Agent(model, output_type=Loose).run("?")
    assert model.requests[1]["output"]["strict"] is False


@pytest.mark.parametrize("text", ['{"city": "Oslo"}', "not JSON", '{"city": "Oslo", "degrees": "warm"}', ""])
async def test_an_answer_of_another_type_is_an_error_with_the_transcript(text: str):
    with pytest.raises(InvalidOutputError) as caught:
        await Agent(ScriptedModel().text(text), output_type=Weather, output_retries=0).run("Oslo?")
    assert caught.value.kind == "invalid_output"
    assert [message.text for message in caught.value.partial.messages] == ["Oslo?", text]


# --- dependencies ---


class Db:
    def __init__(self, name: str) -> None:
        self.name = name


@tool
async def owner(ctx: RunContext[Db], number: int) -> str:
    return f"{ctx.deps.name} {number} {ctx.tool_name} {ctx.tool_call_id} {ctx.run_id}"


async def test_dependencies_reach_the_tools_of_their_run_only():
    model = ScriptedModel().tool_calls(("owner", {"number": 7})).text("done").repeat()
    agent = Agent(model, tools=[owner], deps_type=Db)

    async def one(name: str) -> None:
        fresh = Agent(ScriptedModel().tool_calls(("owner", {"number": 7})).text("done"), tools=[owner], deps_type=Db)
        result = await fresh.run("?", deps=Db(name))
        told = result.messages[2].parts[0]["parts"][0]["text"]
        assert told == f"{name} 7 owner {result.messages[1].tool_calls[0]['id']} {result.run_id}"

    await asyncio.gather(*(one(name) for name in ("a", "b", "c")))
    with pytest.raises(TypeError, match=r"'agent' was made for deps of the type Db, it was given str"):
        await agent.run("?", deps="wrong")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="given NoneType"):
        await agent.run("?")


# --- models ---


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        (
            "gpt-4o",
            r"'gpt-4o' does not say whose it is; write openai:gpt-4o "
            rf"\(known are: {', '.join(f'{prefix}:' for prefix in PROVIDERS)}\)",
        ),
        ("mystery:x", r"unknown prefix 'mystery'; known are: openai:"),
        ("openai:", "has no name after the prefix"),
    ],
)
def test_a_model_name_that_means_nothing_is_refused(model: str, wanted: str):
    with pytest.raises(ConfigError, match=wanted):
        Agent(model)


def test_without_a_key_the_error_names_the_variable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY") as caught:
        Agent("openai:gpt-4o-mini")
    assert isinstance(caught.value, ValueError)


async def test_key_and_address_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, recording):
    with ReplayServer(recording("text-stream")) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-from-env")
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        result = await Agent("openai:gpt-4o-mini").run("Hi?")
        assert result.output
        (request,) = server.requests
        headers = {name.lower(): value for name, value in dict(request["headers"]).items()}
        assert headers["authorization"] == "Bearer sk-from-env"
        assert request["body"]["model"] == "gpt-4o-mini"


def test_what_is_no_model_is_refused():
    with pytest.raises(ContractError, match="int is none of these"):
        Agent(7)


def test_settings_of_a_client_that_has_its_own_are_refused():
    with pytest.raises(ConfigError, match="api_key, idle_timeout cannot be set here"):
        Agent(ScriptedModel().text("x"), api_key="sk", idle_timeout=1.0)


async def test_a_client_is_asked_for_the_model_that_is_named(recording):
    with ReplayServer(recording("text-stream")) as server:
        client = InferenceClient.openai(base_url=server.base_url, api_key="sk")
        with pytest.raises(ConfigError, match="model_name="):
            Agent(client)
        agent = Agent(client, model_name="gpt-4.1")
        await agent.run("Hi?")
        assert server.requests[0]["body"]["model"] == "gpt-4.1"


@pytest.mark.parametrize(
    "settings",
    [
        {"max_iterations": 0},
        {"max_parallel_tools": 0},
        {"timeout": -1.0},
        {"timeout": float("nan")},
        {"tool_choice": 7},
        {"prices": {"x": (1.0, 1.0, float("inf"))}},
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_when_the_agent_is_made(settings: dict[str, Any]):
    with pytest.raises((ValueError, TypeError)):
        Agent(ScriptedModel().text("x"), **settings)


def test_an_unknown_setting_is_refused():
    with pytest.raises(TypeError, match="temprature"):
        Agent(ScriptedModel().text("x"), temprature=1.0)


async def test_settings_reach_the_provider():
    model = ScriptedModel().text("x")
    agent = Agent(
        model,
        temperature=0.5,
        top_p=0.9,
        max_tokens=7,
        stop="END",
        seed=3,
        reasoning_effort="low",
        tool_choice="add",
        tools=[add],
        extra_body={"user": "u1"},
    )
    await agent.run("?")
    request = model.requests[0]
    assert request["sampling"] == {
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 7,
        "stop": ["END"],
        "seed": 3,
        "reasoning_effort": "low",
    }
    assert request["tool_choice"] == {"tool": "add"}
    assert request["extra_body"] == {"user": "u1"}


# --- where it can run ---


def test_run_sync_works_where_no_loop_runs_and_more_than_once():
    agent = Agent(ScriptedModel().text("x").repeat())
    assert [agent.run_sync("?").output for _ in range(3)] == ["x", "x", "x"]


def test_ctrl_c_stops_run_sync_and_its_tools():
    code = """
import asyncio, os, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background of a shell ignores it
from atomr_agents import Agent
from atomr_agents.testkit import ScriptedModel

async def slow() -> str:
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        await asyncio.sleep(30)
    finally:
        print("tool ended")
    return "never"

try:
    Agent(ScriptedModel().tool_calls(("slow", {})).text("x"), tools=[slow]).run_sync("?")
except KeyboardInterrupt as error:
    print("interrupted", *[message.role for message in error.partial.messages])
"""
    path = str(Path(atomr_agents.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False, env=environment
    )
    assert (done.stdout.split("\n"), done.stderr) == (["tool ended", "interrupted user assistant tool", ""], "")


async def test_run_sync_inside_a_loop_says_what_to_do():
    agent = Agent(ScriptedModel().text("x"))
    with pytest.raises(RuntimeUnavailableError, match=r"await agent\.run"):
        agent.run_sync("?")


def test_one_agent_serves_several_loops_at_once():
    seen: list[tuple[Any, Any]] = []

    async def where(ctx: RunContext[Any]) -> str:
        await asyncio.sleep(0.01)
        seen.append((ctx.deps, asyncio.get_running_loop()))
        return "here"

    async def model(request):
        if request["messages"][-1]["role"] == "user":
            yield {"type": "tool_call", "id": "c1", "name": "where", "arguments": {}}
        else:
            yield "done"

    agent = Agent(model, tools=[where])
    outputs: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        results = await asyncio.gather(*(agent.run("?", deps=loop) for _ in range(5)))
        outputs.extend(result.output for result in results)

    threads = [threading.Thread(target=lambda: asyncio.run(main())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert outputs == ["done"] * 20
    assert len(seen) == 20
    assert all(deps is loop for deps, loop in seen), "a tool ran on another loop than its caller's"
    assert len({id(loop) for _, loop in seen}) == 4


# --- a step, and the low-level way ---


async def test_an_agent_is_a_step():
    agent = Agent(ScriptedModel().text("Rain.").repeat(), name="weather")
    step = agent.as_callable()
    assert step.label == "weather"
    answer = await step.call("Oslo?")
    assert answer["text"] == "Rain."
    assert set(answer) == {"text", "input_tokens", "output_tokens"}
    assert (await step.call({"user": "Oslo?"}))["text"] == "Rain."
    with pytest.raises(ContractError, match="an agent takes a string"):
        await step.call(7)


async def test_the_builder_gives_a_new_builder_each_time():
    bare = AgentBuilder("adder")
    with pytest.raises(ConfigError, match="with_model"):
        bare.build()
    first = bare.with_model(calls("add").text("3")).with_tools(add)
    second = bare.with_model(ScriptedModel().text("no tools"))
    agent = first.with_instructions("Add.").with_max_iterations(5).build()
    assert (agent.name, agent.model) == ("adder", "scripted")
    result = await agent.run_turn("1 + 2?")
    assert result.output == "3"
    other = await second.build().run_turn("?", history=result.messages)
    assert len(other.messages) == len(result.messages) + 2
    assert agent.as_callable().label == "adder"


async def test_the_builder_takes_every_word():
    from atomr_agents import EventBus

    bus = EventBus()
    builder = AgentBuilder("w").with_model(ScriptedModel().text('{"city": "Oslo", "degrees": 4}'), model_name="m")
    builder = builder.with_output_type(Weather).with_deps_type(Db).with_timeout(5.0).with_bus(bus)
    agent = builder.with_settings(temperature=0.1).with_tools([add], owner).build()
    stream = bus.stream()
    assert (await agent.run_turn("?", deps=Db("x"))).output == Weather("Oslo", 4)
    bus.close()
    kinds = [event.kind async for event in stream]
    assert kinds[0] == "run_started"
    assert agent.model == "m"
