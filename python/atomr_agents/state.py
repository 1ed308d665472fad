"""What outlives the process: the channels of a state, stores, and the checkpoints of runs in them.

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
    AppendList,
    AppendMessages,
    Checkpointer,
    CheckpointKey,
    CheckpointMeta,
    InMemoryCheckpointer,
    LastWriteWins,
    MaxByTimestamp,
    MergeMap,
    PruneReport,
    Reducer,
    RunState,
    Snapshot,
    StateSchema,
    StateView,
    Store,
    in_memory_store,
)

__all__ = [
    "AppendList",
    "AppendMessages",
    "CheckpointKey",
    "CheckpointMeta",
    "Checkpointer",
    "InMemoryCheckpointer",
    "LastWriteWins",
    "MaxByTimestamp",
    "MergeMap",
    "PruneReport",
    "Reducer",
    "RunState",
    "Snapshot",
    "StateSchema",
    "StateView",
    "Store",
    "add_messages",
    "append_list",
    "in_memory_checkpointer",
    "in_memory_store",
    "last_write_wins",
    "max_by_timestamp",
    "merge_map",
]

# As they are noted in a type hint: `Annotated[list, append_list]`.
last_write_wins = LastWriteWins()
append_list = AppendList()
add_messages = AppendMessages()
merge_map = MergeMap()
max_by_timestamp = MaxByTimestamp()


def in_memory_checkpointer() -> InMemoryCheckpointer:
    """Checkpoints that end with the process.

    Example:
        >>> in_memory_checkpointer().is_empty()
        True
    """
    return InMemoryCheckpointer()
