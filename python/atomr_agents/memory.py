"""What agents remember: stores, the strategies that remind an agent of what is in them, and the tools that write.

| name | what |
|---|---|
| `MemoryStore` | what was said lately, in its order |
| `LongStore` | what shall be found again: by key, by words, by meaning, by fields |
| `recency_memory_strategy` | reminds of the last things that were said |
| `summarizing_memory_strategy` | reminds of a summary, which a model writes, and of the last things |
| `recall_memory_strategy` | reminds of what fits the question |
| `chained_memory_strategy` | several as one |
| `memory_tools` | `write_memory`, `update_memory`, `recall_memory` for a model |

Whose memory it is, is said by the host: a `namespace` is a tuple of texts, or a quick function of the run's `deps` that
gives one. A model can say nothing about it.

Example:
    >>> from atomr_agents import Agent
    >>> from atomr_agents.memory import MemoryStore, recency_memory_strategy
    >>> from atomr_agents.testkit import ScriptedModel
    >>> memory = recency_memory_strategy(MemoryStore.in_memory(), namespace=lambda user: ("users", user))
    >>> model = ScriptedModel().text("Hello Ada.").text("You are Ada.")
    >>> agent = Agent(model, memory=memory)
    >>> agent.run_sync("I am Ada.", deps="ada").output
    'Hello Ada.'
    >>> agent.run_sync("Who am I?", deps="ada").output
    'You are Ada.'
    >>> print(model.requests[1]["messages"][0]["parts"][0]["text"])
    What you remember:
    - user: I am Ada.
    - assistant: Hello Ada.
"""

from __future__ import annotations

from . import _checks as checks
from ._native import memory as _native
from ._native.memory import LongStore, MemoryItem, MemoryStore, StoreItem
from .guest import long_store_from_factory, memory_store_from_factory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Literal, TypeAlias

    from ._embedders import AnyEmbedder
    from ._native.strategy import MemoryStrategyHandle
    from .tool import Tool

    By: TypeAlias = Literal["best", "meaning", "words", "both"]
    Whose: TypeAlias = "Sequence[str] | str | Callable[[Any], Sequence[str] | str]"

__all__ = [
    "ChainedMemoryStrategy",
    "LongStore",
    "MemoryItem",
    "MemoryStore",
    "RecallMemoryTool",
    "RecencyMemoryStrategy",
    "StoreItem",
    "SummarizingMemoryStrategy",
    "UpdateMemoryTool",
    "WriteMemoryTool",
    "chained_memory_strategy",
    "in_memory_long_store",
    "in_memory_store",
    "long_store_from_factory",
    "memory_store_from_factory",
    "memory_tools",
    "recall_memory_strategy",
    "recency_memory_strategy",
    "summarizing_memory_strategy",
]


def in_memory_store() -> MemoryStore:
    """A short memory of this process."""
    return MemoryStore.in_memory()


def in_memory_long_store(embedder: AnyEmbedder | None = None) -> LongStore:
    """A long memory of this process, found by meaning where there is an embedder."""
    return LongStore.in_memory(embedder=embedder)


def recency_memory_strategy(
    store: MemoryStore,
    namespace: Whose = ("memory",),
    limit: int = 8,
    *,
    max_tokens: int = 1000,
    model: str | None = None,
) -> MemoryStrategyHandle:
    """Reminds an agent of the last things that were said, and keeps what is said: each message of the user and each
    answer is an item.

    Args:
        store: Where they are kept.
        namespace: Whose they are: a tuple of texts, or a quick function of the run's `deps` that gives one.
        limit: How many of the last items at most.
        max_tokens: How many tokens they may take together; the newest count first.
        model: For which model tokens are counted; without one they are estimated from above.
    """
    checks.whole(0)("limit", limit)
    checks.whole(1)("max_tokens", max_tokens)
    return _native.recency(store, namespace, limit, max_tokens, model)


def recall_memory_strategy(
    store: LongStore,
    namespace: Whose = ("memory",),
    top_k: int = 5,
    *,
    by: By = "best",
    min_score: float | None = None,
    max_tokens: int = 1000,
    model: str | None = None,
) -> MemoryStrategyHandle:
    """Reminds an agent of those items of a long memory that fit what is asked. It keeps nothing: items are written by
    `memory_tools` or by you.

    Example:
        >>> import asyncio
        >>> from atomr_agents.memory import LongStore, recall_memory_strategy
        >>> store = LongStore.in_memory()
        >>> asyncio.run(store.put("ada", "home", "lives in Oslo"))
        >>> asyncio.run(recall_memory_strategy(store, "ada").retrieve("Does it rain in Oslo?"))
        [{'source': 'recall:home', 'text': 'lives in Oslo'}]
    """
    checks.whole(0)("top_k", top_k)
    checks.whole(1)("max_tokens", max_tokens)
    return _native.recall(store, namespace, top_k, by, min_score, max_tokens, model)


