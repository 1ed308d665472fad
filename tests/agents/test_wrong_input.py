"""Whatever is given wrongly is refused with an error of this package that names it; nothing is taken by guess."""

import math
from collections.abc import Callable as Function
from typing import Any

import pytest

import atomr_agents
from atomr_agents import (
    Agent,
    AgentBuilder,
    AgentError,
    EventBus,
    Message,
    Pipeline,
    RunContext,
    branch,
    fan_out,
    lambda_,
    tool,
    with_config,
    with_fallbacks,
    with_retry,
    with_timeout,
)
from atomr_agents.errors import ConfigError, ContractError, SchemaError
from atomr_agents.testkit import ReplayServer, ScriptedModel

SECRET = "sk-not-to-be-shown"
OBJECT = object()
NO_TEXT = [0, 1.5, b"x", [], {}, OBJECT, True]
NO_COUNT = [-1, 1.5, math.nan, math.inf, "", "3", b"x", [], {}, OBJECT, True, 10**30]
NO_SECONDS = [0, -1, math.nan, math.inf, "", "3", b"x", [], {}, OBJECT, True, 10**30]
NO_NUMBER = [math.nan, math.inf, "", "3", b"x", [], {}, OBJECT, True]
NO_DICT = [0, 1.5, math.nan, "", "x", b"x", [], OBJECT, True]
NO_LIST = [0, 1.5, "x", b"x", OBJECT, True]

SETTINGS: dict[str, list[Any]] = {
    "instructions": [None, *NO_TEXT],
    "name": [None, "", " ", *NO_TEXT],
    "model_name": ["", " ", *NO_TEXT],
    "base_url": ["", *NO_TEXT],
    "api_key": ["", " ", *NO_TEXT],
    "max_iterations": [None, 0, *NO_COUNT],
    "max_parallel_tools": [None, 0, *NO_COUNT],
    "timeout": NO_SECONDS,
    "temperature": [-1, *NO_NUMBER],
    "top_p": [-1, 1.5, *NO_NUMBER],
    "max_tokens": [0, *NO_COUNT],
    "stop": [None, "", [""], [1], *NO_LIST[:2], {}],
    "seed": NO_COUNT[1:],
    "reasoning_effort": ["", *NO_TEXT],
    "tool_choice": [None, "", "subtract", *NO_TEXT],
    "extra_body": NO_DICT,
    "prices": [*NO_DICT, {"m": 1.0}, {"m": (1.0, 2.0)}, {"m": (1.0, 2.0, -1.0)}, {"m": "123"}, {1: (1.0, 1.0, 1.0)}],
    "bus": ["", *NO_LIST, [EventBus(), 3]],
    "tools": [None, "", {}, *NO_LIST],
    "memory": ["", {}, [], *NO_LIST],
    "skills": [None, "", {}, ["x"], *NO_LIST],
    "output_type": [0, 1.5, "", "x", b"x", [], OBJECT, True],
    "deps_type": [0, 1.5, "", "x", b"x", [], {}, OBJECT, True],
    "output_mode": ["", "x", *NO_TEXT],
    "output_retries": [None, *NO_COUNT],
    "description": [None, *NO_TEXT],
    "handoffs": [None, "", {}, *NO_LIST, [3], [None]],
    "middleware": [None, "", {}, *NO_LIST, [3], [None], [OBJECT]],
    "budget": ["", *NO_LIST],
    "grants": ["", 0, b"x", OBJECT, [3], [""]],
    "approvals": ["", *NO_LIST],
    "session_policy": ["", "wait", 0, 1.5, b"x", [], {}, OBJECT, True],
    "sessions": ["queue", 0, 1.5, b"x", [], {}, OBJECT, True],
    "store": ["", 0, 1.5, b"x", [], {}, OBJECT, True, "nonsense://host"],
    "fallbacks": [None, "", {}, *NO_LIST],
    "cache": ["", *NO_LIST],
    "thinking_budget": NO_COUNT,
    "metadata": NO_DICT,
    "prompt_cache": [None, "", {}, *NO_LIST, ["x"]],
    "watch_prompt": [None, 0, "", "x", OBJECT],
    "connect_timeout": NO_SECONDS,
    "first_byte_timeout": NO_SECONDS,
    "idle_timeout": NO_SECONDS,
    "max_attempts": [0, *NO_COUNT],
    "max_connections": [0, *NO_COUNT, 2**64 - 1],
}
OF_THE_CLIENT = {"base_url", "api_key", "connect_timeout", "first_byte_timeout", "idle_timeout", "max_attempts"}


