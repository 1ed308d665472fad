"""Retrievers made of retrievers. `atomr_agents.retriever` shows them."""

from __future__ import annotations

from ._retrievers import Bm25Retriever, Retriever, _count, _Index, native_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable as Function
    from collections.abc import Iterable, Sequence
    from typing import Any, Literal, Protocol

    from ._embedders import AnyEmbedder
    from ._native.agent import InferenceClient
    from ._native.core import Document
    from ._native.retriever import NativeCompressor, NativeReranker
    from ._retrievers import AnyRetriever

    class HasRerank(Protocol):
        """An object that scores documents for a query."""

        def rerank(self, query: str, documents: list[Document], /) -> Any: ...

    class HasCompress(Protocol):
        """An object that finds in a text what belongs to a query."""

        def compress(self, query: str, text: str, /) -> Any: ...


CANDIDATES = 50


class EnsembleRetriever(Retriever):
    """Asks several retrievers at once and fuses what they find by rank: the sum of `weight / (60 + rank)`. Equal
    scores are in the order of the best rank, then of the ids.

    Args:
        members: The retrievers.
        top_k: How many documents are found where a call does not say.
        weights: What the ranks of each count; 1 for all, if nothing is said. A member of weight 0 is not asked.
        candidates: How many documents each is asked for, at least.

    Example:
        >>> from atomr_agents import Document
        >>> left, right = Bm25Retriever([Document("a", "rain")]), Bm25Retriever([Document("b", "rain")])
        >>> [found.id for found in EnsembleRetriever([left, right], weights=[1, 2]).retrieve_sync("rain")]
        ['b', 'a']
    """

    __slots__ = ()

    def __init__(
        self,
        members: Sequence[AnyRetriever],
        top_k: int = 10,
        weights: Sequence[float] | None = None,
        *,
        candidates: int = CANDIDATES,
    ) -> None:
        from ._native.retriever import NativeRetriever
        from .errors import ConfigError

        weighed = [1.0] * len(members) if weights is None else [float(weight) for weight in weights]
        if len(weighed) != len(members):
            raise ConfigError(f"there are {len(members)} members and {len(weighed)} weights")
        pairs = [(weight, native_of(member)) for weight, member in zip(weighed, members, strict=True)]
        self.label, self.native = "ensemble", NativeRetriever.ensemble(pairs, _count(top_k), _count(candidates))


class MultiQueryRetriever(Retriever):
    """Asks a retriever several queries at once: the one that was asked, and others, and fuses what they find by rank.

    Args:
        base: The retriever.
        model: What writes the other queries: the name of a model (`"openai:gpt-4o-mini"`) or a client.
        n_queries: How many it shall write.
        variants: Instead of a model: always these.
        top_k: How many documents are found where a call does not say.

    Example:
        >>> from atomr_agents import Document
        >>> notes = Bm25Retriever([Document("a", "precipitation"), Document("b", "rain")])
        >>> search = MultiQueryRetriever(notes, variants=["precipitation"])
        >>> sorted(found.id for found in search.retrieve_sync("rain"))
        ['a', 'b']
    """

    __slots__ = ()

    def __init__(
        self,
        base: AnyRetriever,
        model: Any = None,
        *,
        n_queries: int = 3,
        variants: Sequence[str] | None = None,
        top_k: int = 10,
    ) -> None:
        from ._native.retriever import NativeRetriever
        from .errors import ConfigError

        self.label = "multi_query"
        if (model is None) == (variants is None):
            raise ConfigError("the other queries are written by a model, or are the variants: give one of the two")
        if variants is not None:
            self.native = NativeRetriever.fixed_queries(native_of(base), list(variants), _count(top_k))
        else:
            self.native = NativeRetriever.multi_query(native_of(base), *_model(model), _count(n_queries), _count(top_k))


class ContextualCompressionRetriever(Retriever):
    """Shortens what a retriever finds to what belongs to the query; a document of which nothing does is left out.

    Without a model, the sentences that have a word of the query are kept. With one, the passages that it picks, of
    which those that do not stand in the text are left out. Score, metadata and span stay those of the whole document.

    Args:
        base: The retriever.
        model: What picks the passages, if not the words.
        compressor: Instead of both, one of yours: `compress(query, text)`, or a function of these two, plain or async,
            that gives the text that belongs to the query, or None.
        language: The language whose stems and stop words are used to compare words; English stop words, if nothing
        is said.

    Example:
        >>> from atomr_agents import Document
        >>> notes = Bm25Retriever([Document("a", "Pi is 3.14 or so. Cats sleep.")])
        >>> ContextualCompressionRetriever(notes).retrieve_sync("what is pi?")[0].text
        'Pi is 3.14 or so.'
    """

    __slots__ = ()

    def __init__(
        self,
        base: AnyRetriever,
        *,
        model: Any = None,
        language: str | None = None,
        compressor: HasCompress | Function[[str, str], Any] | None = None,
    ) -> None:
        from ._native.retriever import NativeCompressor, NativeRetriever
        from .errors import ConfigError

        if compressor is not None and (model is not None or language is not None):
            raise ConfigError("texts are shortened by a compressor of yours, a model or words: give one of them")
        native: NativeCompressor
        if compressor is not None:
            native = NativeCompressor.guest(_function("compressor", compressor, "compress"))
        elif model is None:
            native = NativeCompressor.sentences(language)
        else:
            native = NativeCompressor.model(*_model(model))
        self.label, self.native = "compression", NativeRetriever.compressed(native_of(base), native)


