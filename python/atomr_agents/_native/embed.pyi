"""Embedders and indexes of vectors."""

from collections.abc import Collection, Coroutine, Sequence
from os import PathLike
from typing import Any, Literal, TypeAlias, final

from typing_extensions import Buffer

from .strategy import ToolStrategyHandle
from .tool import NativeTool

__all__ = ["InMemoryAnnIndex", "NativeAnnIndex", "NativeEmbedder", "NativeOnnxSetup", "nearest_tools"]

# A vector: an array of float32 is taken as it is, others and lists are rounded to it.
_Vector: TypeAlias = Sequence[float] | Buffer
_Vectors: TypeAlias = Sequence[Sequence[float] | Buffer] | Buffer
_Ids: TypeAlias = int | Sequence[int] | Buffer

def nearest_tools(
    embedder: NativeEmbedder, tools: Sequence[NativeTool], top_k: int, always: Sequence[str]
) -> ToolStrategyHandle:
    """The tools that are nearest to what is asked."""

@final
class NativeOnnxSetup:
    """How a model in this process is set up."""

    def __new__(
        cls,
        path: str | PathLike[str],
        *,
        tokenizer: str | PathLike[str] | None,
        pooling: str | None,
        normalize: bool | None,
        max_tokens: int | None,
        dimensions: int | None,
        batch_tokens: int | None,
        threads: int | None,
        runtime: str | PathLike[str] | None,
        usual_runtime: str | PathLike[str] | None,
        name: str | None,
    ) -> NativeOnnxSetup: ...

@final
class NativeEmbedder:
    """What makes vectors of texts."""

    @staticmethod
    def mock(dim: int) -> NativeEmbedder: ...
    @staticmethod
    def guest(target: object, key: str) -> NativeEmbedder: ...
    @staticmethod
    def remote(
        api: str,
        model: str,
        *,
        base_url: str | None,
        api_key: str | None,
        dimensions: int | None,
        max_attempts: int | None,
        timeout: float | None,
    ) -> NativeEmbedder: ...
    @staticmethod
    def onnx(setup: NativeOnnxSetup) -> NativeEmbedder: ...
    def batched(self, max_texts: int, max_bytes: int, concurrency: int) -> NativeEmbedder: ...
    @property
    def model(self) -> str: ...
    @property
    def dim(self) -> int | None: ...
    def embed(self, text: str) -> Coroutine[Any, Any, list[float]]: ...
    def embed_batch(self, texts: Sequence[str]) -> Coroutine[Any, Any, list[list[float]]]: ...
    def embed_table(self, texts: Sequence[str]) -> Coroutine[Any, Any, memoryview]: ...

@final
class InMemoryAnnIndex:
    """Vectors by id, in memory, and those nearest to another one.

    A few thousand vectors are all looked at, and the answer is exact. From `exact_below` on a graph is made (HNSW), if
    a search through it finds the part `recall` of the ten nearest, and more quickly than looking at everything; how far
    it has to look for that is measured with vectors that are held out. `ef` says what was measured.

    All threads may share an index: no method holds the interpreter's lock while it works, and searches go on while
    somebody changes it.

    Example:
        >>> index = InMemoryAnnIndex(2)
        >>> index.upsert([7, 8], [[1.0, 0.0], [0.6, 0.8]])
        >>> [id for id, score in index.search([1.0, 0.1], 2)]
        [7, 8]
        >>> index.remove(7), len(index)
        (1, 1)
    """

    def __new__(
        cls,
        dim: int,
        metric: Literal["cosine", "dot", "l2"] = "cosine",
        *,
        max_vectors: int | None = None,
        exact_below: int = 10_000,
        recall: float = 0.95,
        m: int = 16,
        ef_construction: int = 100,
        ef: int | None = None,
    ) -> InMemoryAnnIndex:
        """An empty index of vectors with `dim` values.

        Args:
            dim: How many values a vector has.
            metric: What near means: the cosine, the dot product, or the negative square of the distance.
            max_vectors: How many it may hold.
            exact_below: Below so many vectors all of them are looked at.
            recall: Which part of the ten nearest a search through the graph shall find; at least 0 and below 1.
            m: How many links a vector chooses, 4 to 64.
            ef_construction: How many candidates it chooses them from.
            ef: How many nearest a search keeps on its way, instead of what is measured for `recall`.

        Raises:
            ConfigError: a setting makes no sense.
        """
    @staticmethod
    def load(path: str | PathLike[str]) -> InMemoryAnnIndex:
        """The index of a file, with its settings. Its vectors are read where they lie, until it is changed.

        Raises:
            NotFoundError: there is no such file.
            CorruptError: it is cut or damaged.
            UnsupportedFormatError: it is no index, or one of a later version.
        """
    def save(self, path: str | PathLike[str]) -> None:
        """Writes the index to a file, which is replaced when the new one is whole."""
    @property
    def dim(self) -> int:
        """How many values a vector has."""
    @property
    def metric(self) -> str:
        """What near means."""
    @property
    def ef(self) -> int | None:
        """How many nearest a search through the graph keeps on its way; `None` where every search is exact. More find
        more, and take longer; `None` sets what was measured."""
    @ef.setter
    def ef(self, ef: int | None) -> None: ...
    def upsert(self, ids: _Ids, vectors: _Vectors | _Vector) -> None:
        """Keeps each vector under its id, or one under one id; what is there under an id is replaced. Where an id
        stands twice, its last vector counts. All are kept or none.

        Raises:
            InvalidRequestError: a vector has another dimension, or a value that is no finite number.
            ConfigError: there are not as many ids as vectors.
            TooLargeError: the index would hold more than `max_vectors`.
        """
    def remove(self, ids: _Ids) -> int:
        """Forgets the vectors of these ids; answers how many were there."""
    def search(
        self, query: _Vector, top_k: int = 10, *, allowed: Collection[int] | Buffer | None = None
    ) -> list[tuple[int, float]]:
        """The nearest, at most `top_k`, as pairs of id and score: the nearest first, equals by id. With `allowed`, only
        these ids are found.

        Raises:
            InvalidRequestError: the query has another dimension, or a value that is no finite number.
        """
    def search_batch(self, queries: _Vectors, top_k: int = 10) -> list[list[tuple[int, float]]]:
        """The nearest of each query, on all cores."""
    def vector(self, id: int) -> list[float] | None:
        """The vector of this id: as it was given; by cosine, scaled to the length 1."""
    def handle(self) -> NativeAnnIndex: ...
    def len(self) -> int:
        """As `len(index)`."""
    def __len__(self) -> int: ...
    def __contains__(self, key: int, /) -> bool: ...
    def __bool__(self) -> bool: ...

@final
class NativeAnnIndex:
    """An index that may wait."""

    @staticmethod
    def guest(target: object, key: str) -> NativeAnnIndex: ...
    @property
    def dim(self) -> int: ...
    def upsert(self, ids: _Ids, vectors: _Vectors) -> Coroutine[Any, Any, None]: ...
    def remove(self, ids: _Ids) -> Coroutine[Any, Any, int]: ...
    def search(
        self, query: _Vector, top_k: int, allowed: Collection[int] | Buffer | None
    ) -> Coroutine[Any, Any, list[tuple[int, float]]]: ...
    def len(self) -> Coroutine[Any, Any, int]: ...
