"""The decorators of what finds and remembers; `atomr_agents.guest` has all of them."""

from __future__ import annotations

from ._guests import named, registering
from ._light import TypeVar, overload
from ._native.guest import target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable as Function
    from typing import Any

    from ._embedders import AnnIndex, Embedder
    from ._loaders import Loader
    from ._native.memory import LongStore, MemoryStore
    from ._pipelines import KvCache
    from ._retrievers import Retriever
    from ._splitters import AsyncSplitter

T = TypeVar("T")


@overload
def loader(name: str, /) -> Function[[T], T]: ...
@overload
def loader(target: T, /) -> T: ...
@overload
def loader(*, name: str | None = None) -> Function[[T], T]: ...
def loader(target: Any = None, /, *, name: str | None = None) -> Any:
    """Registers what loads documents: a function without arguments, plain or async, or an object with `load()`. It
    gives a list of `Document`.

    Example:
        >>> from atomr_agents import Document
        >>> @loader("notes")
        ... def notes():
        ...     return [Document("a", "Rain."), Document("b", "Wind.")]
        >>> [document.id for document in loader_from_factory("notes").load_sync()]
        ['a', 'b']
    """
    return registering("loader", *named(target, name))


@overload
def splitter(name: str, /) -> Function[[T], T]: ...
@overload
def splitter(target: T, /) -> T: ...
@overload
def splitter(*, name: str | None = None) -> Function[[T], T]: ...
def splitter(target: Any = None, /, *, name: str | None = None) -> Any:
    """Registers what cuts documents: a function of a `Document`, plain or async, or an object with `split(document)`.
    It gives a list of `Document`.

    Example:
        >>> from atomr_agents import Document
        >>> @splitter("lines")
        ... def lines(document):
        ...     return [Document(f"{document.id}#{n}", line) for n, line in enumerate(document.text.splitlines())]
        >>> [piece.id for piece in splitter_from_factory("lines").split_sync(Document("a", "Rain.\\nWind."))]
        ['a#0', 'a#1']
    """
    return registering("splitter", *named(target, name))


@overload
def memory_store(name: str, /) -> Function[[T], T]: ...
@overload
def memory_store(target: T, /) -> T: ...
@overload
def memory_store(*, name: str | None = None) -> Function[[T], T]: ...
def memory_store(target: Any = None, /, *, name: str | None = None) -> Any:
    """Registers what keeps what was said lately: an object with `put(namespace, item)` and `list(namespace, limit,
    before)`, plain or async, and perhaps `get(namespace, id)`, `delete(namespace, id)` and `search(namespace, query,
    limit)`. A namespace is a tuple of texts, an item a `MemoryItem`; `list` gives the last one first, and only those in
    front of the id `before` where that is not `None`.

    Example:
        >>> from atomr_agents.memory import MemoryItem
        >>> @memory_store("notes")
        ... class Notes:
        ...     def __init__(self) -> None:
        ...         self.items: list[MemoryItem] = []
        ...     def put(self, namespace, item):
        ...         self.items.append(item)
        ...     def list(self, namespace, limit, before):
        ...         return self.items[::-1][:limit]
        >>> import asyncio
        >>> notes = memory_store_from_factory("notes")
        >>> asyncio.run(notes.put(("ada",), "likes rain")).text
        'likes rain'
        >>> [item.text for item in asyncio.run(notes.list("ada"))]
        ['likes rain']
    """
    return registering("memory_store", *named(target, name))


@overload
def long_store(name: str, /) -> Function[[T], T]: ...
@overload
def long_store(target: T, /) -> T: ...
@overload
def long_store(*, name: str | None = None) -> Function[[T], T]: ...
def long_store(target: Any = None, /, *, name: str | None = None) -> Any:
    """Registers what keeps what shall be found again: an object with `put(namespace, key, value, embedding, ttl)`,
    `get(namespace, key)`, `delete(namespace, key)` and `search(namespace, about)`, plain or async, and perhaps
    `list_namespaces(prefix, limit)` and `update(namespace, key, value, embedding, ttl)`. `about` is a dict with
    `query`, `embedding`, `by`, `filter` and `top_k`; items are `StoreItem`s, or dicts with `namespace`, `key` and
    `value`.

    Example:
        >>> @long_store("facts")
        ... class Facts:
        ...     def __init__(self) -> None:
        ...         self.kept: dict = {}
        ...     def put(self, namespace, key, value, embedding, ttl):
        ...         self.kept[namespace, key] = value
        ...     def get(self, namespace, key):
        ...         value = self.kept.get((namespace, key))
        ...         return None if value is None else {"value": value}
        ...     def delete(self, namespace, key):
        ...         return self.kept.pop((namespace, key), None) is not None
        ...     def search(self, namespace, about):
        ...         return []
        >>> import asyncio
        >>> facts = long_store_from_factory("facts")
        >>> asyncio.run(facts.put(("ada",), "home", "Oslo"))
        >>> asyncio.run(facts.get(("ada",), "home")).value
        'Oslo'
    """
    return registering("long_store", *named(target, name))