class ParentDocumentRetriever(Retriever):
    """Looks for pieces and gives the documents that they were cut from: each once, in the order of its best piece.

    Args:
        child_retriever: What finds the pieces.
        parents: The documents, or an index that keeps them.
        key: The key of a piece's metadata that names its document; the piece's span says it, if nothing is said.
        top_k: How many documents are found where a call does not say.
        candidates: How many pieces are looked for, at least.

    Example:
        >>> from atomr_agents import Document
        >>> pieces = Bm25Retriever([Document("a#1", "wind", {"parent": "a"})])
        >>> search = ParentDocumentRetriever(pieces, [Document("a", "rain and wind")], key="parent")
        >>> search.retrieve_sync("wind")[0].text
        'rain and wind'
    """

    __slots__ = ()

    def __init__(
        self,
        child_retriever: AnyRetriever,
        parents: Iterable[Document] | Bm25Retriever | _Index,
        *,
        key: str | None = None,
        top_k: int = 5,
        candidates: int = CANDIDATES,
    ) -> None:
        from ._native.retriever import NativeRetriever

        kept = parents if isinstance(parents, _Index) else Bm25Retriever(parents)
        pieces = native_of(child_retriever)
        native = NativeRetriever.parents(pieces, kept.index, key, _count(top_k), _count(candidates))
        self.label, self.native = "parent_document", native


class Field:
    """A key of the metadata that a question may have conditions on.

    Example:
        >>> Field("year", "number", "The year of the report.")
        Field('year', 'number')
    """

    __slots__ = ("description", "key", "type")

    def __init__(self, key: str, type: Literal["text", "number", "boolean", "list"], description: str = "") -> None:
        self.key = key
        """The key."""
        self.type = type
        """What its values are; of a list of texts, a question can ask what it contains."""
        self.description = description
        """What they mean, for the model."""

    def __repr__(self) -> str:
        return f"Field({self.key!r}, {self.type!r})"


class SelfQueryRetriever(Retriever):
    """Has a model take a question apart into words and conditions on declared fields; both are part of the search.

    Conditions are checked against the fields' types. An answer that fits no field is told back to the model once,
    then it is an `InvalidOutputError`. Only what the model says is a condition: an address or a time in the question
    is none.

    Args:
        base: The retriever, which gets the filter.
        model: What takes questions apart: the name of a model or a client.
        fields: What the metadata has.

    Example:
        >>> from atomr_agents import Document
        >>> from atomr_agents.testkit import ScriptedModel
        >>> notes = Bm25Retriever([Document("a", "rain", {"year": 1999}), Document("b", "rain", {"year": 2024})])
        >>> answer = '{"query": "rain", "match": "all", "conditions": [{"key": "year", "op": "ge", "value": 2020}]}'
        >>> search = SelfQueryRetriever(notes, ScriptedModel().text(answer), [Field("year", "number")])
        >>> [found.id for found in search.retrieve_sync("rain since 2020")]
        ['b']
    """

    __slots__ = ()

    def __init__(self, base: AnyRetriever, model: Any, fields: Sequence[Field]) -> None:
        from ._native.retriever import NativeRetriever

        told = [(field.key, field.type, field.description) for field in fields]
        self.label, self.native = "self_query", NativeRetriever.self_query(native_of(base), *_model(model), told)


class EmbeddingsFilter(Retriever):
    """Keeps, of what a retriever finds, the documents whose cosine with the query is at least a threshold. The
    embedder is asked once for all of them. A document keeps its score, unless `rescore` makes the cosine the score.

    Example:
        >>> from atomr_agents import Document
        >>> notes = Bm25Retriever([Document("a", "rain oslo"), Document("b", "rain on a grey road far from any sea")])
        >>> [found.id for found in EmbeddingsFilter(notes, "mock:512", 0.8).retrieve_sync("oslo rain")]
        ['a']
    """

    __slots__ = ()

    def __init__(
        self, base: AnyRetriever, embedder: AnyEmbedder, threshold: float = 0.5, *, rescore: bool = False
    ) -> None:
        from ._embedders import Embedder
        from ._native.retriever import NativeRetriever

        made = Embedder(embedder).native
        native = NativeRetriever.embeddings_filter(native_of(base), made, float(threshold), rescore)
        self.label, self.native = "embeddings_filter", native


