"""What agents remember: stores, strategies, tools and guests."""

import asyncio
import copy
import pickle
import re
from typing import Any

import pytest

from atomr_agents import Agent, clear_factories, long_store, memory_store
from atomr_agents.errors import AgentError, ConfigError, ContractError
from atomr_agents.memory import (
    LongStore,
    MemoryItem,
    MemoryStore,
    RecallMemoryTool,
    StoreItem,
    UpdateMemoryTool,
    WriteMemoryTool,
    chained_memory_strategy,
    in_memory_long_store,
    in_memory_store,
    long_store_from_factory,
    memory_store_from_factory,
    memory_tools,
    recall_memory_strategy,
    recency_memory_strategy,
    summarizing_memory_strategy,
)
from atomr_agents.testkit import ScriptedModel

ADA = ("users", "ada")


@pytest.fixture(autouse=True)
def no_factories():
    yield
    clear_factories()


def told(model: ScriptedModel, request: int = 0) -> str:
    return model.requests[request]["messages"][0]["parts"][0]["text"]


@pytest.fixture(params=["memory", "sqlite"])
def place(request: pytest.FixtureRequest, tmp_path: Any) -> Any:
    return None if request.param == "memory" else f"sqlite:{tmp_path}/memory.db"


# --- short ---


async def test_items_stand_in_their_order_and_in_their_namespace(place: Any):
    store = MemoryStore.on(place) if place else MemoryStore.in_memory()
    first = await store.put(ADA, {"text": "lives in Oslo"})
    second = await store.put(ADA, "likes rain")
    assert [item.text for item in await store.list(ADA)] == ["likes rain", "lives in Oslo"]
    assert await store.list(ADA, before=second.id) == [first]
    assert await store.list(("users",)) == [] and await store.list("ada") == []
    assert [item.id for item in await store.search(ADA, "Oslo?")] == [first.id]
    changed = MemoryItem("lives in Rome", id=first.id, created_ms=first.created_ms)
    assert await store.put(ADA, changed) == changed == await store.get(ADA, first.id)
    assert await store.delete(ADA, first.id) and not await store.delete(ADA, first.id)
    part = store.namespaced("users")
    assert [item.text for item in await part.list("ada")] == ["likes rain"]


def test_items_are_plain_data():
    item = MemoryItem({"text": "a", "n": [1, None]})
    for one in (item, StoreItem(ADA, "k", {"n": 1}, created_ms=5, score=0.5)):
        assert copy.deepcopy(one) == one == pickle.loads(pickle.dumps(one)) == type(one).from_dict(one.to_dict())
    assert (item.text, item.content) == ("a", {"text": "a", "n": [1, None]})
    assert repr(MemoryItem("a", id="1")) == 'MemoryItem("a", id="1")'


# --- long ---


async def test_items_are_found_by_key_words_meaning_and_fields(place: Any):
    store = LongStore.on(place, embedder="mock:256") if place else LongStore.in_memory(embedder="mock:256")
    await store.put(ADA, "home", {"text": "lives in Oslo", "kind": "fact", "year": 2020})
    await store.put((*ADA, "tastes"), "food", {"text": "likes fish from Bergen", "kind": "taste", "year": 2024})
    await store.put(("users", "bob"), "home", "lives in Bergen")
    found = await store.get(ADA, "home")
    assert found is not None and found.value["year"] == 2020 and found.score is None
    assert [item.key for item in await store.search(ADA, "Bergen", by="words")] == ["food"]
    best = await store.search(ADA, "who lives in Oslo", top_k=1)
    assert best[0].key == "home" and best[0].score is not None and 0 < best[0].score <= 1.00001
    assert (await store.search(ADA, "who lives in Oslo", by="both", top_k=1))[0].key == "home"
    late = {"op": "gt", "key": "year", "value": 2022}
    assert [item.key for item in await store.search("users", filter=late)] == ["food"]
    assert await store.list_namespaces() == [ADA, (*ADA, "tastes"), ("users", "bob")]
    old = await store.update(ADA, "home", "lives in Rome")
    assert old is not None and old.value["text"] == "lives in Oslo"
    assert await store.update(ADA, "none", 1) is None and await store.get(ADA, "none") is None
    assert await store.delete(ADA, "home") and not await store.delete(ADA, "home")
    assert await store.namespaced("users").get("bob", "home") == StoreItem.from_dict(
        {**(await store.get(("users", "bob"), "home")).to_dict(), "namespace": ["bob"]}  # type: ignore[union-attr]
    )