@overload
def embedder(name: str, /) -> Function[[T], T]: ...
@overload
def embedder(target: T, /) -> T: ...
@overload
def embedder(*, name: str | None = None) -> Function[[T], T]: ...
def embedder(target: Any = None, /, *, name: str | None = None) -> Any:
    """Registers an embedder: a function of a text that gives its vector, plain or async, or an object with such an
    `embed`.

    `embed_batch(texts)`, where it is there, is called once for many texts; without it, `embed` is called for each,
    eight at once. `dim` says how many numbers a vector has, `model` what makes them. The object itself comes back.

    Example:
        >>> @embedder("letters")
        ... def letters(text: str) -> list[float]:
        ...     return [float(text.count(letter)) for letter in "abc"]
        >>> embedder_from_factory("letters").embed_sync("abba")
        [2.0, 2.0, 0.0]
    """
    return registering("embedder", *named(target, name))


@overload
def ann_index(name: str, /) -> Function[[T], T]: ...
@overload
def ann_index(target: T, /) -> T: ...
@overload
def ann_index(*, name: str | None = None) -> Function[[T], T]: ...
def ann_index(target: Any = None, /, *, name: str | None = None) -> Any:
    """Registers an index of vectors: an object, or a class without arguments, with `upsert(id, vec)`,
    `search(query, top_k)`, which gives pairs of id and score, and `len()`; perhaps with `remove(id)`, which says
    whether it was there, and `dim`.

    Example:
        >>> import asyncio
        >>> @ann_index("few")
        ... class Few:
        ...     def __init__(self):
        ...         self.all = {}
        ...     def upsert(self, id, vec):
        ...         self.all[id] = vec
        ...     def search(self, query, top_k):
        ...         scored = [(id, sum(a * b for a, b in zip(query, vec))) for id, vec in self.all.items()]
        ...         return sorted(scored, key=lambda pair: -pair[1])[:top_k]
        ...     def len(self):
        ...         return len(self.all)
        >>> index = ann_index_from_factory("few")
        >>> asyncio.run(index.upsert([7], [[1.0, 0.0]]))
        >>> asyncio.run(index.search([1.0, 0.0], 1))
        [(7, 1.0)]
    """
    return registering("ann_index", *named(target, name))


@overload
def retriever(name: str, /) -> Function[[T], T]: ...
@overload
def retriever(target: T, /) -> T: ...
@overload
def retriever(*, name: str | None = None) -> Function[[T], T]: ...
def retriever(target: Any = None, /, *, name: str | None = None) -> Any:
    """Registers a retriever: a function of a query that gives a list of `Document`, plain or async, or an object
    with such a `retrieve`. It is told the words; `filter` and `top_k` of a call are applied to what it gives. The
    object itself comes back.

    Example:
        >>> from atomr_agents import Document
        >>> @retriever("weather")
        ... async def weather(query: str):
        ...     return [Document("a", f"{query}: rain")]
        >>> retriever_from_factory("weather").retrieve_sync("Oslo")[0].text
        'Oslo: rain'
    """
    return registering("retriever", *named(target, name))


@overload
def kv_cache(name: str, /) -> Function[[T], T]: ...
@overload
def kv_cache(target: T, /) -> T: ...
@overload
def kv_cache(*, name: str | None = None) -> Function[[T], T]: ...
def kv_cache(target: Any = None, /, *, name: str | None = None) -> Any:
    """Registers what keeps vectors: an object with `get(key)`, which gives a list of numbers or `None`, and `put(key,
    value)`, plain or async.

    Example:
        >>> @kv_cache("dict")
        ... class Kept:
        ...     def __init__(self):
        ...         self.all = {}
        ...     def get(self, key):
        ...         return self.all.get(key)
        ...     def put(self, key, value):
        ...         self.all[key] = value
        >>> import asyncio
        >>> cache = kv_cache_from_factory("dict")
        >>> asyncio.run(cache.put("a", [1.0, 0.5]))
        >>> asyncio.run(cache.get("a"))
        [1.0, 0.5]
    """
    return registering("kv_cache", *named(target, name))


def loader_from_factory(key: str) -> Loader:
    """What was registered under this key to load documents; a KeyError lists what there is."""
    from ._loaders import loader_from_factory

    return loader_from_factory(key)


def splitter_from_factory(key: str) -> AsyncSplitter:
    """What was registered under this key to cut documents; a KeyError lists what there is."""
    from ._splitters import splitter_from_factory

    return splitter_from_factory(key)


def memory_store_from_factory(key: str) -> MemoryStore:
    """The short memory that was registered under this key; a KeyError lists what there is."""
    from ._native.memory import MemoryStore

    return MemoryStore.guest(target("memory_store", key), key)


def long_store_from_factory(key: str) -> LongStore:
    """The long memory that was registered under this key; a KeyError lists what there is."""
    from ._native.memory import LongStore

    return LongStore.guest(target("long_store", key), key)


def embedder_from_factory(key: str) -> Embedder:
    """The embedder that was registered under this key; a KeyError lists what there is."""
    from ._embedders import embedder_from_factory

    return embedder_from_factory(key)


def ann_index_from_factory(key: str) -> AnnIndex:
    """The index that was registered under this key; a KeyError lists what there is."""
    from ._embedders import ann_index_from_factory

    return ann_index_from_factory(key)


def retriever_from_factory(key: str) -> Retriever:
    """The retriever that was registered under this key; a KeyError lists what there is."""
    from ._retrievers import retriever_from_factory

    return retriever_from_factory(key)


def kv_cache_from_factory(key: str) -> KvCache:
    """What was registered under this key to keep vectors; a KeyError lists what there is."""
    from ._pipelines import kv_cache_from_factory

    return kv_cache_from_factory(key)
