"""Where a model's name leads: prefixes, keys, chains and caches."""

import asyncio
from typing import Any

import pytest

from atomr_agents import Agent, InferenceClient, InMemoryLlmCache, Provider, ToolCallParser, tool
from atomr_agents.errors import ConfigError, StreamInterruptedError
from atomr_agents.testkit import ScriptedModel

KEYS = {
    "openai": ("OPENAI_API_KEY",),
    "openai-responses": ("OPENAI_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
}


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch):
    for names in KEYS.values():
        for name in (*names, "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "GEMINI_BASE_URL"):
            monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("prefix", KEYS)
def test_a_provider_is_reached_by_its_prefix_and_names_the_variable_of_its_key(
    prefix: str, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(ConfigError) as caught:
        Agent(f"{prefix}:some-model")
    assert all(name in str(caught.value) for name in KEYS[prefix])
    for name in KEYS[prefix]:
        with monkeypatch.context() as one:
            one.setenv(name, "sk-canary")
            agent = Agent(f"{prefix}:some-model")
            assert agent.model == "some-model" and "canary" not in repr(agent)
    assert Agent(f"{prefix}:m", base_url="http://localhost:1").model == "m", "a server on this machine needs no key"
    assert Agent(f"{prefix}:m", api_key="sk-canary", max_attempts=1, idle_timeout=3).model == "m"


@pytest.mark.parametrize("prefix", KEYS)
def test_every_provider_has_a_parser_of_its_tool_calls(prefix: str):
    assert Provider(prefix).name == prefix
    assert getattr(Provider, prefix.replace("-", "_"))() == Provider(prefix)
    assert ToolCallParser(Provider(prefix)).finish() == []


async def test_the_next_model_answers_when_the_first_fails_before_its_first_word():
    first, second = ScriptedModel().error("server_error", "down"), ScriptedModel().text("second")
    agent = Agent(first, fallbacks=[second])
    async with agent.stream("go") as stream:
        kinds = [event.kind async for event in stream]
        assert (await stream.result()).output == "second"
    assert "model_fallback" in kinds and len(second.requests) == 1
    spoke = ScriptedModel().text("half an answer").error("stream_interrupted", "cut")
    agent = Agent(spoke, fallbacks=[ScriptedModel().text("never")])
    assert (await agent.run("go")).output == "half an answer"
    with pytest.raises(StreamInterruptedError):
        await Agent(ScriptedModel().error("stream_interrupted", "cut"), fallbacks=[]).run("go")
    with pytest.raises(ConfigError, match="does not say whose"):
        Agent(ScriptedModel(), fallbacks=["gpt-4o"])


async def test_what_the_cache_holds_is_not_asked_for_again_and_costs_nothing():
    cache = InMemoryLlmCache()
    model = ScriptedModel().text("a b c")
    agent = Agent(model, cache=cache)
    first = await agent.run("go")
    async with agent.stream("go") as stream:
        events = [event async for event in stream]
        second = await stream.result()
    assert (first.output, second.output, len(model.requests)) == ("a b c", "a b c", 1)
    assert [event.text for event in events if event.kind == "text_delta"] == ["a ", "b ", "c"]
    assert any(event.kind == "cache_hit" for event in events)
    assert first.usage.input_tokens == 10 and second.usage.input_tokens == 0


async def test_no_more_calls_of_a_tool_run_at_once_than_it_allows():
    now = most = 0

    @tool(max_concurrency=2)
    async def narrow(n: int) -> int:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        return n

    calls: list[tuple[str, Any]] = [("narrow", {"n": n}) for n in range(7)]
    model = ScriptedModel().tool_calls(*calls).text("done")
    result = await Agent(model, tools=[narrow]).run("go")
    assert (most, narrow.max_concurrency) == (2, 2)
    assert [part["parts"][0]["text"] for part in result.messages[2].parts] == [str(n) for n in range(7)]


async def test_a_prompt_that_is_watched_has_a_hash_and_tells_what_changed():
    async with Agent(ScriptedModel().text("x"), watch_prompt=True).stream("go") as stream:
        hashes = [event.prompt_hash async for event in stream if event.kind == "model_requested"]
    async with Agent(ScriptedModel().text("y"), watch_prompt=True).stream("go") as stream:
        same = [event.prompt_hash async for event in stream if event.kind == "model_requested"]
    assert hashes == same and hashes[0] is not None and len(hashes[0]) == 16
    ticks = iter(range(9))

    class Clock:
        def before_model(self, ctx: Any, request: dict[str, Any]) -> dict[str, Any]:
            told = {"role": "system", "parts": [{"type": "text", "text": f"It is {next(ticks)} o'clock."}]}
            return {**request, "messages": [told, *request["messages"]]}

    model = ScriptedModel().tool_calls(("add", {"a": 1})).text("done")
    agent = Agent(model, tools=[lambda_add], middleware=[Clock()], watch_prompt=True)
    async with agent.stream("go") as stream:
        changed = [event async for event in stream if event.kind == "prompt_prefix_changed"]
    assert [event.owner for event in changed] == ["messages[0] system"] and changed[0].byte


@tool(name="add")
def lambda_add(a: int) -> int:
    """Adds."""
    return a + 1


def test_a_client_can_be_made_alone_and_chained():
    client = InferenceClient.anthropic(api_key="sk-x").with_fallbacks([(InferenceClient.gemini(api_key="x"), "g")])
    assert client.provider == "anthropic"
    assert Agent(client, model_name="claude").model == "claude"
    with pytest.raises(ConfigError, match="model_name"):
        Agent(client)
