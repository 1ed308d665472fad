"""What once went wrong in programs of this sort, one short test each; `docs/lessons.md` has the list."""

import asyncio
import contextvars
import json
import subprocess
import sys
import threading
from typing import Any

import pytest

import atomr_agents
from atomr_agents import (
    Agent,
    AgentError,
    Budget,
    Callable,
    Pipeline,
    Provider,
    RunContext,
    ToolCallParser,
    fan_out,
    inference_client,
    tool,
    with_config,
    with_retry,
)
from atomr_agents.errors import BudgetExceededError
from atomr_agents.testkit import ReplayServer, ScriptedModel

# --- models that are called, and what they are told ---

MODELS = ["openai:gpt-4o", "openai-responses:gpt-4o", "anthropic:claude-sonnet-4-5", "gemini:gemini-2.5-flash"]


def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


def exchange(model: str) -> tuple[str, list[dict[str, Any]]]:
    """What an agent answers that calls two tools on the way, and the bodies that were sent for it."""
    script = ScriptedModel().tool_calls(("add", {"a": 1, "b": 2}), ("add", {"a": 3, "b": 4})).text("3 and 7.")
    with ReplayServer(script) as server:
        agent = Agent(model, base_url=server.base_url, api_key="any", tools=[add], temperature=0.25)
        output = agent.run_sync("1 + 2, 3 + 4?").output
        return output, [request["body"] for request in server.requests]


@pytest.mark.parametrize("model", MODELS)
def test_an_agent_can_call_every_provider_by_its_name_alone(model: str):
    output, bodies = exchange(model)
    assert output == "3 and 7."
    assert len(bodies) == 2


@pytest.mark.parametrize("model", MODELS)
def test_the_schemas_of_tools_and_the_settings_are_sent_to_every_provider(model: str):
    for body in exchange(model)[1]:
        told = json.dumps(body)
        assert "Adds two numbers." in told
        assert '"a": {"type": "integer"}' in told
        assert '"temperature": 0.25' in told


@pytest.mark.parametrize("model", MODELS)
def test_the_history_has_the_calls_of_the_model_and_each_result_names_its_call(model: str):
    last = exchange(model)[1][1]
    match model.partition(":")[0]:
        case "openai":
            _, asked, *results = last["messages"]
            calls = [call["id"] for call in asked["tool_calls"]]
            answered = [(each["tool_call_id"], each["content"]) for each in results]
        case "openai-responses":
            calls = [each["call_id"] for each in last["input"] if each.get("type") == "function_call"]
            outputs = [each for each in last["input"] if each.get("type") == "function_call_output"]
            answered = [(each["call_id"], each["output"]) for each in outputs]
        case "anthropic":
            _, asked, results = last["messages"]
            calls = [each["id"] for each in asked["content"] if each["type"] == "tool_use"]
            answered = [(each["tool_use_id"], text_of(each["content"])) for each in results["content"]]
        case _:
            _, asked, results = last["contents"]
            # Calls may have no ids there: name and order tell which result is whose.
            calls = [each["functionCall"]["name"] for each in asked["parts"]]
            responses = [each["functionResponse"] for each in results["parts"]]
            answered = [(each["name"], str(next(iter(each["response"].values())))) for each in responses]
    assert answered == list(zip(calls, ["3", "7"], strict=True))


def text_of(content: Any) -> str:
    return content if isinstance(content, str) else "".join(each["text"] for each in content)


