"""The pipeline: what is written, what is left alone, what is reported."""

import io
import os
import sys
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
from atomr_agents.retriever import Bm25Retriever, HybridIndex
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


class Screen(io.StringIO):
    """Standard error as a terminal has it."""

    def isatty(self) -> bool:
        return True


def documents(count: int) -> list[Document]:
    return [Document(f"d{n}", f"Rain number {n}.") for n in range(count)]


def test_a_bar_is_drawn_on_a_terminal_and_its_line_is_ended(monkeypatch: pytest.MonkeyPatch):
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    report = IngestPipeline(documents(300), Bm25Retriever(), batch=16).run_sync(progress=True)
    drawn = screen.getvalue()
    assert report.written == 300
    assert drawn.count("\n") == 1 and drawn.endswith("\x1b[K\n")
    last = drawn[:-1].split("\r")[-1]
    assert last == f"[{'#' * 24}] 300/300 documents, 300 pieces (300 written)\x1b[K"


def test_elsewhere_there_are_few_lines(monkeypatch: pytest.MonkeyPatch):
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    IngestPipeline([*documents(500), Document("d0", "twice")], Bm25Retriever(), batch=8).run_sync(progress=True)
    lines = out.getvalue().splitlines()
    assert 1 <= len(lines) <= 4
    assert lines[-1] == f"[{'#' * 24}] 501/501 documents, 500 pieces (500 written, 1 failed)"
    assert "\r" not in out.getvalue()


@pytest.mark.parametrize("broken", [None, io.TextIOWrapper(io.FileIO(os.open("/dev/full", os.O_WRONLY), "w"))])
def test_what_cannot_be_drawn_stops_no_run(monkeypatch: pytest.MonkeyPatch, broken: io.TextIOWrapper | None):
    monkeypatch.setattr(sys, "stderr", broken)
    assert IngestPipeline(documents(300), Bm25Retriever()).run_sync(progress=True).written == 300


def test_progress_is_a_bar_or_a_function():
    told: list[dict[str, int]] = []
    pipeline = IngestPipeline(documents(3), Bm25Retriever())
    assert pipeline.run_sync(told.append).written == 3
    assert pipeline.run_sync(False).written == 3
    with pytest.raises(ConfigError, match="progress"):
        pipeline.run_sync("yes")  # type: ignore[arg-type]


def test_a_run_that_fails_ends_the_line(monkeypatch: pytest.MonkeyPatch):
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)

    def refuse() -> None:
        raise RuntimeError("no room")

    pipeline = IngestPipeline(documents(5), Bm25Retriever(), store=in_memory_store(), checkpoint=refuse)
    with pytest.raises(RuntimeError, match="no room"):
        pipeline.run_sync(progress=True)
    assert screen.getvalue() == "" or screen.getvalue().endswith("\n")
