"""What outlives the process: stores, and the checkpoints of runs in them.

Example:
    >>> from atomr_agents.state import CheckpointKey, in_memory_checkpointer
    >>> checkpointer = in_memory_checkpointer()
    >>> checkpointer.save_sync(CheckpointKey("count", "r1", 0), {"n": 1})
    >>> checkpointer.save_sync(CheckpointKey("count", "r1", 1), {"n": 2})
    >>> other = checkpointer.fork_sync(CheckpointKey("count", "r1", 0), "r2", {"n": 10})
    >>> checkpointer.latest_sync("count", "r1").values(), checkpointer.latest_sync("count", "r2").values()
    ({'n': 2}, {'n': 10})
"""

from __future__ import annotations

from ._native.state import (
    Checkpointer,
    CheckpointKey,
    CheckpointMeta,
    InMemoryCheckpointer,
    PruneReport,
    Snapshot,
    Store,
    in_memory_store,
)

__all__ = [
    "CheckpointKey",
    "CheckpointMeta",
    "Checkpointer",
    "InMemoryCheckpointer",
    "PruneReport",
    "Snapshot",
    "Store",
    "in_memory_checkpointer",
    "in_memory_store",
]


def in_memory_checkpointer() -> InMemoryCheckpointer:
    """Checkpoints that end with the process.

    Example:
        >>> in_memory_checkpointer().is_empty()
        True
    """
    return InMemoryCheckpointer()
