"""The pipeline from a loader to an index, and vectors that are kept. `atomr_agents.ingest` shows them as its own."""

from __future__ import annotations

from ._embedders import Embedder
from ._splitters import AsyncSplitter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable as Function
    from collections.abc import Coroutine
    from typing import Any

    from ._loaders import AnyLoader
    from ._native.ingest import NativeKvCache
    from ._splitters import AnySplitter


class SemanticSplitter(AsyncSplitter):
    """Pieces of one matter each: cut between sentences whose vectors are far from each other. Sentences end as Unicode
    says, so that `3.14` stays whole; what is longer than `max_chars` is cut further.

    Args:
        embedder: An `Embedder`.
        threshold: Cuts where the cosine of two neighbours is below it.
        percentile: Where no threshold is given: cuts where their distance is above this percentile of all.
        max_chars: How many characters a piece may have.
        batch: How many sentences are embedded at once.
    """

    __slots__ = ()

    def __init__(
        self,
        embedder: Embedder,
        *,
        threshold: float | None = None,
        percentile: float = 95.0,
        max_chars: int = 2_000,
        batch: int = 64,
    ) -> None:
        from . import _checks
        from ._native.ingest import NativeAsyncSplitter

        _checks.optional(_checks.number(-1.0, 1.0))("threshold", threshold)
        _checks.number(0.0, 100.0)("percentile", percentile)
        _checks.whole(1)("max_chars", max_chars)
        _checks.whole(1)("batch", batch)
        native = NativeAsyncSplitter.semantic(embedder.native, threshold, percentile, max_chars, batch)
        super().__init__("semantic", native)


def semantic_splitter(embedder: Embedder, threshold: float = 0.75, max_chunk_chars: int = 2_000) -> SemanticSplitter:
    """As `SemanticSplitter(embedder, threshold=…, max_chars=…)`, under an earlier name."""
    return SemanticSplitter(embedder, threshold=threshold, max_chars=max_chunk_chars)


class KvCache:
    """Keeps vectors by key. `in_memory_kv_cache`, `KvCache.of_store` and `kv_cache_from_factory` give one."""

    __slots__ = ("native",)

    def __init__(self, native: NativeKvCache) -> None:
        self.native = native

    @staticmethod
    def of_store(store: Any) -> KvCache:
        """Vectors in a store, where other processes find them, too."""
        from ._native.ingest import NativeKvCache

        return KvCache(NativeKvCache.store(store))

    def get(self, key: str) -> Coroutine[Any, Any, list[float] | None]:
        """The vector of a key; await what comes back."""
        return self.native.get(key)

    def put(self, key: str, value: list[float]) -> Coroutine[Any, Any, None]:
        """Keeps a vector; await what comes back."""
        return self.native.put(key, value)


def in_memory_kv_cache(most: int = 100_000) -> KvCache:
    """Vectors in memory; of more than `most`, the one used longest ago is forgotten."""
    from ._native.ingest import NativeKvCache

    return KvCache(NativeKvCache.memory(most))


def kv_cache_from_factory(key: str) -> KvCache:
    """What was registered with `@kv_cache` under this key; a KeyError lists what there is."""
    from ._native.guest import target
    from ._native.ingest import NativeKvCache

    return KvCache(NativeKvCache.guest(target("kv_cache", key), key))


def cached_embedder(embedder: Embedder, kv: KvCache) -> Embedder:
    """An embedder that remembers: a text that it has seen, under the same model, is not embedded again."""
    from ._native.ingest import cached

    return Embedder(cached(embedder.native, kv.native))


class IngestReport:
    """What a run of a pipeline did."""

    __slots__ = ("failures", "loaded", "pieces", "removed", "unchanged", "written")

    def __init__(self, numbers: dict[str, int], failures: list[tuple[str | None, Exception]]) -> None:
        self.loaded = numbers["loaded"]
        self.unchanged = numbers["unchanged"]
        self.written = numbers["written"]
        self.pieces = numbers["pieces"]
        self.removed = numbers["removed"]
        self.failures = {name if name is not None else "": error for name, error in failures}
        """What is wrong with the documents that failed, by id. The next run tries them again."""

    def __repr__(self) -> str:
        numbers = ", ".join(f"{name}={getattr(self, name)}" for name in ("written", "unchanged", "removed", "pieces"))
        return f"<IngestReport {numbers}, failed={len(self.failures)}>"


class IngestPipeline:
    """Loads, cuts, embeds and writes documents to an index, all at the same time and within bounds of memory.

    With a `store` a run does only what is to be done: a document that is in the index as it is costs its loading, one
    that is gone is removed, and a run that was killed goes on where it was. A document that fails loses no other one.

    Args:
        loader: A loader, a list of documents, or code of yours.
        index: What is written to: an index of `atomr_agents.retriever`.
        splitter: What cuts; documents stay whole without one.
        embedder: What makes vectors, for an index that takes them.
        store: Where the run keeps what is in the index.
        namespace: The name of the index in the store.
        version: How documents are cut, in a word: with another one, every document is written anew.
        checkpoint: Is called before the store says what is in the index: there, save an index that lives in memory.
        batch: How many pieces are embedded in one call.
        at_once: How many such calls are under way at once.
        checkpoint_pieces: After how many pieces, at most, there is a checkpoint.
    """

    __slots__ = ("native",)

    def __init__(
        self,
        loader: AnyLoader,
        index: Any,
        *,
        splitter: AnySplitter | None = None,
        embedder: Embedder | None = None,
        store: Any = None,
        namespace: str = "default",
        version: str = "",
        checkpoint: Function[[], Any] | None = None,
        batch: int = 128,
        at_once: int = 4,
        checkpoint_pieces: int = 4_096,
    ) -> None:
        from types import SimpleNamespace

        from . import _checks
        from ._loaders import loader_of
        from ._native.ingest import NativePipeline
        from ._splitters import splitter_of

        for name, value in {"batch": batch, "at_once": at_once, "checkpoint_pieces": checkpoint_pieces}.items():
            _checks.whole(1)(name, value)
        _checks.filled("namespace", namespace)
        _checks.text("version", version)
        self.native = NativePipeline(
            SimpleNamespace(
                loader=loader_of(loader).native,
                splitter=None if splitter is None else splitter_of(splitter).waiting(),
                embedder=None if embedder is None else embedder.native,
                index=index.index,
                store=store,
                namespace=namespace,
                version=version,
                checkpoint=checkpoint,
                batch=batch,
                at_once=at_once,
                max_waiting_bytes=32 << 20,
                checkpoint_pieces=checkpoint_pieces,
            )
        )

    async def run(self, progress: bool | Function[[dict[str, int]], Any] | None = None) -> IngestReport:
        """Runs it once. `progress` is told how far it is, as a dict, after each group of documents; True draws a bar on
        standard error, or writes a line now and then where that is no terminal.
        """
        if progress is not True:
            if progress is not None and progress is not False and not callable(progress):
                from . import _checks

                _checks.fail("progress", "True or what is called with how far it is", progress)
            return IngestReport(*await self.native.run(progress or None))
        import sys

        from ._progress import ProgressBar

        bar = ProgressBar(sys.stderr)
        try:
            numbers, failures = await self.native.run(bar.tell)
            # The last group may be told of later than the run ends.
            bar.tell(numbers)
        finally:
            bar.close()
        return IngestReport(numbers, failures)

    def run_sync(self, progress: bool | Function[[dict[str, int]], Any] | None = None) -> IngestReport:
        """As `run`, where no event loop runs."""
        from ._sync import run

        return run(lambda: self.run(progress), "run_sync()", "await run()")
