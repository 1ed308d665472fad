"""Answers kept in front of a model client."""

from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypedDict, final, type_check_only

from typing_extensions import disjoint_base

from .core import Message

__all__ = [
    "CachedTurn",
    "InMemoryLlmCache",
    "LlmCache",
    "Question",
    "SemanticLlmCache",
    "redis_llm_cache",
    "store_llm_cache",
]

@type_check_only
class _Stats(TypedDict):
    entries: int
    bytes: int
    hits: int
    misses: int
    evictions: int

@type_check_only
class _SemanticStats(_Stats):
    by_meaning: int

@final
class Question:
    """What is asked of a cache: what makes two of them the same is all of it.

    Args:
        messages: `Message`s, or their dicts.
        model: The model.
        provider: The provider.
        tenant: For whom it is asked.
        scope: What else keeps answers apart, such as the address of the server.
        settings: Other fields of the request, such as `{"sampling": {"temperature": 0}}`.
    """

    def __new__(
        cls,
        messages: Sequence[Message] | Sequence[Mapping[str, Any]],
        model: str,
        *,
        provider: str = "",
        tenant: str = "",
        scope: str = "",
        settings: dict[str, Any] | None = None,
    ) -> Question: ...
    @property
    def key(self) -> str:
        """64 hex digits: two questions with the same key are the same."""

@final
class CachedTurn:
    """A finished answer. `CachedTurn(text)` makes one that says this and nothing else."""

    def __new__(cls, text: str) -> CachedTurn: ...
    @property
    def text(self) -> str:
        """What it says."""
    @property
    def events(self) -> list[Any]:
        """The events of its stream."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@disjoint_base
class LlmCache:
    """Where answers are kept."""

    @property
    def name(self) -> str:
        """Its name in events."""
    def get(self, question: Question) -> Coroutine[Any, Any, CachedTurn | None]:
        """The answer to a question, if it is there and not too old; await what comes back."""
    def put(self, question: Question, turn: CachedTurn) -> Coroutine[Any, Any, None]:
        """Keeps an answer; await what comes back."""

@final
class InMemoryLlmCache(LlmCache):
    """Keeps answers in this process. When there is no room, that which was not asked for longest goes.

    Args:
        max_entries: How many answers.
        max_bytes: How many bytes they may take together.
        ttl: How old an answer may become, in seconds; None for ever.
    """

    def __new__(
        cls, max_entries: int = 1000, max_bytes: int = 67108864, ttl: float | None = 3600.0
    ) -> InMemoryLlmCache: ...
    def find(self, question: Question) -> CachedTurn | None:
        """As `get`, without waiting."""
    def stats(self) -> _Stats:
        """What it holds and what it did so far."""
    def clear(self) -> None:
        """Forgets every answer."""
    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...

@final
class SemanticLlmCache(LlmCache):
    """Answers a question from the answer to one that means the same, in this process. Tenant, provider, model,
    settings, tools and all messages before the last must be equal in every byte; the last words must be near each other
    as vectors, agree in every number, negation and name, and differ in no word but such as mean the same.

    Args:
        embedder: What makes the vectors: what `Embedder` takes.
        threshold: The least cosine of two questions.
        word_threshold: The least cosine of two words in which they differ, taken alone.
        max_text: Bytes of the longest question that is compared by meaning.
        max_entries: How many answers.
        max_bytes: How many bytes they may take together.
        ttl: How old an answer may become, in seconds; None for ever.
    """

    def __new__(
        cls,
        embedder: Any,
        threshold: float = 0.9,
        *,
        word_threshold: float = 0.86,
        max_text: int = 4000,
        max_entries: int = 1000,
        max_bytes: int = 67108864,
        ttl: float | None = 3600.0,
    ) -> SemanticLlmCache: ...
    def stats(self) -> _SemanticStats:
        """What it holds and what it did so far; `by_meaning` counts the hits of questions that were not equal."""
    def clear(self) -> None:
        """Forgets every answer."""
    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...

def store_llm_cache(
    store: Any, *, max_entries: int = 100000, max_turn_bytes: int = 1048576, ttl: float | None = 86400.0
) -> LlmCache:
    """Keeps answers in a store (a path, `"sqlite:…"`, `"postgres://…"`, a `Store`): they outlive the process, and
    whoever shares the store shares them. The oldest go first.

    Args:
        store: Where.
        max_entries: How many answers.
        max_turn_bytes: How many bytes one may have; a larger one is not kept.
        ttl: How old an answer may become, in seconds; None for ever.
    """

def redis_llm_cache(
    url: str,
    *,
    prefix: str = "atomr:llm:",
    max_turn_bytes: int = 1048576,
    ttl: float | None = 86400.0,
    timeout: float = 1.0,
) -> LlmCache:
    """Keeps answers on a Redis server, for all that share it. Connects when it is first asked; a server that is away or
    slow makes a call a miss.

    Args:
        url: `redis://[user:password@]host[:port][/database]`, or `rediss://` with TLS.
        prefix: What the keys begin with.
        max_turn_bytes: How many bytes one answer may have; a larger one is not kept.
        ttl: How old an answer may become, in seconds; None for as long as the server keeps it.
        timeout: How long connecting, or one answer of the server, may take, in seconds.
    """