async def test_an_item_is_forgotten_after_its_time():
    store = in_memory_long_store()
    await store.put(ADA, "soon", "gone", ttl=0.01)
    await asyncio.sleep(0.03)
    assert await store.get(ADA, "soon") is None and await store.search(ADA) == []
    assert await store.purge() == 1 and await store.purge() == 0


async def test_a_vector_of_ones_own_is_compared():
    store = in_memory_long_store()
    await store.put(ADA, "x", 1, embedding=[1.0, 0.0])
    await store.put(ADA, "y", 2, embedding=[0.0, 1.0])
    assert [item.key for item in await store.search(ADA, embedding=[0.1, 2.0])] == ["y", "x"]
    with pytest.raises(AgentError, match="a vector of dimension 2 was expected, not one of 3"):
        await store.search(ADA, embedding=[1.0, 0.0, 0.0])


async def test_what_makes_no_sense_is_refused_and_named():
    store = in_memory_long_store()
    with pytest.raises(ConfigError, match="the namespace has an empty part"):
        await store.put(("a", ""), "k", 1)
    with pytest.raises(ConfigError, match=r"a namespace is a tuple of texts.*this is int"):
        await store.put(7, "k", 1)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="nothing is kept above all"):
        await store.put((), "k", 1)
    with pytest.raises(ConfigError, match='by is "best"'):
        await store.search(ADA, "x", by="magic")
    with pytest.raises(ConfigError, match="this is no filter"):
        await store.search(ADA, filter={"op": "eval"})
    with pytest.raises(AgentError, match="only numbers and texts have an order"):
        await store.search(ADA, filter={"op": "lt", "key": "n", "value": [1]})
    with pytest.raises(ConfigError, match="the embedder is missing"):
        await store.search(ADA, "x", by="meaning")
    with pytest.raises(ConfigError, match="purge is for the stores of this package"):
        await store.namespaced("a").purge()
    few = LongStore.in_memory(max_searched=1)
    await few.put(ADA, "a", 1)
    await few.put(ADA, "b", 1)
    with pytest.raises(AgentError, match="search in a narrower namespace"):
        await few.search(ADA)


async def test_vectors_of_another_model_are_told_and_made_anew(tmp_path: Any):
    path = f"sqlite:{tmp_path}/m.db"
    await LongStore.on(path, embedder="mock:32").put(ADA, "home", "lives in Oslo")
    store = LongStore.on(path, embedder="mock:64")
    with pytest.raises(AgentError, match="embed them anew with reindex"):
        await store.search(ADA, "Oslo")
    assert await store.reindex() == 1
    assert (await store.search(ADA, "Oslo"))[0].key == "home"


# --- strategies ---


async def test_each_user_is_reminded_of_what_was_said_to_him():
    memory = recency_memory_strategy(in_memory_store(), namespace=lambda user: ("users", user), limit=4)
    model = ScriptedModel().text("Hello Ada.").text("Hello Bob.").text("You are Ada.")
    agent = Agent(model, memory=memory)
    await agent.run("I am Ada.", deps="ada")
    await agent.run("I am Bob.", deps="bob")
    await agent.run("Who am I?", deps="ada")
    assert told(model, 2) == "What you remember:\n- user: I am Ada.\n- assistant: Hello Ada."
    assert all(message["role"] != "system" for message in model.requests[1]["messages"])


