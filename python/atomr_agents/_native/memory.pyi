"""What agents remember."""

import builtins
from collections.abc import Callable, Coroutine, Mapping, Sequence
from os import PathLike
from typing import Any, TypeAlias, final

from .agent import InferenceClient
from .strategy import MemoryStrategyHandle
from .tool import NativeTool

__all__ = [
    "LongStore",
    "MemoryItem",
    "MemoryStore",
    "StoreItem",
    "chained",
    "recall",
    "recency",
    "summarizing",
    "tools",
]

_Namespace: TypeAlias = Sequence[str]
_Whose: TypeAlias = Sequence[str] | Callable[[Any], Sequence[str]]

@final
class MemoryItem:
    """Something that was said or happened. Items stand in the order of their ids; those made here in the order in which
    they were made. `content` is any JSON value; `text` is what a model reads of it: the content, its `text`, or its
    JSON.
    """

    def __new__(cls, content: Any, *, id: str | None = None, created_ms: int | None = None) -> MemoryItem: ...
    @staticmethod
    def from_dict(value: dict[str, Any]) -> MemoryItem: ...
    @property
    def id(self) -> str: ...
    @property
    def content(self) -> Any: ...
    @property
    def created_ms(self) -> int: ...
    @property
    def text(self) -> str: ...
    def to_dict(self) -> dict[str, Any]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class StoreItem:
    """Something that is kept under a key of its namespace. `score` says how well it fits what was looked for; times are
    milliseconds since the Unix epoch.
    """

    def __new__(
        cls,
        namespace: _Namespace,
        key: str,
        value: Any,
        *,
        created_ms: int = 0,
        updated_ms: int | None = None,
        expires_ms: int | None = None,
        score: float | None = None,
    ) -> StoreItem: ...
    @staticmethod
    def from_dict(value: dict[str, Any]) -> StoreItem: ...
    @property
    def namespace(self) -> tuple[str, ...]: ...
    @property
    def key(self) -> str: ...
    @property
    def value(self) -> Any: ...
    @property
    def created_ms(self) -> int: ...
    @property
    def updated_ms(self) -> int: ...
    @property
    def expires_ms(self) -> int | None: ...
    @property
    def score(self) -> float | None: ...
    @property
    def text(self) -> str: ...
    def to_dict(self) -> dict[str, Any]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class MemoryStore:
    """Keeps what was said lately, in its order, by namespace: a tuple of texts, or one text for one part."""

    @staticmethod
    def on(store: Any) -> MemoryStore:
        """In this store: a path, `"sqlite:…"`, `"postgres://…"`, or a `Store`."""
    @staticmethod
    def in_memory() -> MemoryStore:
        """In this process."""
    @staticmethod
    def guest(target: object, key: str) -> MemoryStore: ...
    def put(self, namespace: _Namespace, item: Any) -> Coroutine[Any, Any, MemoryItem]:
        """Keeps an item, in place of the one with the same id; anything that is no `MemoryItem` becomes the content of
        a new one, which comes back."""
    def list(
        self, namespace: _Namespace, limit: int = 10, *, before: str | None = None
    ) -> Coroutine[Any, Any, builtins.list[MemoryItem]]:
        """The last items, the last one first; with `before`, only those in front of the item of this id."""
    def get(self, namespace: _Namespace, id: str) -> Coroutine[Any, Any, MemoryItem | None]:
        """The item of this id."""
    def delete(self, namespace: _Namespace, id: str) -> Coroutine[Any, Any, bool]:
        """Forgets an item; answers whether it was there."""
    def search(
        self, namespace: _Namespace, query: str, limit: int = 10
    ) -> Coroutine[Any, Any, builtins.list[MemoryItem]]:
        """The items that share words with `query`, the best first."""
    def namespaced(self, prefix: _Namespace) -> MemoryStore:
        """What lies below `prefix`, as a store whose namespaces begin there."""