def add(a: int, b: int = 1) -> int:
    """Adds."""
    return a + b


def refused(make: Function[[], object], *names: str, kind: type[AgentError] = AgentError) -> None:
    with pytest.raises(kind) as caught:
        make()
    said = str(caught.value)
    assert all(name in said for name in names), said
    assert SECRET not in said


def test_the_table_knows_every_setting():
    settings = set(Agent.__init__.__kwdefaults__)
    assert settings == set(SETTINGS)


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_wrong_setting_is_named(setting: str):
    named = setting.replace("_", " ") if setting == "output_type" else setting
    for value in SETTINGS[setting]:
        if setting in OF_THE_CLIENT or setting == "max_connections":
            options = {"api_key": SECRET, setting: value}
            refused(lambda options=options: Agent("openai:m", **options), named, kind=ConfigError)
        else:
            model = ScriptedModel().text("x")
            named = "price" if setting == "prices" else named
            refused(lambda model=model, value=value: Agent(model, **{setting: value}), named)


def test_settings_at_their_limits_are_taken():
    bus = EventBus(1)
    for settings in (
        {"max_iterations": 1, "max_parallel_tools": 1, "timeout": 0.5, "temperature": 0, "top_p": 1, "max_tokens": 1},
        {"stop": ("a", "b"), "seed": -(2**63), "tools": (add,), "tool_choice": "required", "bus": (bus, bus)},
        {"output_type": None, "deps_type": None, "extra_body": {}, "prices": {"scripted": (0, 0, 1)}, "bus": []},
        {"deps_type": int | None, "timeout": 3},
        {"deps_type": RunContext[int], "tools": (each for each in [add])},
        {"timeout": 2**31 - 1, "max_iterations": 2**31 - 1, "max_parallel_tools": 2**31 - 1},
    ):
        Agent(ScriptedModel().text("x"), **settings)  # type: ignore[call-overload]
    assert Agent(ScriptedModel().text("x"), output_type=None).run_sync("?").output == "x"
    Agent("openai:m", api_key=SECRET, max_attempts=1, max_connections=2**31 - 1, connect_timeout=1e-3)


def test_a_choice_of_a_tool_that_is_not_there_says_which_there_are():
    refused(lambda: Agent(ScriptedModel(), tools=[add], tool_choice="ad"), "tool_choice", "'ad'", "add")
    refused(lambda: Agent(ScriptedModel(), tool_choice="required"), "tool_choice", "none")


@pytest.mark.parametrize("prompt", [None, 0, 1.5, b"x", {}, OBJECT, [1], ["x"], [{"role": "user"}], {"role": "user"}])
async def test_a_prompt_or_a_history_that_is_none_is_named(prompt: Any):
    agent = Agent(ScriptedModel().text("x").repeat())
    for name, given in (("prompt", (prompt, None)), ("history", ("x", prompt))):
        if name == "history" and prompt is None:
            continue
        with pytest.raises(ContractError, match=f"{name} must be .*Message.from_dict"):
            await agent.run(given[0], history=given[1])
        with pytest.raises(ContractError, match=name):
            agent.stream(given[0], history=given[1])


def test_deps_of_another_type_are_named():
    refused(
        lambda: Agent(ScriptedModel().text("x"), deps_type=int).run_sync("x", deps="no"),  # type: ignore[arg-type]
        "int",
        "str",
        kind=ContractError,
    )


OPTIONS: dict[str, list[Any]] = {
    "toolset": ["", *NO_TEXT],
    "name": ["", *NO_TEXT],
    "description": NO_TEXT,
    "timeout": NO_SECONDS,
    "retries": [None, *NO_COUNT],
    "parameters": NO_DICT,
    "strict": [None, 0, 1, "", "yes", [], OBJECT],
}


@pytest.mark.parametrize("option", OPTIONS)
def test_a_wrong_option_of_a_tool_is_named(option: str):
    for value in OPTIONS[option]:
        refused(
            lambda value=value: tool(**{option: value})(add), option, kind=AgentError if value == "" else ConfigError
        )


