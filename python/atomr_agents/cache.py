"""Answers kept for equal requests, in front of any model.

Example:
    >>> from atomr_agents import Agent, InMemoryLlmCache
    >>> from atomr_agents.testkit import ScriptedModel
    >>> cache = InMemoryLlmCache(max_entries=100, ttl=60)
    >>> agent = Agent(ScriptedModel().text("Rain.").client().cached(cache))
    >>> [agent.run_sync("Oslo?").output for _ in range(3)]
    ['Rain.', 'Rain.', 'Rain.']
    >>> cache.stats()["hits"]
    2
"""

from __future__ import annotations

from ._native.cache import (
    CachedTurn,
    InMemoryLlmCache,
    LlmCache,
    Question,
    SemanticLlmCache,
    redis_llm_cache,
    store_llm_cache,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._embedders import AnyEmbedder

__all__ = [
    "CachedTurn",
    "InMemoryLlmCache",
    "LlmCache",
    "Question",
    "SemanticLlmCache",
    "redis_llm_cache",
    "semantic_llm_cache",
    "sqlite_llm_cache",
    "store_llm_cache",
]


def semantic_llm_cache(embedder: AnyEmbedder, threshold: float = 0.9) -> SemanticLlmCache:
    """A cache that compares questions by meaning; `SemanticLlmCache` has more to say.

    Example:
        >>> from atomr_agents import Agent
        >>> from atomr_agents.testkit import ScriptedModel
        >>> cache = semantic_llm_cache("mock:256", 0.6)
        >>> agent = Agent(ScriptedModel().text("Rain.").client().cached(cache))
        >>> [agent.run_sync(text).output for text in ("What is the weather in Oslo?", "what's the weather in Oslo")]
        ['Rain.', 'Rain.']
        >>> cache.stats()["by_meaning"]
        1
    """
    return SemanticLlmCache(embedder, threshold)


def sqlite_llm_cache(path: str, *, max_entries: int = 100_000, ttl: float | None = 86_400.0) -> LlmCache:
    """Keeps answers in a file: see `store_llm_cache`.

    Example:
        >>> import tempfile
        >>> from atomr_agents.cache import sqlite_llm_cache
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     sqlite_llm_cache(f"{folder}/answers.db").name
        'sqlite'
    """
    return store_llm_cache(f"sqlite:{path}", max_entries=max_entries, ttl=ttl)