async def test_a_namespace_that_cannot_be_told_fails_the_run_with_its_own_exception():
    def nobody(_: Any) -> tuple[str, ...]:
        raise KeyError("nobody is logged in")

    agent = Agent(ScriptedModel().text("x"), memory=recency_memory_strategy(in_memory_store(), namespace=nobody))
    with pytest.raises(KeyError, match="nobody is logged in"):
        await agent.run("hi")


async def test_a_summary_takes_the_place_of_what_it_says(tmp_path: Any):
    writer = ScriptedModel().text("Ada lives in Oslo.")
    path = f"sqlite:{tmp_path}/m.db"

    def memory(writer: ScriptedModel) -> Any:
        return summarizing_memory_strategy(
            MemoryStore.on(path), writer, ADA, summaries=path, from_tokens=1, keep_last=1, max_tokens=200
        )

    await Agent(ScriptedModel().text("Hello."), memory=memory(writer)).run("I am Ada, from Oslo.")
    assert "user: I am Ada, from Oslo." in writer.requests[0]["messages"][1]["parts"][0]["text"]
    model = ScriptedModel().text("Oslo.")
    # As another process: the summary and what came after it are in the file.
    await Agent(model, memory=memory(ScriptedModel().text("x"))).run("Where do I live?")
    assert told(model) == "What you remember:\n- Summary: Ada lives in Oslo.\n- assistant: Hello."


async def test_several_memories_are_one_within_their_room():
    store = in_memory_long_store()
    await store.put(ADA, "home", "lives in Oslo")
    recall = recall_memory_strategy(store, ADA)
    memory = chained_memory_strategy([recall, lambda ctx: ["likes rain", "lives in Oslo"]], max_tokens=100)
    chunks = await memory.retrieve("Oslo?")
    assert [chunk["text"] for chunk in chunks] == ["lives in Oslo", "likes rain"]
    small = chained_memory_strategy([recall, lambda ctx: ["likes rain"]], max_tokens=6)
    assert len(await small.retrieve("Oslo?")) == 1
    with pytest.raises(ConfigError, match="max_tokens"):
        chained_memory_strategy([recall], max_tokens=0)


async def test_tokens_are_counted_exactly_where_the_model_is_known():
    store = in_memory_store()
    await store.put(ADA, "x" * 40)  # five tokens for gpt-4o, and estimated as more
    exact = recency_memory_strategy(store, ADA, max_tokens=8, model="gpt-4o")
    estimated = recency_memory_strategy(store, ADA, max_tokens=8)
    assert len(await exact.retrieve("?")) == 1 and await estimated.retrieve("?") == []


# --- tools ---


async def test_a_model_writes_and_recalls_where_the_host_says():
    store = in_memory_long_store()
    await store.put(("users", "bob"), "secret", "Bob's password is in Oslo")
    model = (
        ScriptedModel()
        .tool_calls(("write_memory", {"text": "lives in Oslo", "key": "home"}))
        .tool_calls(("recall_memory", {"query": "Oslo"}), ("update_memory", {"key": "secret", "text": "x"}))
        .text("done")
    )
    agent = Agent(model, tools=memory_tools(store, lambda user: ("users", user)))
    result = await agent.run("hi", deps="ada")
    results = [part for message in result.messages for part in message.parts if part["type"] == "tool_result"]
    texts = [part["parts"][0]["text"] for part in results]
    assert "lives in Oslo" in texts[1] and "password" not in texts[1]
    assert "there is no memory" in texts[2] and results[2]["is_error"]
    assert (await store.get(ADA, "home")).text == "lives in Oslo"  # type: ignore[union-attr]