@final
class LongStore:
    """Keeps what shall be found again, by namespace and key. A namespace is a tuple of texts, or one text for one
    part."""

    @staticmethod
    def on(store: Any, *, embedder: Any = None, max_searched: int = 100000) -> LongStore:
        """In this store: a path, `"sqlite:…"`, `"postgres://…"`, or a `Store`. With an embedder (what `Embedder` takes)
        items are found by meaning. A search below which more than `max_searched` items lie is refused."""
    @staticmethod
    def in_memory(*, embedder: Any = None, max_searched: int = 100000) -> LongStore:
        """In this process."""
    @staticmethod
    def pgvector(
        dsn: str,
        *,
        embedder: Any = None,
        dim: int | None = None,
        exact_below: int | None = ...,
        ef_search: int = 100,
        schema: str = "atomr_memory",
        connections: int = 8,
        migrate: bool = True,
        connect_timeout: float = 5.0,
        call_timeout: float = 30.0,
        index_timeout: float = 3600.0,
        outage: float = 30.0,
        root_certificates: str | PathLike[str] | None = None,
    ) -> LongStore:
        """In tables of its own in a PostgreSQL database with pgvector 0.8 or newer, which makes the searches.

        Args:
            dsn: `postgres://user:password@host:port/database?sslmode=...`, or `host=... user=...`.
            embedder: With one (what `Embedder` takes) items are found by meaning.
            dim: How many numbers a vector has, where the embedder does not say so. Others are refused then.
            exact_below: Below a namespace with fewer vectors (10,000 if nothing is said) every one is looked at, below
                one with more the index is asked, which may miss some. `None`: always every one, and no index is made.
            ef_search: How wide the index is searched, 1 to 1000.
            schema: The schema that holds the tables.
            connections: The most connections at once.
            migrate: Whether the extension, the schema and the index are made where they are missing.
            connect_timeout: Seconds in which the database must be reached.
            call_timeout: Seconds in which it must answer one call.
            index_timeout: The same for `build_index`.
            outage: Seconds for which a call waits for a database that cannot be reached.
            root_certificates: A file of certificates (PEM) to trust instead of the machine's.

        Raises:
            ConfigError: It makes no sense, or the extension is missing; the message says what to do.
        """
    @staticmethod
    def guest(target: object, key: str) -> LongStore: ...
    def put(
        self,
        namespace: _Namespace,
        key: str,
        value: Any,
        *,
        embedding: Sequence[float] | None = None,
        ttl: float | None = None,
    ) -> Coroutine[Any, Any, None]:
        """Keeps a JSON value, in place of what was there. Its vector is `embedding`, or that of its text: the value,
        its `text`, or its JSON. After `ttl` seconds it is forgotten."""
    def update(
        self,
        namespace: _Namespace,
        key: str,
        value: Any,
        *,
        embedding: Sequence[float] | None = None,
        ttl: float | None = None,
    ) -> Coroutine[Any, Any, StoreItem | None]:
        """Replaces what is there, and answers what it was; `None`, and nothing done, where there is nothing."""
    def get(self, namespace: _Namespace, key: str) -> Coroutine[Any, Any, StoreItem | None]:
        """The item of this key."""
    def delete(self, namespace: _Namespace, key: str) -> Coroutine[Any, Any, bool]:
        """Forgets an item; answers whether it was there."""
    def search(
        self,
        namespace: _Namespace,
        query: str | None = None,
        *,
        embedding: Sequence[float] | None = None,
        by: str = "best",
        filter: Mapping[str, Any] | None = None,
        top_k: int = 10,
    ) -> Coroutine[Any, Any, list[StoreItem]]:
        """The items of the namespace and of all below it that fit best; without a query and a vector those that were
        written last. `by` is `"meaning"`, `"words"`, `"both"`, or `"best"`: meaning where there is an embedder or a
        vector. `filter` is a condition on the fields of the value, such as `{"op": "eq", "key": "kind", "value":
        "fact"}`.
        """
    def list_namespaces(
        self, prefix: _Namespace | None = None, *, limit: int = 100
    ) -> Coroutine[Any, Any, list[tuple[str, ...]]]:
        """The namespaces at `prefix` and below it in which something is kept, in order."""
    def purge(self, namespace: _Namespace | None = None) -> Coroutine[Any, Any, int]:
        """Gives back the room of the items whose time is over; answers how many."""
    def reindex(self, namespace: _Namespace | None = None) -> Coroutine[Any, Any, int]:
        """Makes the vectors that are missing, or were made by another model; answers how many."""
    def build_index(self) -> Coroutine[Any, Any, None]:
        """Makes the index of `pgvector` where it is missing, beside reads and writes; it is made by itself while there
        are few vectors."""
    def namespaced(self, prefix: _Namespace) -> LongStore:
        """What lies below `prefix`, as a store whose namespaces begin there."""

def recency(
    store: MemoryStore, namespace: _Whose, limit: int, max_tokens: int, model: str | None
) -> MemoryStrategyHandle: ...
def recall(
    store: LongStore,
    namespace: _Whose,
    top_k: int,
    compare: str,
    min_score: float | None,
    max_tokens: int,
    model: str | None,
) -> MemoryStrategyHandle: ...
def summarizing(
    store: MemoryStore,
    namespace: _Whose,
    client: InferenceClient,
    writer: str,
    *,
    summaries: Any,
    from_tokens: int,
    keep_last: int,
    summary_tokens: int,
    max_tokens: int,
    model: str | None,
) -> MemoryStrategyHandle: ...
def chained(members: Sequence[MemoryStrategyHandle], max_tokens: int, model: str | None) -> MemoryStrategyHandle: ...
def tools(store: LongStore, namespace: _Whose, compare: str) -> list[NativeTool]: ...
