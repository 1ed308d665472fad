"""Answers that outlive the process, and answers to questions that mean the same."""

import os
import uuid
from typing import Any

import pytest

from atomr_agents import Agent
from atomr_agents.cache import SemanticLlmCache, redis_llm_cache, sqlite_llm_cache, store_llm_cache
from atomr_agents.errors import ConfigError
from atomr_agents.state import in_memory_store
from atomr_agents.testkit import ScriptedModel

REDIS = os.environ.get("ATOMR_REDIS_URL", "redis://127.0.0.1:6379")


def reachable() -> bool:
    import socket
    from urllib.parse import urlsplit

    address = urlsplit(REDIS)
    try:
        socket.create_connection((address.hostname or "127.0.0.1", address.port or 6379), 1).close()
    except OSError:
        return False
    return True


async def asked(cache: Any, *answers: str) -> str:
    model = ScriptedModel()
    for answer in answers:
        model = model.text(answer)
    return (await Agent(model.client().cached(cache)).run("Oslo?")).output


async def test_another_process_finds_the_answer_in_the_file(tmp_path: Any):
    path = str(tmp_path / "answers.db")
    assert await asked(sqlite_llm_cache(path), "Rain.") == "Rain."
    # Another handle, and a model that would say something else.
    assert await asked(sqlite_llm_cache(path), "Sun.") == "Rain."
    assert sqlite_llm_cache(path).name == "sqlite"


async def test_an_answer_grows_old():
    store = in_memory_store()
    assert await asked(store_llm_cache(store, ttl=0.001), "Rain.") == "Rain."
    import asyncio

    await asyncio.sleep(0.01)
    assert await asked(store_llm_cache(store, ttl=0.001), "Sun.") == "Sun."
    assert await asked(store_llm_cache(store, ttl=None), "Hail.") == "Sun."


@pytest.mark.skipif(not reachable(), reason=f"no Redis at {REDIS}")
async def test_another_client_finds_the_answer_on_redis():
    prefix = f"atomr-test:{uuid.uuid4()}:"
    assert await asked(redis_llm_cache(REDIS, prefix=prefix, ttl=30), "Rain.") == "Rain."
    assert await asked(redis_llm_cache(REDIS, prefix=prefix, ttl=30), "Sun.") == "Rain."
    assert await asked(redis_llm_cache(REDIS, prefix=prefix + "other:", ttl=30), "Sun.") == "Sun."


async def test_a_server_that_is_away_makes_every_call_a_miss():
    away = redis_llm_cache("redis://:hunter2@127.0.0.1:1", timeout=0.2)
    assert await asked(away, "Rain.") == "Rain."
    assert await asked(away, "Sun.") == "Sun."
    assert "hunter2" not in repr(away)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ConfigError, match="max_entries"):
        store_llm_cache(in_memory_store(), max_entries=0)
    with pytest.raises(ConfigError) as caught:
        redis_llm_cache("http://:hunter2@localhost")
    assert "hunter2" not in str(caught.value)


async def test_a_question_that_means_the_same_is_answered_and_one_that_does_not_is_asked():
    cache = SemanticLlmCache("mock:512", 0.6)
    agent = Agent(ScriptedModel().text("Rain.").text("Sun.").text("Hail.").client().cached(cache))
    outputs = [
        (await agent.run(text)).output
        for text in (
            "What is the weather in Oslo?",
            "what's the weather in Oslo",
            "What is the weather in Rome?",
            "What is the weather in Oslo not like?",
        )
    ]
    assert outputs == ["Rain.", "Rain.", "Sun.", "Hail."]
    stats = cache.stats()
    assert (stats["by_meaning"], stats["hits"], stats["misses"], stats["entries"]) == (1, 1, 3, 3)
    cache.clear()
    assert len(cache) == 0 and cache, "an empty cache is a cache"


async def test_an_embedder_of_ones_own_runs_on_the_loop_of_the_run():
    import asyncio

    loops = []

    async def embed(text: str) -> list[float]:
        loops.append(asyncio.get_running_loop())
        return [1.0, float(len(text))]

    agent = Agent(ScriptedModel().text("Rain.").client().cached(SemanticLlmCache(embed, 0.5)))
    assert (await agent.run("the weather")).output == (await agent.run("weather")).output == "Rain."
    assert set(loops) == {asyncio.get_running_loop()}


def test_a_threshold_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="threshold must be between 0 and 1"):
        SemanticLlmCache("mock:8", 1.5)


async def test_a_cache_can_be_asked_directly():
    from atomr_agents import Message
    from atomr_agents.cache import CachedTurn, InMemoryLlmCache, Question

    cache, store = InMemoryLlmCache(), store_llm_cache(in_memory_store())
    messages = [Message.system("Be brief."), Message.user("Oslo?")]
    question = Question(messages, "gpt-4o", provider="openai", settings={"sampling": {"temperature": 0.5}})
    same = Question(
        [message.to_dict() for message in messages],
        "gpt-4o",
        provider="openai",
        settings={"sampling": {"temperature": 0.5}},
    )
    assert question.key == same.key and len(question.key) == 64
    other = Question(messages, "gpt-4o", provider="openai", tenant="acme")
    for each in (cache, store):
        assert await each.get(question) is None
        await each.put(question, CachedTurn("Rain."))
        assert await each.get(same) == CachedTurn("Rain.") and await each.get(other) is None
    found = cache.find(same)
    assert found is not None and found.text == "Rain." and cache.find(other) is None
    with pytest.raises(ConfigError, match="messages must be Messages or their dicts"):
        Question([{"role": "nobody"}], "m")
    with pytest.raises(ConfigError, match='must not have "model"'):
        Question(messages, "m", settings={"model": "n"})
