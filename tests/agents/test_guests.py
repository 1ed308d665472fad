"""The registry of guests and its decorators."""

import asyncio
from typing import Any

import pytest

from atomr_agents import (
    Agent,
    ann_index,
    callable_,
    clear_factories,
    embedder,
    guest,
    inference_client,
    journal,
    kv_cache,
    list_factories,
    loader,
    long_store,
    memory_store,
    parser,
    repair_model,
    retriever,
    splitter,
    strategy,
    tool,
    tracer,
)
from atomr_agents.errors import ContractError, RefusalError
from atomr_agents.testkit import ScriptedModel

FAMILIES = ["instruction", "tool", "memory", "skill", "loop", "termination"]


def strategy_of(family: str) -> Any:
    def decorator(target: Any = None, *, name: str | None = None) -> Any:
        decorate = strategy(kind=family, name=name)
        return decorate if target is None else decorate(target)

    return decorator


DECORATORS: dict[str, Any] = {
    "tool": tool,
    "callable_": callable_,
    "tracer": tracer,
    "inference_client": inference_client,
    "parser": parser,
    "embedder": embedder,
    "ann_index": ann_index,
    "repair_model": repair_model,
    "loader": loader,
    "splitter": splitter,
    "kv_cache": kv_cache,
    "retriever": retriever,
    "memory_store": memory_store,
    "long_store": long_store,
    "journal": journal,
    **{f"strategy:{family}": strategy_of(family) for family in FAMILIES},
}


# These are objects with several methods, which no function stands for; `@tool` gives a `Tool`.
OBJECTS = ("tool", "journal", "ann_index", "memory_store", "long_store", "kv_cache")


def test_every_kind_has_its_decorator_and_its_builder():
    assert sorted(guest.kinds()) == sorted(DECORATORS)
    for kind in guest.kinds():
        name, _, family = kind.partition(":")
        decorator = strategy if family else DECORATORS[kind]
        assert getattr(guest, name) in (decorator, getattr(decorator, "__wrapped__", None))
        builder = f"{family}_strategy" if family else kind.rstrip("_")
        assert callable(getattr(guest, f"{builder}_from_factory"))
        assert guest.methods(kind)


@pytest.mark.parametrize("kind", sorted(DECORATORS))
def test_every_kind_refuses_what_is_none(kind: str):
    with pytest.raises(ContractError, match=kind):
        DECORATORS[kind](7)

    class Nothing:
        pass

    with pytest.raises(ContractError, match=kind):
        DECORATORS[kind](Nothing)
    with pytest.raises(ContractError, match=kind):
        DECORATORS[kind](Nothing())
    assert list_factories(kind) == []


@pytest.mark.parametrize("kind", [kind for kind in DECORATORS if kind not in OBJECTS])
def test_decorators_give_the_object_back(kind: str):
    async def stream(request, ctx):
        yield "x"

    def plain(value):
        return value

    target = stream if kind == "inference_client" else plain
    assert DECORATORS[kind](target) is target
    assert DECORATORS[kind](name="other")(target) is target
    assert list_factories(kind) == sorted([target.__name__, "other"])
    assert guest.target(kind, "other") is target
    assert clear_factories() == 2
    assert list_factories(kind) == []


def test_an_unknown_kind_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="tool, callable_, tracer, inference_client"):
        guest.list_factories("nonsense")


def test_contract_errors_say_whose_and_which():
    with pytest.raises(ContractError) as caught:
        tracer(name="mine")(7)
    assert caught.value.kind == "contract"
    assert (caught.value.guest, caught.value.key, caught.value.method) == ("tracer", "mine", "on_event")


# --- models of one's own ---


def weather(city: str) -> str:
    return f"rain in {city}"