def test_an_annotation_that_is_no_type_is_named():
    def first(a: [int]) -> int:  # type: ignore[valid-type]  # pyright: ignore
        return 1

    refused(lambda: tool(first), "`first`", "`a`", kind=SchemaError)


def test_a_method_that_is_not_bound_says_what_to_write():
    class Shop:
        def price(self, article: str) -> int:
            """The price."""
            return len(article)

    refused(lambda: tool(Shop.price), "`price`", "`self`", "instance.method", kind=SchemaError)
    assert tool(Shop().price)("bread") == 5


@pytest.mark.parametrize("value", [*NO_COUNT, None, 0])
def test_a_wrong_capacity_is_named(value: Any):
    refused(lambda: EventBus(value), "capacity", kind=ConfigError)


STEPS: list[tuple[str, list[Any], Function[[Any], object]]] = [
    ("", [None, 0, "x", [], {}, OBJECT], lambda value: Pipeline.from_(value)),
    ("", [None, 0, "x", [], {}, OBJECT], lambda value: Pipeline.from_(add).then(value)),
    ("key", [None, *NO_TEXT], lambda value: Pipeline.from_(add).assign(value, add)),
    ("branches", [None, *NO_LIST], lambda value: fan_out(value)),
    ("branches", [None, *NO_LIST], lambda value: Pipeline.from_(add).fan_out_with(value)),
    ("name of a branch", [None, 0, b"x"], lambda value: fan_out({value: add})),
    ("alternates", [None, *NO_LIST, {}, add], lambda value: with_fallbacks(add, value)),
    ("max_attempts", [None, 0, *NO_COUNT], lambda value: with_retry(add, max_attempts=value)),
    ("initial_backoff_ms", [None, *NO_COUNT], lambda value: with_retry(add, initial_backoff_ms=value)),
    ("backoff_multiplier", [0.5, *NO_NUMBER], lambda value: with_retry(add, backoff_multiplier=value)),
    ("max_backoff_ms", [None, *NO_COUNT], lambda value: with_retry(add, max_backoff_ms=value)),
    ("milliseconds", [None, 0, *NO_COUNT], lambda value: with_timeout(add, value)),
    ("run_name", ["", *NO_TEXT], lambda value: with_config(add, run_name=value)),
    ("tags", ["x", 0, [1], {}], lambda value: with_config(add, tags=value)),
    ("metadata", NO_DICT, lambda value: with_config(add, metadata=value)),
    ("label", ["", *NO_TEXT], lambda value: lambda_(add, value)),
    ("", [None, 0, "x"], lambda value: branch(value, add, add)),
]


@pytest.mark.parametrize(("name", "values", "make"), STEPS)
def test_a_wrong_word_of_a_step_is_named(name: str, values: list[Any], make: Function[[Any], object]):
    for value in values:
        refused(lambda value=value: make(value), name)


SCRIPT: list[tuple[str, list[Any], Function[[Any], object]]] = [
    ("text", [None, *NO_TEXT], lambda value: ScriptedModel().text(value)),
    ("call", [None, 0, "add", ("add",), ("add", 1, 2), (1, {})], lambda value: ScriptedModel().tool_calls(value)),
    ("arguments of add", [None, 0, [], OBJECT], lambda value: ScriptedModel().tool_calls(("add", value))),
    ("/a", [math.nan, b"x", 2**64], lambda value: ScriptedModel().tool_calls(("add", {"a": value}))),
    ("kind", [None, 0, "", "busy"], lambda value: ScriptedModel().error(value, "no")),
    ("message", [None, *NO_TEXT], lambda value: ScriptedModel().error("rate_limited", value)),
    ("seconds", NO_SECONDS, lambda value: ScriptedModel().delay(value)),
    ("exchanges", [0, "", "nowhere", [], [0], b"x", {}, OBJECT], lambda value: ReplayServer(value)),
    ("mode", [None, 0, "", "random"], lambda value: ReplayServer(mode=value)),
    ("cut", [None, 0, "", "half"], lambda value: ReplayServer(cut=value)),
    ("seed", [None, *NO_COUNT], lambda value: ReplayServer(seed=value)),
    ("delay_ms", [None, *NO_COUNT], lambda value: ReplayServer(delay_ms=value)),
]


