"""Answers kept in front of a model client."""

from typing import TypedDict, final, type_check_only

from typing_extensions import disjoint_base

__all__ = ["InMemoryLlmCache", "LlmCache"]

@type_check_only
class _Stats(TypedDict):
    entries: int
    bytes: int
    hits: int
    misses: int
    evictions: int

@disjoint_base
class LlmCache:
    """Where answers are kept."""

    @property
    def name(self) -> str:
        """Its name in events."""

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
    def stats(self) -> _Stats:
        """What it holds and what it did so far."""
    def clear(self) -> None:
        """Forgets every answer."""
    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...
