"""Vectors of texts, and the nearest of many.

| name | what |
|---|---|
| `Embedder` | makes vectors: `await embed(text)`, `await embed_batch(texts)` |
| `MockEmbedder` | one for tests: no model, the same vectors everywhere |
| `OnnxEmbedder` | one of a model in this process: an ONNX file and its tokenizer |
| `InMemoryAnnIndex` | keeps vectors and finds the nearest: exactly, or through a graph where there are many |
| `embedding_tool_strategy` | offers an agent the tools that are nearest to what is asked |
| `AnnIndex` | any index, awaited; also one of yours |

Example:
    >>> from atomr_agents.embed import InMemoryAnnIndex, MockEmbedder
    >>> embedder, index = MockEmbedder(64), InMemoryAnnIndex(64)
    >>> index.upsert([1, 2], embedder.embed_batch_sync(["rain in Oslo", "a tax form"]))
    >>> index.search(embedder.embed_sync("Oslo: rain?"), 1)[0][0]
    1
"""

from __future__ import annotations

from ._embedders import (
    AnnIndex,
    Embedder,
    MockEmbedder,
    ann_index_from_factory,
    embedder_from_factory,
    embedding_tool_strategy,
    in_memory_ann_index,
    mock_embedder,
)
from ._native.embed import InMemoryAnnIndex
from ._onnx import OnnxEmbedder

__all__ = [
    "AnnIndex",
    "Embedder",
    "InMemoryAnnIndex",
    "MockEmbedder",
    "OnnxEmbedder",
    "ann_index_from_factory",
    "embedder_from_factory",
    "embedding_tool_strategy",
    "in_memory_ann_index",
    "mock_embedder",
]
