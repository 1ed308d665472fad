"""Answers from the cache, as an agent's user sees them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from atomr_agents import Agent, InferenceClient, InMemoryLlmCache, tool
from atomr_agents.cache import LlmCache
from atomr_agents.errors import AgentError, ConfigError
from atomr_agents.testkit import ScriptedModel


def test_an_equal_run_is_answered_from_the_cache():
    cache = InMemoryLlmCache()
    model = ScriptedModel().text("Rain.")
    agent = Agent(model.client().cached(cache))
    first, second = agent.run_sync("Oslo?"), agent.run_sync("Oslo?")
    assert (first.output, second.output) == ("Rain.", "Rain.")
    assert second.usage.output_tokens == first.usage.output_tokens > 0
    assert (len(model.requests), len(cache), cache.stats()["hits"]) == (1, 1, 1)
    assert isinstance(cache, LlmCache)
    assert cache.name == "memory"
    cache.clear()
    with pytest.raises(AgentError, match="turn 2"):
        agent.run_sync("Oslo?")


async def test_a_hit_is_announced_and_streamed_and_costs_nothing_if_asked():
    model = ScriptedModel().text("one two three")
    agent = Agent(model.client().cached(InMemoryLlmCache(), replay_usage=False))
    runs = [[event async for event in agent.stream("?")] for _ in range(2)]
    texts = [[event.text for event in events if event.kind == "text_delta"] for events in runs]
    assert "".join(texts[0]) == "".join(texts[1]) == "one two three"
    assert [[event.kind for event in events].count("cache_hit") for events in runs] == [0, 1]
    assert (await agent.run("?")).usage.output_tokens == 0


async def test_tools_run_again_and_the_answer_after_them_is_found():
    called: list[int] = []

    @tool
    def add(a: int) -> int:
        """Add."""
        called.append(a)
        return a + 1

    model = ScriptedModel().tool_calls(("add", {"a": 1})).text("2")
    agent = Agent(model.client().cached(InMemoryLlmCache()), tools=[add])
    assert [(await agent.run("?")).output for _ in range(3)] == ["2", "2", "2"]
    assert (called, len(model.requests)) == ([1, 1, 1], 2)


async def test_equal_runs_at_once_make_one_call():
    calls: list[Any] = []

    async def model(request: Any) -> AsyncIterator[str]:
        calls.append(request)
        await asyncio.sleep(0.05)
        yield "Rain."

    agent = Agent(InferenceClient.guest(model, "slow").cached(InMemoryLlmCache()))
    results = await asyncio.gather(*(agent.run("Oslo?") for _ in range(50)))
    assert {result.output for result in results} == {"Rain."}
    assert len(calls) == 1


async def test_tenants_and_scopes_share_nothing():
    cache = InMemoryLlmCache()
    for tenant, scope in [("a", ""), ("b", ""), ("a", "x")]:
        said = f"{tenant}{scope}"
        client = ScriptedModel().text(said).client().cached(cache, tenant=tenant, scope=scope)
        assert [(await Agent(client).run("?")).output for _ in range(2)] == [said, said]
    assert len(cache) == 3


@pytest.mark.parametrize(
    "wrong", [{"max_entries": 0}, {"max_bytes": 0}, {"ttl": 0}, {"ttl": -1.0}, {"ttl": float("nan")}]
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, Any]):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        InMemoryLlmCache(**wrong)