class TimeWeightedRetriever(Retriever):
    """Multiplies the score of what a retriever finds by `exp(-decay_rate * hours)`, by the age of the document.

    Args:
        base: The retriever.
        decay_rate: How quickly what is old counts less, per hour.
        key: The key of the metadata that has the time, in milliseconds since 1970. A document without it keeps its
        score.
        now_ms: Ages as of this time; of the moment, if nothing is said.
        top_k: How many documents are found where a call does not say.
        candidates: How many documents are weighed, at least.

    Example:
        >>> from atomr_agents import Document
        >>> notes = Bm25Retriever([Document("a", "rain", {"ts_ms": 0}), Document("b", "rain", {"ts_ms": 3_600_000})])
        >>> [found.id for found in TimeWeightedRetriever(notes, 0.5, now_ms=7_200_000).retrieve_sync("rain")]
        ['b', 'a']
    """

    __slots__ = ()

    def __init__(
        self,
        base: AnyRetriever,
        decay_rate: float = 0.01,
        *,
        key: str = "ts_ms",
        now_ms: int | None = None,
        top_k: int = 5,
        candidates: int = CANDIDATES,
    ) -> None:
        from ._native.retriever import NativeRetriever

        counts = (_count(top_k), _count(candidates))
        native = NativeRetriever.time_weighted(native_of(base), float(decay_rate), key, now_ms, counts)
        self.label, self.native = "time_weighted", native


class MmrRetriever(Retriever):
    """Picks, of what a retriever finds, documents that fit and are not the same again (maximal marginal relevance).

    Args:
        base: The retriever.
        embedder: What says how alike two texts are; asked once for all of them.
        lambda_: With 1 only the fit counts, with 0 only the difference.
        top_k: How many documents are picked where a call does not say.
        candidates: Of how many, at least.

    Example:
        >>> from atomr_agents import Document
        >>> texts = {"a": "rain in Oslo", "b": "rain in Oslo!", "c": "rain and a long grey road"}
        >>> notes = Bm25Retriever([Document(id, text) for id, text in texts.items()])
        >>> [found.id for found in MmrRetriever(notes, "mock:512", 0.3, top_k=2).retrieve_sync("rain in Oslo")]
        ['a', 'c']
    """

    __slots__ = ()

    def __init__(
        self,
        base: AnyRetriever,
        embedder: AnyEmbedder,
        lambda_: float = 0.5,
        *,
        top_k: int = 5,
        candidates: int = CANDIDATES,
    ) -> None:
        from ._embedders import Embedder
        from ._native.retriever import NativeRetriever

        made = Embedder(embedder).native
        native = NativeRetriever.mmr(native_of(base), made, float(lambda_), _count(top_k), _count(candidates))
        self.label, self.native = "mmr", native


class RerankedRetriever(Retriever):
    """Asks a retriever for many documents, has them scored again, and gives the best.

    Args:
        base: The retriever.
        model: What scores them, from 0 to 10, in one call: the name of a model or a client.
        embedder: Instead of a model: what scores them by the cosine with the query.
        reranker: Instead of both, one of yours: `rerank(query, documents)`, or a function of these two, plain or async,
            that gives a number for each document; higher is better.
        top_k: How many documents are found where a call does not say.
        candidates: How many are scored again, at least.

    Example:
        >>> from atomr_agents import Document
        >>> from atomr_agents.testkit import ScriptedModel
        >>> notes = Bm25Retriever([Document("a", "rain"), Document("b", "rain and wind")])
        >>> search = RerankedRetriever(notes, ScriptedModel().text('{"scores": [2, 9]}'))
        >>> [found.id for found in search.retrieve_sync("rain")]
        ['b', 'a']
    """

    __slots__ = ()

    def __init__(
        self,
        base: AnyRetriever,
        model: Any = None,
        *,
        embedder: AnyEmbedder | None = None,
        reranker: HasRerank | Function[[str, list[Document]], Any] | None = None,
        top_k: int = 5,
        candidates: int = CANDIDATES,
    ) -> None:
        from ._embedders import Embedder
        from ._native.retriever import NativeReranker, NativeRetriever
        from .errors import ConfigError

        if (model is not None) + (embedder is not None) + (reranker is not None) != 1:
            raise ConfigError("documents are scored by a model, an embedder or a reranker of yours: give one of them")
        scores: NativeReranker
        if reranker is not None:
            scores = NativeReranker.guest(_function("reranker", reranker, "rerank"))
        elif embedder is not None:
            scores = NativeReranker.embeddings(Embedder(embedder).native)
        else:
            scores = NativeReranker.model(*_model(model))
        native = NativeRetriever.reranked(native_of(base), scores, _count(top_k), _count(candidates))
        self.label, self.native = "reranked", native


def _function(name: str, target: Any, method: str) -> Any:
    """What is called of an object of the user's: its method, or itself."""
    from . import _checks

    found = getattr(target, method, target)
    if not callable(found):
        _checks.fail(name, f"a function, or an object with {method}()", target)
    return found


def _model(model: Any) -> tuple[InferenceClient, str]:
    from ._model import resolve

    return resolve(model, None, {})