def summarizing_memory_strategy(
    store: MemoryStore,
    summarizer: Any,
    namespace: Whose = ("memory",),
    *,
    summaries: Any = None,
    from_tokens: int = 2000,
    keep_last: int = 6,
    summary_tokens: int = 400,
    max_tokens: int = 2000,
    model: str | None = None,
) -> MemoryStrategyHandle:
    """Reminds an agent of a summary of what was said before and of the last items word by word. A model writes the
    summary from the one before and from what came since. Nothing is summarised twice, nothing is left out, and no item
    is removed; where the model fails, the old summary stays and the next run tries again.

    Args:
        store: Where the items are kept.
        summarizer: The model that writes: a name (`"openai:gpt-4o-mini"`), or a client.
        namespace: Whose they are: a tuple of texts, or a quick function of the run's `deps` that gives one.
        summaries: Where the summaries are kept: what takes a store takes (a path, `"postgres://…"`, a `Store`); in this
            process, if nothing is said.
        from_tokens: From how many tokens that are in no summary on one is written.
        keep_last: How many of the last items stay out of it.
        summary_tokens: How long a summary shall be.
        max_tokens: How many tokens the model reads of all this.
        model: For which model tokens are counted; without one they are estimated from above.
    """
    from ._model import resolve

    checks.whole(1)("from_tokens", from_tokens)
    checks.whole(0)("keep_last", keep_last)
    checks.whole(1)("summary_tokens", summary_tokens)
    checks.whole(1)("max_tokens", max_tokens)
    client, name = resolve(summarizer, None, {})
    return _native.summarizing(
        store,
        namespace,
        client,
        name,
        summaries=summaries,
        from_tokens=from_tokens,
        keep_last=keep_last,
        summary_tokens=summary_tokens,
        max_tokens=max_tokens,
        model=model,
    )


def chained_memory_strategy(
    strategies: Sequence[Any], *, max_tokens: int = 4000, model: str | None = None
) -> MemoryStrategyHandle:
    """Asks several memories at once and gives what they remember in their order, each text once, as far as there is
    room. What is said is given to each of them to keep. A member is what `Agent(memory=...)` takes."""
    from ._strategies import memory_of

    checks.whole(1)("max_tokens", max_tokens)
    return _native.chained([memory_of(each) for each in strategies], max_tokens, model)


def memory_tools(store: LongStore, namespace: Whose = ("memory",), *, by: By = "best") -> list[Tool[..., Any]]:
    """The tools with which a model remembers: `write_memory`, `update_memory` and `recall_memory`.

    Args:
        store: What they write and search.
        namespace: Whose memory it is: a tuple of texts, or a quick function of the run's `deps` that gives one.
        by: How `recall_memory` compares: by `"meaning"`, `"words"` or `"both"`, or by what is `"best"` there.

    Example:
        >>> [tool.name for tool in memory_tools(LongStore.in_memory(), ("users", "ada"))]
        ['write_memory', 'update_memory', 'recall_memory']
    """
    from .tool import Tool

    natives = _native.tools(store, namespace, by)
    return [Tool(each.execute, each.execute, each, each.parameters, None, each) for each in natives]


def WriteMemoryTool(store: LongStore, namespace: Whose = ("memory",)) -> Tool[..., Any]:
    """The tool `write_memory`; see `memory_tools`."""
    return memory_tools(store, namespace)[0]


def UpdateMemoryTool(store: LongStore, namespace: Whose = ("memory",)) -> Tool[..., Any]:
    """The tool `update_memory`; see `memory_tools`."""
    return memory_tools(store, namespace)[1]


def RecallMemoryTool(store: LongStore, namespace: Whose = ("memory",), *, by: By = "best") -> Tool[..., Any]:
    """The tool `recall_memory`; see `memory_tools`."""
    return memory_tools(store, namespace, by=by)[2]


RecencyMemoryStrategy = recency_memory_strategy
SummarizingMemoryStrategy = summarizing_memory_strategy
ChainedMemoryStrategy = chained_memory_strategy
