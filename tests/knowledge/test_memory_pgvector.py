"""Long memory in a database that searches."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from atomr_agents import Agent
from atomr_agents.errors import ConfigError, ContractError
from atomr_agents.memory import LongStore, memory_tools, recall_memory_strategy
from atomr_agents.testkit import ScriptedModel

ADA = ("users", "ada")


@pytest.fixture
def opened(pgvector: str) -> Callable[..., LongStore]:
    """A memory in a schema of this test's own."""
    schema = f"t{uuid.uuid4().hex}"
    return lambda **options: LongStore.pgvector(pgvector, **({"schema": schema} | options))


@pytest.mark.parametrize("exact_below", [None, 0, 10_000])
async def test_items_are_found_by_key_words_meaning_and_fields(opened: Any, exact_below: int | None):
    store = opened(embedder="mock:64", exact_below=exact_below)
    await store.put(ADA, "home", {"text": "lives in Oslo", "kind": "fact", "year": 2020})
    await store.put(ADA, "food", {"text": "likes fish from Bergen", "kind": "taste", "year": 2024}, ttl=3600)
    await store.put("users", "all", "rain in Oslo")
    assert (await store.get(ADA, "home")).value["year"] == 2020
    assert [item.key for item in await store.search(ADA, "Oslo: who lives there", top_k=1)] == ["home"]
    assert [item.key for item in await store.search("users", "Bergen", by="words")] == ["food"]
    assert {item.key for item in await store.search("users", "Oslo", by="both", top_k=2)} == {"home", "all"}
    late = {"op": "gt", "key": "year", "value": 2022}
    assert [item.key for item in await store.search("users", "Oslo", filter=late)] == ["food"]
    assert (await store.update(ADA, "home", "lives in Rome")).value["kind"] == "fact"
    assert await store.update(ADA, "none", 1) is None
    assert await store.list_namespaces() == [("users",), ADA]
    assert await store.delete(ADA, "home") and not await store.delete(ADA, "home")
    assert await store.namespaced("users").get("ada", "home") is None
    assert repr(store).startswith("<LongStore PgVectorLong(PostgreSQL at ")


async def test_an_agent_writes_it_and_is_reminded_of_it(opened: Any):
    store = opened(embedder="mock:64")
    said = ScriptedModel().tool_calls(("write_memory", {"text": "Ada lives in Oslo", "key": "home"})).text("Noted.")
    await Agent(said, tools=memory_tools(store, ADA)).run("I live in Oslo.")
    assert (await store.get(ADA, "home")).text == "Ada lives in Oslo"
    model = ScriptedModel().text("In Oslo.")
    await Agent(model, memory=recall_memory_strategy(store, ADA)).run("Where does Ada live?")
    assert "Ada lives in Oslo" in model.requests[0]["messages"][0]["parts"][0]["text"]


async def test_vectors_of_another_model_are_made_anew_and_what_is_over_goes(opened: Any):
    await opened(embedder="mock:32").put(ADA, "home", "lives in Oslo")
    store = opened(embedder="mock:64")
    with pytest.raises(Exception, match=r"mock:32, not of mock:64.*reindex"):
        await store.search(ADA, "Oslo")
    assert await store.reindex() == 1
    assert [item.key for item in await store.search(ADA, "Oslo")] == ["home"]
    await store.put(ADA, "soon", "over", ttl=0.001)
    assert await store.purge(("users",)) == 1
    await store.build_index()


async def test_what_cannot_be_is_told(opened: Any, pgvector: str):
    bare = opened()
    for options, said in [
        ({"schema": "A"}, "schema"),
        ({"ef_search": 0}, "ef_search"),
        ({"dim": 3, "embedder": "mock:4"}, "the embedder makes vectors of 4"),
        ({"migrate": False, "schema": "t_nowhere"}, "there is no schema"),
    ]:
        with pytest.raises(ConfigError, match=said):
            opened(**options)
    with pytest.raises(ContractError, match="embedder"):
        opened(embedder=5)
    with pytest.raises(ConfigError, match="dsn"):
        LongStore.pgvector("nonsense")
    with pytest.raises(ConfigError, match=r"build_index is for LongStore\.pgvector"):
        LongStore.in_memory().build_index()
    with pytest.raises(ConfigError, match="the dim is not known"):
        await bare.build_index()
    with pytest.raises(Exception, match="3"):
        await opened(dim=2).put(ADA, "k", 1, embedding=[1.0, 2.0, 3.0])
