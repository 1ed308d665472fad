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

from ._native.cache import InMemoryLlmCache, LlmCache

__all__ = ["InMemoryLlmCache", "LlmCache"]
