"""What finds documents: by their words, by their vectors, by both, and retrievers made of these.

This module is also the decorator of its name. A retriever has `await retrieve(query)` and `retrieve_sync(query)`,
both with `top_k=` and `filter=`; it is a step wherever one is wanted, and `as_tool(name, description)` makes a tool
of it.

| name | what |
|---|---|
| `Bm25Retriever` | an inverted index, found by words |
| `VectorRetriever` | found by vectors, in any index of them |
| `HybridIndex` | both in one index, with a file |
| `EnsembleRetriever` | several at once, fused by rank |
| `MultiQueryRetriever` | one question in several wordings |
| `SelfQueryRetriever` | a question that says its own conditions |
| `ParentDocumentRetriever` | finds pieces, gives the whole |
| `ContextualCompressionRetriever` | only what belongs to the question |
| `EmbeddingsFilter`, `RerankedRetriever`, `MmrRetriever`, `TimeWeightedRetriever` | a second look at what was found |
| `Retriever` | one of yours |
| `Filter` | conditions on metadata |

Example:
    >>> from atomr_agents import Document
    >>> from atomr_agents.retriever import Bm25Retriever, Filter
    >>> notes = Bm25Retriever([Document("a", "Rain in Oslo", {"year": 2024}), Document("b", "Rain", {"year": 1999})])
    >>> [found.id for found in notes.retrieve_sync("rain", filter=Filter.ge("year", 2000))]
    ['a']
"""

from __future__ import annotations

from ._callable_module import make_callable
from ._combining import (
    ContextualCompressionRetriever,
    EmbeddingsFilter,
    EnsembleRetriever,
    Field,
    MmrRetriever,
    MultiQueryRetriever,
    ParentDocumentRetriever,
    RerankedRetriever,
    SelfQueryRetriever,
    TimeWeightedRetriever,
)
from ._native.retriever import Filter, mmr
from ._native.retriever import fuse as _fuse
from ._retrievers import Bm25Retriever, HybridIndex, Retriever, VectorRetriever, retriever_from_factory
from .core import Document
from .guest import retriever

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from ._embedders import AnyEmbedder
    from ._retrievers import AnyRetriever

__all__ = [
    "Bm25Retriever",
    "ContextualCompressionRetriever",
    "Document",
    "EmbeddingsFilter",
    "EnsembleRetriever",
    "Field",
    "Filter",
    "HybridIndex",
    "MmrRetriever",
    "MultiQueryRetriever",
    "ParentDocumentRetriever",
    "RerankedRetriever",
    "Retriever",
    "SelfQueryRetriever",
    "TimeWeightedRetriever",
    "VectorRetriever",
    "bm25_retriever",
    "contextual_compression_retriever",
    "embeddings_filter",
    "ensemble_retriever",
    "fuse",
    "mmr",
    "multi_query_retriever",
    "retriever",
    "retriever_from_factory",
    "time_weighted_retriever",
]


def fuse(
    lists: Sequence[Sequence[Document]], weights: Sequence[float] | None = None, k: float = 60.0
) -> list[Document]:
    """Reciprocal rank fusion: a document's score is the sum of `weight / (k + rank)` over the lists that have it.

    Equal scores are in the order of the best rank, then of the ids.

    Example:
        >>> a, b = Document("a", ""), Document("b", "")
        >>> [found.id for found in fuse([[a, b], [b]])]
        ['b', 'a']
    """
    from .errors import ConfigError

    weighed = [1.0] * len(lists) if weights is None else list(weights)
    if len(weighed) != len(lists):
        raise ConfigError(f"there are {len(lists)} lists and {len(weighed)} weights")
    return _fuse(list(zip(weighed, lists, strict=True)), k)


def bm25_retriever(documents: Iterable[Document], top_k: int = 5, k1: float = 1.5, b: float = 0.75) -> Bm25Retriever:
    """A `Bm25Retriever`, by its older name."""
    return Bm25Retriever(documents, top_k, k1, b)


def contextual_compression_retriever(base: AnyRetriever) -> ContextualCompressionRetriever:
    """A `ContextualCompressionRetriever` by words, by its older name."""
    return ContextualCompressionRetriever(base)


def embeddings_filter(base: AnyRetriever, embedder: AnyEmbedder, threshold: float = 0.5) -> EmbeddingsFilter:
    """An `EmbeddingsFilter`, by its older name."""
    return EmbeddingsFilter(base, embedder, threshold)


def ensemble_retriever(
    members: Sequence[AnyRetriever], top_k: int = 10, weights: Sequence[float] | None = None
) -> EnsembleRetriever:
    """An `EnsembleRetriever`, by its older name."""
    return EnsembleRetriever(members, top_k, weights)


def multi_query_retriever(
    base: AnyRetriever, n_queries: int = 3, variants: Sequence[str] | None = None, *, model: Any = None
) -> MultiQueryRetriever:
    """A `MultiQueryRetriever`, by its older name. There are no queries without variants or a model that writes them."""
    return MultiQueryRetriever(base, model, n_queries=n_queries, variants=variants)


def time_weighted_retriever(base: AnyRetriever, decay_rate: float = 0.01) -> TimeWeightedRetriever:
    """A `TimeWeightedRetriever`, by its older name."""
    return TimeWeightedRetriever(base, decay_rate)


make_callable(__name__, retriever)
