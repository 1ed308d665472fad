"""What finds documents. `atomr_agents.retriever` shows it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable as Function
    from collections.abc import Coroutine, Iterable
    from os import PathLike
    from typing import Any, Protocol, TypeAlias

    from ._embedders import AnyAnnIndex, AnyEmbedder
    from ._native.core import Document
    from ._native.retriever import Filter, NativeIndex, NativeRetriever
    from .callable_ import Callable
    from .tool import Tool

    class HasRetrieve(Protocol):
        """An object that finds documents."""

        def retrieve(self, query: str, /) -> Any: ...

    AnyFilter: TypeAlias = "Filter | dict[str, Any]"
    AnyRetriever: TypeAlias = "Retriever | HasRetrieve | Function[[str], Any]"


class Retriever:
    """Finds documents. Made by its subclasses, or of an object of yours: `Retriever(mine)`.

    Args:
        target: An object with `retrieve(query)`, or a function of a query, plain or async, that gives a list of
        `Document`.
            It is told the words; filter and number are applied to what it gives.

    Example:
        >>> from atomr_agents import Document
        >>> def one(query):
        ...     return [Document("a", f"about {query}")]
        >>> Retriever(one).retrieve_sync("rain")[0].text
        'about rain'
    """

    __slots__ = ("label", "native")

    def __init__(self, target: AnyRetriever) -> None:
        found = native_of(target)
        self.label = getattr(target, "label", None) or _name(target)
        """Its name, as a step and in errors."""
        self.native = found

    @classmethod
    def _made(cls, label: str, native: NativeRetriever) -> Retriever:
        made = object.__new__(cls)
        made.label, made.native = label, native
        return made

    def retrieve(
        self, query: str, *, top_k: int | None = None, filter: AnyFilter | None = None
    ) -> Coroutine[Any, Any, list[Document]]:
        """The documents that fit best, the best first; await what comes back.

        Args:
            query: The words.
            top_k: How many at most; the retriever's own number, if nothing is said.
            filter: What the metadata of everything that is found must fulfil.
        """
        return self.native.retrieve(query, filter, _number(top_k))

    def retrieve_sync(self, query: str, *, top_k: int | None = None, filter: AnyFilter | None = None) -> list[Document]:
        """The documents that fit best, where no event loop runs."""
        from ._sync import run

        return run(lambda: self.retrieve(query, top_k=top_k, filter=filter), "retrieve_sync()", "await retrieve(...)")

    def as_callable(self, label: str | None = None) -> Callable:
        """A step that takes a query (a text, or a dict with `text`, `filter`, `top_k`) and gives the documents as
        dicts. Where a step is wanted, the retriever itself will do."""
        from .callable_ import Callable

        return Callable(self.native.step(label or self.label))

    def as_tool(
        self, name: str, description: str, *, top_k: int | None = None
    ) -> Tool[[str], Coroutine[Any, Any, list[dict[str, Any]]]]:
        """A tool with which a model looks for documents; it reads their ids, texts and metadata."""
        from .tool import tool

        async def search(query: str) -> list[dict[str, Any]]:
            found = await self.retrieve(query, top_k=top_k)
            return [_told(document) for document in found]

        return tool(name=name, description=description, effect="none")(search)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class _Index(Retriever):
    """A retriever that keeps the documents itself."""

    __slots__ = ("index",)

    index: NativeIndex

    def _keep(self, label: str, index: NativeIndex) -> None:
        self.label, self.index, self.native = label, index, index.retriever()

    def get(self, id: str) -> Document | None:
        """The document of this id, without a score."""
        return self.index.get([id])[0]

    def ids_of(self, source: str) -> list[str]:
        """The ids of what was cut from this document."""
        return self.index.ids_of(source)

    def __len__(self) -> int:
        return self.index.count()

    def __bool__(self) -> bool:
        return True


class Bm25Retriever(_Index):
    """Documents in an inverted index in memory, found by the words they share with a query.

    The score is the sum over the words of `ln(1 + (N - n + 0.5) / (n + 0.5)) * f / (f + k1 * (1 - b + b * length /
    mean))` (Lucene's form). Adding, replacing and removing take time in proportion to the document, and need no
    `await`.

    Args:
        documents: What is there from the beginning.
        top_k: How many documents are found where a call does not say.
        k1: How much it counts that a word stands again; 0 is not at all.
        b: How much long documents are held against what stands in them, from 0 to 1.
        language: The language whose stems are compared (`"english"`, `"german"`, …); without one, the words as they
        stand, in
            lower case.
        stop_words: Whether the most frequent words of the language are left out, where there is a list of them.
        without: Words that are left out, too.

    Example:
        >>> from atomr_agents import Document
        >>> notes = Bm25Retriever([Document("a", "Rain in Oslo"), Document("b", "Wind in Bergen")], language="english")
        >>> [found.id for found in notes.retrieve_sync("raining")]
        ['a']
        >>> notes.remove("a"), len(notes)
        (1, 1)
    """

    __slots__ = ()

    def __init__(
        self,
        documents: Iterable[Document] = (),
        top_k: int = 5,
        k1: float = 1.5,
        b: float = 0.75,
        *,
        language: str | None = None,
        stop_words: bool = False,
        without: Iterable[str] = (),
    ) -> None:
        from ._native.retriever import NativeIndex

        options = _Words(_count(top_k), float(k1), float(b), language, bool(stop_words), list(without))
        self._keep("bm25", NativeIndex.words(options))
        self.index.add_now(list(documents))

    def add(self, documents: Iterable[Document]) -> None:
        """Keeps documents; one whose id is there is replaced. All of them are kept, or none."""
        self.index.add_now(list(documents))

    def remove(self, *ids: str) -> int:
        """Forgets documents; answers how many were there."""
        return self.index.remove_now(list(ids))

    def retrieve_sync(self, query: str, *, top_k: int | None = None, filter: AnyFilter | None = None) -> list[Document]:
        """The documents that fit best, at once: no event loop is needed, and none is in the way."""
        return self.index.search_now(query, filter, _number(top_k))

    def save(self, path: str | PathLike[str]) -> None:
        """Writes the index to a file; one that is there is replaced when the new one is whole."""
        self.index.save(path)

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        top_k: int = 5,
        k1: float = 1.5,
        b: float = 0.75,
        *,
        language: str | None = None,
        stop_words: bool = False,
        without: Iterable[str] = (),
    ) -> Bm25Retriever:
        """What `save` wrote; the words are indexed anew. Language, `k1` and `b` must be those it was made with.

        Raises:
            StorageError: the file cannot be read, is not whole, or was written by a newer version.
            ConfigError: something is not what the index was made with.
        """
        from ._native.retriever import NativeIndex

        options = _Words(_count(top_k), float(k1), float(b), language, bool(stop_words), list(without))
        made = object.__new__(cls)
        made._keep("bm25", NativeIndex.load_words(path, options))
        return made


class _Awaited(_Index):
    """An index of vectors, which are made by somebody."""

    __slots__ = ()

    def add(self, documents: Iterable[Document]) -> Coroutine[Any, Any, None]:
        """Makes the vectors of documents and keeps them; one whose id is there is replaced. All are kept, or none."""
        return self.index.add(list(documents))

    def add_sync(self, documents: Iterable[Document]) -> None:
        """The same, where no event loop runs."""
        from ._sync import run

        listed = list(documents)
        return run(lambda: self.add(listed), "add_sync()", "await add(...)")

    def remove(self, *ids: str) -> Coroutine[Any, Any, int]:
        """Forgets documents; answers how many were there."""
        return self.index.remove(list(ids))


class VectorRetriever(_Awaited):
    """Documents found by the vectors of their texts. A document comes back with the metadata that it came with.

    Args:
        embedder: What makes the vectors: an `Embedder`, `"mock:64"`, or an object or function of yours.
        index: An empty index of vectors, which nobody else writes; one in memory, if nothing is said.
        top_k: How many documents are found where a call does not say.

    Example:
        >>> from atomr_agents import Document
        >>> notes = VectorRetriever("mock:256")
        >>> notes.add_sync([Document("a", "rain in Oslo"), Document("b", "a tax form")])
        >>> notes.retrieve_sync("Oslo rain", top_k=1)[0].id
        'a'
    """

    __slots__ = ()

    def __init__(self, embedder: AnyEmbedder, index: AnyAnnIndex | None = None, top_k: int = 5) -> None:
        from ._embedders import AnnIndex, Embedder
        from ._native.embed import InMemoryAnnIndex
        from ._native.retriever import NativeIndex

        made = Embedder(embedder)
        vectors = AnnIndex(InMemoryAnnIndex(_dim(made.dim)) if index is None else index)
        self._keep("vector", NativeIndex.vectors(made.native, vectors.native, _count(top_k)))


class HybridIndex(_Awaited):
    """Documents found by their words and by their vectors, in one index: the two lists are fused by rank.

    A call changes words and vectors together or nothing. `save` writes all of it to a folder, in place of what
    may be there; whoever reads it, and a crash at any moment, finds the old index or the new one.

    Args:
        embedder: What makes the vectors.
        dim: How many numbers a vector has, where the embedder does not say.
        top_k, k1, b, language, stop_words, without: As for `Bm25Retriever`.
        metric: What near means: `"cosine"`, `"dot"` or `"l2"`.
        words_weight, vectors_weight: What the rank in either list counts.
        candidates: How many documents of either kind take part, at least.

    Example:
        >>> from atomr_agents import Document
        >>> notes = HybridIndex("mock:256")
        >>> notes.add_sync([Document("a", "rain in Oslo"), Document("b", "a tax form")])
        >>> notes.retrieve_sync("Oslo")[0].id
        'a'
    """

    __slots__ = ()

    def __init__(
        self,
        embedder: AnyEmbedder,
        dim: int | None = None,
        top_k: int = 10,
        k1: float = 1.5,
        b: float = 0.75,
        *,
        language: str | None = None,
        stop_words: bool = False,
        without: Iterable[str] = (),
        metric: str = "cosine",
        words_weight: float = 1.0,
        vectors_weight: float = 1.0,
        candidates: int = 50,
    ) -> None:
        from ._embedders import Embedder
        from ._native.retriever import NativeIndex

        words = _Words(_count(top_k), float(k1), float(b), language, bool(stop_words), list(without))
        options = _Both(words, metric, float(words_weight), float(vectors_weight), candidates)
        made = Embedder(embedder)
        self._keep("hybrid", NativeIndex.both(made.native, _dim(dim or made.dim), options))

    def save(self, path: str | PathLike[str]) -> None:
        """Writes the index to a folder, in place of the one that may be there, at once."""
        self.index.save(path)

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        embedder: AnyEmbedder,
        *,
        top_k: int = 10,
        k1: float = 1.5,
        b: float = 0.75,
        language: str | None = None,
        stop_words: bool = False,
        without: Iterable[str] = (),
        metric: str = "cosine",
        words_weight: float = 1.0,
        vectors_weight: float = 1.0,
        candidates: int = 50,
    ) -> HybridIndex:
        """What `save` wrote. Embedder, words, `k1` and `b` must be those it was made with; vectors are not made anew.

        Raises:
            StorageError: the file cannot be read, is not whole, or was written by a newer version.
            ConfigError: something is not what the index was made with.
        """
        from ._embedders import Embedder
        from ._native.retriever import NativeIndex

        words = _Words(_count(top_k), float(k1), float(b), language, bool(stop_words), list(without))
        options = _Both(words, metric, float(words_weight), float(vectors_weight), candidates)
        made = object.__new__(cls)
        made._keep("hybrid", NativeIndex.load(path, Embedder(embedder).native, options))
        return made


class _Words:
    """How words are found, for the core."""

    __slots__ = ("b", "k1", "language", "stop_words", "top_k", "without")

    def __init__(
        self, top_k: int, k1: float, b: float, language: str | None, stop_words: bool, without: list[str]
    ) -> None:
        self.top_k, self.k1, self.b = top_k, k1, b
        self.language, self.stop_words, self.without = language, stop_words, without


class _Both:
    """How words and vectors are found, for the core."""

    __slots__ = ("candidates", "metric", "vectors_weight", "words", "words_weight")

    def __init__(self, words: _Words, metric: str, words_weight: float, vectors_weight: float, candidates: int) -> None:
        self.words, self.metric, self.candidates = words, metric, _count(candidates)
        self.words_weight, self.vectors_weight = words_weight, vectors_weight


def native_of(target: Any) -> NativeRetriever:
    """What the core calls of a retriever, or of an object or function of the user's."""
    from ._guests import instance_of, name_of, registered
    from ._native.retriever import NativeRetriever

    if isinstance(target, Retriever):
        return target.native
    if isinstance(target, NativeRetriever):
        return target
    key, found = registered("retriever", target) or (name_of(target), instance_of("retriever", target))
    return NativeRetriever.guest(found, key)


def retriever_from_factory(key: str) -> Retriever:
    """The retriever that was registered under this key; a KeyError lists what there is."""
    from ._native import guest

    return Retriever(guest.target("retriever", key))  # type: ignore[arg-type]


def _told(document: Document) -> dict[str, Any]:
    """A document as a model reads it."""
    told = {"id": document.id, "text": document.text}
    return {**told, "metadata": document.metadata} if document.metadata else told


def _count(value: int) -> int:
    from . import _checks

    _checks.whole(0)("top_k", value)
    return value


def _number(top_k: int | None) -> int | None:
    return None if top_k is None else _count(top_k)


def _dim(dim: int | None) -> int:
    from .errors import ConfigError

    if dim is None:
        raise ConfigError("the embedder does not say its dimension; give dim=, or an index of vectors")
    return dim


def _name(target: Any) -> str:
    from ._guests import name_of

    return name_of(target)
