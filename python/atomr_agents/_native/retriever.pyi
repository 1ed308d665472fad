"""What finds documents, and what keeps them to be found."""

from collections.abc import Callable as _Function
from collections.abc import Coroutine, Sequence
from os import PathLike
from typing import Any, Protocol, final

from .agent import InferenceClient
from .callable_ import Callable
from .core import Document
from .embed import NativeAnnIndex, NativeEmbedder

__all__ = [
    "Filter",
    "NativeCompressor",
    "NativeIndex",
    "NativeReranker",
    "NativeRetriever",
    "fuse",
    "mmr",
]

class _WordOptions(Protocol):
    top_k: int
    k1: float
    b: float
    language: str | None
    stop_words: bool
    without: list[str]

class _BothOptions(Protocol):
    words: Any
    metric: str
    words_weight: float
    vectors_weight: float
    candidates: int

@final
class Filter:
    """A condition on the metadata of documents: plain data, joined by `&`, `|` and `~`.

    Numbers compare as numbers (3 is 3.0), texts by their code points, as ISO dates need it. A value of another type
    than the filter's, and one that is not there, is not equal, not below and not above.
    """

    @staticmethod
    def from_dict(filter: dict[str, Any]) -> Filter:
        """A filter as `to_dict` writes it: `{"op": "ge", "key": "year", "value": 2020}`."""
    @staticmethod
    def eq(key: str, value: Any) -> Filter:
        """The value is this one."""
    @staticmethod
    def ne(key: str, value: Any) -> Filter:
        """The value is another one, or there is none."""
    @staticmethod
    def lt(key: str, value: float | str) -> Filter:
        """The value lies below this number or text."""
    @staticmethod
    def le(key: str, value: float | str) -> Filter:
        """The value lies below this number or text, or is it."""
    @staticmethod
    def gt(key: str, value: float | str) -> Filter:
        """The value lies above this number or text."""
    @staticmethod
    def ge(key: str, value: float | str) -> Filter:
        """The value lies above this number or text, or is it."""
    @staticmethod
    def any_of(key: str, values: Sequence[Any]) -> Filter:
        """The value is one of these."""
    @staticmethod
    def contains(key: str, value: Any) -> Filter:
        """The value is a list that holds this."""
    @staticmethod
    def exists(key: str) -> Filter:
        """There is a value, and it is not `None`."""
    def __and__(self, other: Filter | dict[str, Any], /) -> Filter: ...
    def __rand__(self, other: Filter | dict[str, Any], /) -> Filter: ...
    def __or__(self, other: Filter | dict[str, Any], /) -> Filter: ...
    def __ror__(self, other: Filter | dict[str, Any], /) -> Filter: ...
    def __invert__(self) -> Filter: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def matches(self, metadata: dict[str, Any]) -> bool:
        """Whether it holds for this metadata."""
    def to_dict(self) -> dict[str, Any]:
        """As plain data."""

@final
class NativeRetriever:
    """Finds documents; `atomr_agents.retriever` has it as classes."""

    @staticmethod
    def guest(target: object, key: str) -> NativeRetriever: ...
    @staticmethod
    def ensemble(members: list[tuple[float, NativeRetriever]], top_k: int, candidates: int) -> NativeRetriever: ...
    @staticmethod
    def multi_query(
        base: NativeRetriever, client: InferenceClient, model: str, queries: int, top_k: int
    ) -> NativeRetriever: ...
    @staticmethod
    def fixed_queries(base: NativeRetriever, queries: list[str], top_k: int) -> NativeRetriever: ...
    @staticmethod
    def compressed(base: NativeRetriever, compressor: NativeCompressor) -> NativeRetriever: ...
    @staticmethod
    def parents(
        pieces: NativeRetriever, whole: NativeIndex, key: str | None, top_k: int, candidates: int
    ) -> NativeRetriever: ...
    @staticmethod
    def self_query(
        base: NativeRetriever, client: InferenceClient, model: str, fields: Sequence[tuple[str, str, str]]
    ) -> NativeRetriever: ...
    @staticmethod
    def embeddings_filter(
        base: NativeRetriever, embedder: NativeEmbedder, threshold: float, rescore: bool
    ) -> NativeRetriever: ...
    @staticmethod
    def time_weighted(
        base: NativeRetriever, decay: float, key: str, now: int | None, k: tuple[int, int]
    ) -> NativeRetriever: ...
    @staticmethod
    def mmr(
        base: NativeRetriever, embedder: NativeEmbedder, lambda_: float, top_k: int, candidates: int
    ) -> NativeRetriever: ...
    @staticmethod
    def reranked(base: NativeRetriever, reranker: NativeReranker, top_k: int, candidates: int) -> NativeRetriever: ...
    def retrieve(
        self, text: str, filter: Filter | dict[str, Any] | None, top_k: int | None
    ) -> Coroutine[Any, Any, list[Document]]: ...
    def step(self, label: str) -> Callable: ...

@final
class NativeIndex:
    """Keeps documents; `atomr_agents.retriever` has it as classes."""

    @staticmethod
    def words(options: _WordOptions) -> NativeIndex: ...
    @staticmethod
    def vectors(embedder: NativeEmbedder, index: NativeAnnIndex, top_k: int) -> NativeIndex: ...
    @staticmethod
    def both(embedder: NativeEmbedder, dim: int, options: _BothOptions) -> NativeIndex: ...
    @staticmethod
    def load_words(path: str | PathLike[str], options: _WordOptions) -> NativeIndex: ...
    @staticmethod
    def load(path: str | PathLike[str], embedder: NativeEmbedder, options: _BothOptions) -> NativeIndex: ...
    def save(self, path: str | PathLike[str]) -> None: ...
    def retriever(self) -> NativeRetriever: ...
    def add(self, documents: list[Document]) -> Coroutine[Any, Any, None]: ...
    def add_now(self, documents: list[Document]) -> None: ...
    def search_now(self, text: str, filter: Filter | dict[str, Any] | None, top_k: int | None) -> list[Document]: ...
    def remove(self, ids: list[str]) -> Coroutine[Any, Any, int]: ...
    def remove_now(self, ids: list[str]) -> int: ...
    def count(self) -> int: ...
    def get(self, ids: list[str]) -> list[Document | None]: ...
    def ids_of(self, source: str) -> list[str]: ...

@final
class NativeCompressor:
    """Makes documents shorter."""

    @staticmethod
    def sentences(language: str | None) -> NativeCompressor: ...
    @staticmethod
    def guest(target: _Function[[str, str], Any]) -> NativeCompressor: ...
    @staticmethod
    def model(client: InferenceClient, model: str) -> NativeCompressor: ...

@final
class NativeReranker:
    """Scores what was found again."""

    @staticmethod
    def embeddings(embedder: NativeEmbedder) -> NativeReranker: ...
    @staticmethod
    def guest(target: _Function[[str, list[Document]], Any]) -> NativeReranker: ...
    @staticmethod
    def model(client: InferenceClient, model: str) -> NativeReranker: ...

def mmr(
    query: Sequence[float], vectors: Sequence[Sequence[float]], lambda_: float, top_k: int
) -> list[tuple[int, float]]:
    """Maximal marginal relevance: picks one after the other the vector with the greatest
    `lambda_ * cos(query, it) - (1 - lambda_) * max(cos(picked, it))`; gives places and these values."""

def fuse(lists: Sequence[tuple[float, Sequence[Document]]], k: float) -> list[Document]:
    """Reciprocal rank fusion of lists with weights: `weight / (k + rank)`, summed; ties by the best rank, then by
    id."""
