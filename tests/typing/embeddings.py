"""What a type checker knows of embedders and indexes."""

from array import array
from collections.abc import Coroutine
from typing import Any, assert_type

from atomr_agents import Agent, Embedder, InMemoryAnnIndex, ann_index, embedder, tool
from atomr_agents.embed import AnnIndex, MockEmbedder, OnnxEmbedder, ann_index_from_factory, embedding_tool_strategy
from atomr_agents.guest import embedder_from_factory


@embedder("letters")
async def letters(text: str) -> list[float]:
    return [float(len(text))]


@embedder
class Both:
    def embed(self, text: str) -> list[float]:
        return [1.0]

    def embed_batch(self, texts: list[str]) -> list[list[float]]:
        return [[1.0] for _ in texts]


@ann_index(name="few")
class Few:
    def upsert(self, id: int, vec: list[float]) -> None: ...
    def search(self, query: list[float], top_k: int) -> list[tuple[int, float]]:
        return []

    def len(self) -> int:
        return 0


@tool
def search(query: str) -> str:
    """Finds pages."""
    return query


async def embeds() -> None:
    made = Embedder("openai:text-embedding-3-small", base_url="http://localhost:1", dimensions=256)
    assert_type(await made.embed("rain"), list[float])
    assert_type(await made.embed_batch(["rain"]), list[list[float]])
    assert_type(await made.embed_table(["rain"]), memoryview)
    assert_type(made.dim, int | None)
    assert_type(made.batched(max_texts=3), Embedder)
    later: Coroutine[Any, Any, list[float]] = Embedder(letters).embed("rain")
    assert_type(await later, list[float])
    model = OnnxEmbedder("folder", pooling="cls", normalize=False, max_tokens=128, dimensions=384, threads=2)
    assert_type(await model.embed_batch(["rain"]), list[list[float]])
    assert_type(Embedder(model).dim, int | None)
    assert_type(Embedder(Both()).embed_sync("rain"), list[float])
    assert_type(embedder_from_factory("letters"), Embedder)
    assert_type(await letters("rain"), list[float])


async def finds() -> None:
    index = InMemoryAnnIndex(2, "dot", recall=0.99)
    index.upsert([1], [[1.0, 0.0]])
    index.upsert(array("Q", [1]), [array("f", [1.0, 0.0])])
    index.upsert(1, [1.0, 0.0])
    assert_type(index.search([1.0, 0.0], 3, allowed={1, 2}), list[tuple[int, float]])
    assert_type(index.search_batch([[1.0, 0.0]]), list[list[tuple[int, float]]])
    assert_type(index.ef, int | None)
    assert_type(InMemoryAnnIndex.load("x"), InMemoryAnnIndex)
    awaited = AnnIndex(index)
    assert_type(await awaited.search([1.0, 0.0]), list[tuple[int, float]])
    assert_type(ann_index_from_factory("few"), AnnIndex)
    assert_type(AnnIndex(Few()), AnnIndex)
    Agent("openai:gpt-4o-mini", tools=embedding_tool_strategy(MockEmbedder(8), [search], top_k=3))
    InMemoryAnnIndex(2, "euclid")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