async def test_a_model_of_ones_own_streams_calls_tools_and_reports_usage():
    @inference_client
    class Mine:
        """A model that calls a tool first."""

        def __init__(self) -> None:
            self.requests: list[dict[str, Any]] = []

        async def stream(self, request, ctx):
            self.requests.append(request)
            await asyncio.sleep(0)
            if len(self.requests) == 1:
                yield {"type": "thinking", "text": "hm"}
                yield {"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Oslo"}}
                yield {"type": "usage", "input_tokens": 5, "output_tokens": 2}
                yield {"type": "finish", "reason": "tool_calls"}
            else:
                yield "Rain"
                yield {"type": "text", "text": "."}
                yield {"type": "usage", "input_tokens": 7, "output_tokens": 3}
                yield {"type": "finish", "reason": "stop"}

    agent = Agent(Mine, tools=[weather])
    stream = agent.stream("Oslo?")
    events = [event async for event in stream]
    result = await stream.result()
    assert agent.model == "Mine"
    assert result.output == "Rain."
    assert (result.usage.input_tokens, result.usage.output_tokens) == (12, 5)
    assert [event.text for event in events if event.kind == "thinking_delta"] == ["hm"]
    mine = guest.target("inference_client", "Mine")
    assert mine.requests[1]["messages"][-1]["parts"][0]["parts"] == [{"type": "text", "text": "rain in Oslo"}]
    again = guest.inference_client_from_factory("Mine")
    assert again.provider == "Mine"
    assert (await Agent(again).run("?")).output == "Rain."


async def test_functions_and_instances_are_models_too():
    async def parrot(request):
        yield request["messages"][-1]["parts"][0]["text"]
        yield {"type": "finish"}

    class Named:
        def __init__(self, text: str) -> None:
            self.text = text

        async def stream(self, request, ctx):
            yield self.text
            yield {"type": "finish"}

    assert (await Agent(parrot).run("Polly?")).output == "Polly?"
    instance = inference_client(name="pirate")(Named("Arr."))
    agent = Agent(instance, model_name="parrot-2")
    assert (await agent.run("?")).output == "Arr."
    assert Agent(instance).model == "pirate"
    assert agent.model == "parrot-2"


async def test_a_model_that_says_no_more_has_finished():
    async def short(request):
        yield "Rain."

    async def caller(request):
        if len(request["messages"]) == 1:
            yield {"type": "tool_call", "id": "c1", "name": "weather", "arguments": '{"city": "Oslo"}'}

    assert (await Agent(short).run("?")).output == "Rain."
    result = await Agent(caller, tools=[weather]).run("?")
    assert (result.output, result.iterations) == ("", 2)


async def test_the_context_is_given_to_a_model_that_takes_it():
    seen: list[Any] = []

    async def curious(request, ctx):
        seen.append((ctx.run_id, ctx.deps))
        yield "x"

    result = await Agent(curious).run("?", deps="mine")
    assert seen == [(result.run_id, "mine")]


async def test_a_model_that_refuses():
    async def no(request):
        yield {"type": "refusal", "text": "I would rather not."}
        yield {"type": "finish"}

    with pytest.raises(RefusalError, match="I would rather not"):
        await Agent(no).run("?")


@pytest.mark.parametrize("item", [7, {"type": "nonsense"}, {"text": "no type"}, {"type": "tool_call"}, object()])
async def test_a_model_that_yields_something_else_broke_its_contract(item: Any):
    async def odd(request):
        yield item

    with pytest.raises(ContractError, match=r'inference_client "odd": stream broke its contract'):
        await Agent(odd).run("?")


async def test_a_cancelled_run_closes_the_models_generator():
    closed = asyncio.Event()

    async def slow(request):
        try:
            yield "one "
            await asyncio.sleep(20)
        finally:
            closed.set()

    stream = Agent(slow).stream("?")
    async for event in stream:
        if event.kind == "text_delta":
            break
    await stream.aclose()
    await asyncio.wait_for(closed.wait(), 2)


async def test_a_guest_can_run_an_agent():
    inner = Agent(ScriptedModel().text("4 degrees").repeat(), name="inner")

    @tool
    async def ask(question: str) -> str:
        return (await inner.run(question)).output

    model = ScriptedModel().tool_calls(("ask", {"question": "Oslo?"}), ("ask", {"question": "Rome?"})).text("ok")
    result = await Agent(model, tools=[ask]).run("?")
    assert [part["parts"][0]["text"] for message in result.messages[2:-1] for part in message.parts] == [
        "4 degrees",
        "4 degrees",
    ]
