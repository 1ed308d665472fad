"""The pipeline: what is written, what is left alone, what is reported."""

from pathlib import Path

import pytest

from atomr_agents import Document, clear_factories, kv_cache
from atomr_agents.embed import Embedder, MockEmbedder
from atomr_agents.errors import ConfigError
from atomr_agents.ingest import (
    DirectoryLoader,
    IngestPipeline,
    RecursiveSplitter,
    SemanticSplitter,
    cached_embedder,
    in_memory_kv_cache,
    kv_cache_from_factory,
    semantic_splitter,
)
from atomr_agents.retriever import HybridIndex
from atomr_agents.state import in_memory_store


@pytest.fixture(autouse=True)
def clean():
    yield
    clear_factories()


async def test_only_what_changed_is_written(tmp_path: Path):
    for n in range(30):
        (tmp_path / f"{n:02}.txt").write_text(f"Rain number {n}. " * 5)
    (tmp_path / "bad.txt").write_bytes(b"\xff")
    embedder, store = MockEmbedder(64), in_memory_store()
    index = HybridIndex(embedder)
    told: list[dict[str, int]] = []
    kept: list[int] = []
    pipeline = IngestPipeline(
        DirectoryLoader(tmp_path),
        index,
        splitter=RecursiveSplitter(40),
        embedder=embedder,
        store=store,
        checkpoint=lambda: kept.append(1),
        batch=8,
        checkpoint_pieces=20,
    )
    report = await pipeline.run(told.append)
    assert (report.written, report.unchanged, list(report.failures)) == (30, 0, ["bad.txt"])
    assert len(kept) > 1
    assert (await pipeline.run()).unchanged == 30
    (tmp_path / "03.txt").write_text("Sunshine.")
    (tmp_path / "04.txt").unlink()
    report = await pipeline.run()
    assert (report.written, report.unchanged, report.removed) == (1, 28, 1)
    found = await index.retrieve("sunshine", top_k=1)
    assert found[0].id == "03.txt#0"


async def test_an_async_embedder_cuts_and_embeds_in_a_pipeline():
    class Mine:
        dim = 2

        def __init__(self) -> None:
            self.batches: list[int] = []

        async def embed(self, text: str) -> list[float]:
            raise AssertionError("there is a batch")

        async def embed_batch(self, texts: list[str]) -> list[list[float]]:
            self.batches.append(len(texts))
            return [[1.0, 0.0] if "ain" in text else [0.0, 1.0] for text in texts]

    mine = Mine()
    embedder = Embedder(mine)
    document = Document("a", "Rain falls 3.14 mm. More rain. Tax is due. Pay it.")
    pieces = await SemanticSplitter(embedder, threshold=0.5).split(document)
    assert [piece.text for piece in pieces] == ["Rain falls 3.14 mm. More rain. ", "Tax is due. Pay it."]
    assert mine.batches == [4]
    index = HybridIndex(embedder, dim=2)
    report = await IngestPipeline([document], index, splitter=semantic_splitter(embedder, 0.5), embedder=embedder).run()
    assert (report.written, report.pieces) == (1, 2)


async def test_vectors_are_kept():
    calls: list[str] = []

    def letters(text: str) -> list[float]:
        calls.append(text)
        return [float(len(text)), 1.0]

    @kv_cache("dict")
    class Kept:
        def __init__(self) -> None:
            self.all: dict[str, list[float]] = {}

        async def get(self, key: str) -> list[float] | None:
            return self.all.get(key)

        def put(self, key: str, value: list[float]) -> None:
            self.all[key] = value

    for cache in (in_memory_kv_cache(), kv_cache_from_factory("dict")):
        calls.clear()
        embedder = cached_embedder(Embedder(letters), cache)
        assert await embedder.embed_batch(["a", "bb", "a"]) == [[1.0, 1.0], [2.0, 1.0], [1.0, 1.0]]
        assert await embedder.embed_batch(["bb", "a"]) == [[2.0, 1.0], [1.0, 1.0]]
        assert sorted(calls) == ["a", "bb"]


async def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="embedder is missing"):
        await IngestPipeline([Document("a", "x")], HybridIndex(MockEmbedder(4))).run()
    with pytest.raises(ConfigError, match="dimension 8"):
        await IngestPipeline([Document("a", "x")], HybridIndex(MockEmbedder(4)), embedder=MockEmbedder(8)).run()