async def test_calls_are_run_although_the_provider_says_that_it_has_stopped(wire, http, openai):
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}}
    answers = [http.chunk({"tool_calls": [call]}) + http.chunk(finish="stop"), http.chunk({"content": "3"}, "stop")]

    async def answer(_: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(http.head + answers.pop(0) + http.done)
        await writer.drain()
        writer.close()

    server = await wire(answer)
    result = await openai(server.base_url, tools=[add]).run("1 + 2?")
    assert result.output == "3"
    assert result.messages[2].parts[0]["parts"][0]["text"] == "3"


async def test_a_piece_is_shown_before_the_next_one_is_written(wire, http, openai):
    read = asyncio.Event()
    function = {"name": "add", "arguments": '{"a": '}
    call = {"index": 0, "id": "c1", "type": "function", "function": function}
    pieces = [http.chunk({"content": "Let "}), http.chunk({"content": "me see."}), http.chunk({"tool_calls": [call]})]

    async def answer(_: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(http.head)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.wait_for(read.wait(), 10)  # nothing more comes before this piece was seen
            read.clear()
        writer.close()

    server = await wire(answer)
    seen: list[Any] = []
    async with openai(server.base_url, tools=[add]).stream("?") as stream:
        async for event in stream:
            if event.kind in ("text_delta", "tool_call_streamed") and (piece := event.text or event.arguments):
                seen.append((event.kind, piece))
                read.set()
            if len(seen) == 3:
                break
    assert seen == [("text_delta", "Let "), ("text_delta", "me see."), ("tool_call_streamed", '{"a": ')]


async def test_one_client_serves_many_runs_at_the_same_time():
    together = asyncio.Barrier(20)

    @inference_client
    async def meeting(request: dict[str, Any]):
        await asyncio.wait_for(together.wait(), 10)  # one after the other, nobody would come here twice
        yield "here"

    agent = Agent(meeting)
    results = await asyncio.gather(*(agent.run("?") for _ in range(20)))
    assert {result.output for result in results} == {"here"}


def test_the_ids_of_runs_do_not_begin_anew_in_every_process():
    program = (
        "from atomr_agents import Agent\nfrom atomr_agents.testkit import ScriptedModel\n"
        "print(Agent(ScriptedModel().text('x')).run_sync('?').run_id)"
    )
    ids = {subprocess.check_output([sys.executable, "-c", program], text=True, timeout=50) for _ in range(2)}
    assert len(ids) == 2


async def test_a_budget_never_costs_an_agent_its_instructions():
    told = []
    for tokens in (1, 10, 30, 100, 1_000):
        model = ScriptedModel().text("Yes.")
        agent = Agent(model, instructions="Never say no.", budget=Budget(tokens=tokens), max_tokens=50)
        try:
            await agent.run("No?")
        except BudgetExceededError:
            assert model.requests == []
        for request in model.requests:
            told.append(request["messages"][0])
    assert told
    assert all(each == {"role": "system", "parts": [{"type": "text", "text": "Never say no."}]} for each in told)


# --- calls that are read from a stream ---


def test_a_text_block_of_anthropic_is_no_call():
    parser = ToolCallParser(Provider.anthropic())
    parser.feed({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    parser.feed({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Let me see."}})
    parser.feed({"type": "content_block_stop", "index": 0})
    assert parser.finish() == []


def test_deltas_without_calls_are_passed_over_and_a_name_that_is_sent_again_is_not_doubled():
    parser = ToolCallParser(Provider.openai())
    parser.feed({"content": "Let me see."})
    parser.feed({"role": "assistant"})
    for arguments in ('{"a"', ": 1}"):
        function = {"name": "calc", "arguments": arguments}
        parser.feed({"tool_calls": [{"index": 0, "id": "c1", "function": function}]})
    (call,) = parser.finish()
    assert (call.name, call.arguments()) == ("calc", {"a": 1})


# --- names ---


def test_no_public_name_stands_for_nothing():
    modules = [atomr_agents, *(getattr(atomr_agents, name) for name in atomr_agents.__all__)]
    modules = [each for each in modules if hasattr(each, "__path__") or type(each).__name__.endswith("odule")]
    assert len(modules) > 5
    for module in modules:
        empty = [name for name in getattr(module, "__all__", ()) if getattr(module, name) is None]
        assert not empty, f"{module.__name__}: {empty}"


# --- functions that the core calls ---


async def test_a_blocking_call_of_an_async_step_works_beside_a_running_loop():
    async def double(n: int) -> int:
        await asyncio.sleep(0.001)
        return 2 * n

    step = Callable.from_callable(double)
    assert await asyncio.wait_for(asyncio.to_thread(step.call_sync, 21), 10) == 42


async def test_async_branches_of_a_pipeline_run_on_the_loop_of_the_caller():
    loop = asyncio.get_running_loop()

    async def here(_: Any) -> bool:
        await asyncio.sleep(0)
        return asyncio.get_running_loop() is loop

    split = Pipeline.from_(here).fan_out_with({"a": here, "b": Pipeline.from_(here).fan_out_with({"c": here}).build()})
    assert await split.build().call(None) == {"a": True, "b": {"c": True}}


async def test_a_step_may_return_any_awaitable_and_be_a_step_itself():
    async def double(n: int) -> int:
        return 2 * n

    def future(n: int, ctx: RunContext[None]) -> Any:
        # On a worker thread: the future is of the loop that waits for it.
        made = asyncio.run_coroutine_threadsafe(double(n), loop)
        return asyncio.wrap_future(made, loop=loop)

    loop = asyncio.get_running_loop()
    step = Callable.from_callable(double)
    for target, wanted in [
        (step, 4),
        (step.call, 4),
        (lambda n: step.call(n), 4),
        (future, 4),
        (Pipeline.from_(step).then(step).build(), 8),
    ]:
        assert await Callable.from_callable(target).call(2) == wanted
        assert await Pipeline.from_(target).build().call(2) == wanted


async def test_a_plain_tool_may_use_asyncio():
    async def double(n: int) -> int:
        await asyncio.sleep(0)
        return 2 * n

    @tool
    def own_loop(n: int) -> int:
        return asyncio.run(double(n))

    @tool
    def left_to_the_caller(n: int) -> Any:
        return double(n)

    model = ScriptedModel().tool_calls(("own_loop", {"n": 1}), ("left_to_the_caller", {"n": 2})).text("done")
    result = await Agent(model, tools=[own_loop, left_to_the_caller]).run("?")
    assert [part["parts"][0]["text"] for part in result.messages[2].parts] == ["2", "4"]


async def test_plain_steps_see_the_context_variables_of_the_caller():
    user = contextvars.ContextVar("user", default="nobody")

    def whose(_: Any) -> list[Any]:
        return [user.get(), threading.current_thread() is threading.main_thread()]

    user.set("ada")
    answer = await fan_out({"a": whose, "b": whose}).call(None)
    assert answer == {"a": ["ada", False], "b": ["ada", False]}


@pytest.mark.parametrize(
    "error",
    [
        TypeError("one argument too many"),
        AttributeError("no such name"),
        NameError("no such name"),
        NotImplementedError(),
        BudgetExceededError("the budget of 10 tokens is used up"),
        SystemExit(1),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_mistakes_and_used_up_budgets_are_not_tried_again(error: BaseException):
    tries: list[int] = []

    def fails(n: int) -> None:
        tries.append(n)
        raise error

    with pytest.raises((type(error), AgentError)):
        await with_retry(fails, max_attempts=5, initial_backoff_ms=1).call(7)
    assert tries == [7]


async def test_what_with_config_says_reaches_the_tools_below_it():
    seen: list[Any] = []

    def look(ctx: RunContext[None]) -> str:
        seen.append((ctx.path, ctx.tags, ctx.metadata))
        return "seen"

    agent = Agent(ScriptedModel().tool_calls(("look", {})).text("done").repeat(), tools=[look])
    inner = with_config(agent, "inner", ["b"], {"tenant": "acme", "n": [1, None]})
    assert (await with_config(inner, "outer", ["a"], {"tenant": "x", "who": "me"}).call("?"))["text"] == "done"
    await agent.run("?")
    (path, tags, metadata), plain = seen
    assert path.startswith("outer/inner")
    assert (tags, metadata) == (("a", "b"), {"tenant": "acme", "n": [1, None], "who": "me"})
    assert plain[1:] == ((), {})