async def test_each_tool_can_be_had_alone():
    store = in_memory_long_store()
    names = [make(store, ADA).name for make in (WriteMemoryTool, UpdateMemoryTool, RecallMemoryTool)]
    assert names == ["write_memory", "update_memory", "recall_memory"]
    schema = WriteMemoryTool(store, ADA).parameters
    assert set(schema["properties"]) == {"text", "key"}, "the model can say nothing about the namespace"


# --- guests ---


@memory_store("plain")
class Plain:
    """As little as a guest must have, without waiting."""

    def __init__(self) -> None:
        self.items: list[tuple[tuple[str, ...], MemoryItem]] = []

    def put(self, namespace: tuple[str, ...], item: MemoryItem) -> None:
        self.items.append((namespace, item))

    def list(self, namespace: tuple[str, ...], limit: int, before: str | None) -> Any:
        own = [item for of, item in self.items if of == namespace and (before is None or item.id < before)]
        return own[::-1][:limit]


async def test_a_short_memory_of_ones_own():
    memory_store("plain")(Plain)
    store = memory_store_from_factory("plain")
    first = await store.put(ADA, "lives in Oslo")
    await store.put(ADA, "likes rain")
    assert [item.text for item in await store.list(ADA, 1)] == ["likes rain"]
    assert await store.get(ADA, first.id) == first and await store.get(ADA, "none") is None
    assert [item.text for item in await store.search(ADA, "Oslo")] == ["lives in Oslo"]
    with pytest.raises(ContractError, match="it has no method delete"):
        await store.delete(ADA, first.id)
    model = ScriptedModel().text("Hm.")
    await Agent(model, memory=recency_memory_strategy(store, ADA)).run("?")
    assert "likes rain" in told(model)


class Dicts:
    """A long memory that answers with dicts, and waits."""

    def __init__(self) -> None:
        self.kept: dict[tuple[tuple[str, ...], str], Any] = {}

    async def put(self, namespace: Any, key: str, value: Any, embedding: Any, ttl: Any) -> None:
        assert isinstance(namespace, tuple) and ttl is None
        self.kept[namespace, key] = value

    async def get(self, namespace: Any, key: str) -> Any:
        value = self.kept.get((namespace, key))
        return None if value is None else {"value": value}

    async def delete(self, namespace: Any, key: str) -> bool:
        return self.kept.pop((namespace, key), None) is not None

    async def search(self, namespace: Any, about: dict[str, Any]) -> Any:
        hits = [(of, key, value) for (of, key), value in self.kept.items() if re.search(about["query"], str(value))]
        return [
            {"namespace": of, "key": key, "value": value, "score": 1.0} for of, key, value in hits[: about["top_k"]]
        ]


async def test_a_long_memory_of_ones_own():
    long_store("dicts")(Dicts)
    store = long_store_from_factory("dicts")
    await store.put(ADA, "home", "lives in Oslo")
    assert await store.get(ADA, "home") == StoreItem(ADA, "home", "lives in Oslo")
    assert [item.key for item in await store.search(ADA, "Oslo", top_k=1)] == ["home"]
    assert (await store.update(ADA, "home", "Rome")).value == "lives in Oslo"  # type: ignore[union-attr]
    assert await store.delete(ADA, "home") and await store.get(ADA, "home") is None
    with pytest.raises(ContractError, match="it has no method list_namespaces"):
        await store.list_namespaces()


async def test_a_guest_that_breaks_its_contract_or_raises_is_named():
    class Wrong(Dicts):
        async def get(self, namespace: Any, key: str) -> Any:
            return 7

        async def delete(self, namespace: Any, key: str) -> bool:
            raise OSError("disk on fire")

    store = LongStore.guest(Wrong(), "wrong")
    with pytest.raises(ContractError, match=r"get.*expected a StoreItem, or a dict"):
        await store.get(ADA, "k")
    with pytest.raises(OSError, match="disk on fire"):
        await store.delete(ADA, "k")
    with pytest.raises(ContractError, match="int has no method"):
        LongStore.guest(7, "seven")