@pytest.mark.parametrize(("name", "values", "make"), SCRIPT)
def test_a_wrong_word_of_the_testkit_is_named(name: str, values: list[Any], make: Function[[Any], object]):
    for value in values:
        refused(lambda value=value: make(value), name)


def test_an_answer_without_calls_is_no_answer_with_calls():
    refused(lambda: ScriptedModel().tool_calls(), "at least one call", kind=ConfigError)


def test_a_folder_that_is_no_recording_says_what_one_is(tmp_path: Any):
    refused(lambda: ReplayServer(tmp_path), "response.body", kind=ConfigError)


def test_builders_and_decorators_name_what_is_wrong():
    for value in (None, "", *NO_TEXT):
        refused(lambda value=value: AgentBuilder(value), "name", kind=ConfigError)
    begun = AgentBuilder().with_model(ScriptedModel().text("x"))
    refused(lambda: begun.with_bus(3).build(), "bus", kind=ConfigError)  # type: ignore[arg-type]
    refused(lambda: begun.with_timeout(-1).build(), "timeout", kind=ConfigError)
    refused(lambda: begun.with_tools(3).build(), "@tool", kind=ContractError)
    for decorator in (atomr_agents.callable_, atomr_agents.tracer, atomr_agents.inference_client):
        for value in ("", *NO_TEXT):
            refused(lambda decorator=decorator, value=value: decorator(name=value), "name", kind=ConfigError)


def test_nothing_that_is_printed_shows_a_key():
    agent = Agent("openai:m", api_key=SECRET, base_url="http://127.0.0.1:9/v1", max_attempts=1)
    builder = AgentBuilder("x").with_model("openai:m", api_key=SECRET)
    with pytest.raises(AgentError) as caught:
        agent.run_sync("x")
    shown = [
        agent,
        builder,
        builder.build(),
        agent.as_callable(),
        agent.stream("x"),
        caught.value,
        caught.value.__dict__,
    ]
    assert [each for each in shown if SECRET in repr(each) or SECRET in str(each)] == []
    for key in (SECRET + "\n", SECRET + "\r\nX-Other: 1", "\0" + SECRET):
        refused(lambda key=key: Agent("openai:m", api_key=key), "api_key", kind=ConfigError)
    address = f"http://user:{SECRET}@127.0.0.1:9/v1"
    refused(lambda: Agent("openai:m", api_key="k", base_url=address), "base_url", kind=ConfigError)


def test_every_public_object_can_be_printed():
    agent = Agent(ScriptedModel().text("x").repeat(), tools=[add])
    bus = EventBus()
    things = [bus, bus.stream(), bus.attach_tracer(print), Pipeline.from_(add), agent.stream("x"), AgentBuilder("a")]
    things += [agent, agent.run_sync("x"), agent.as_callable(), tool(add), Message.user("x"), ScriptedModel()]
    with ReplayServer() as server:
        assert server.base_url in repr(server)
    assert repr(server) == "<ReplayServer, closed>"
    for each in things:
        assert " object at 0x" not in repr(each), repr(each)


def test_a_prompt_that_utf_8_cannot_carry_is_refused():
    agent = Agent(ScriptedModel().text("x"))
    refused(lambda: agent.run_sync("ab\ud800"), "prompt", "surrogate at 2", kind=ContractError)


def test_a_script_in_use_cannot_be_written_on():
    model = ScriptedModel().text("x")
    Agent(model)
    for write in (
        lambda: model.text("y"),
        lambda: model.tool_calls(("add", {})),
        lambda: model.error("server_error", "no"),
        lambda: model.delay(1),
        lambda: model.repeat(),
    ):
        refused(write, "before", kind=ConfigError)
    assert Agent(model).run_sync("?").output == "x"


def test_a_server_that_was_closed_says_so():
    with ReplayServer() as server:
        pass
    refused(lambda: server.base_url, "closed", kind=ConfigError)
    assert server.requests == []


def test_a_model_without_a_name_is_refused_and_spaces_around_it_do_no_harm():
    for model in ("openai:", "openai: ", " openai:\n"):
        refused(lambda model=model: Agent(model, api_key="k"), "no name after the prefix", kind=ConfigError)
    refused(lambda: Agent("", api_key="k"), "openai:gpt-4o-mini", kind=ConfigError)
    assert Agent(" openai: gpt-4o ", api_key="k").model == "gpt-4o"
