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

from ._journal import Effect, Journal, in_memory_journal
from ._kept_runs import Runs, runs
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
    RunCheck,
    RunInfo,
    RunPage,
    RunState,
    Snapshot,
    StateSchema,
    StateView,
    Store,
    encrypted_store,
    in_memory_store,
    postgres_store,
    sqlite_store,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike
    from typing import Any

    from ._journal_base import JournalBase as JournalBase

__all__ = [
    "AppendList",
    "AppendMessages",
    "CheckpointKey",
    "CheckpointMeta",
    "Checkpointer",
    "Effect",
    "InMemoryCheckpointer",
    "Journal",
    "JournalBase",
    "LastWriteWins",
    "MaxByTimestamp",
    "MergeMap",
    "PruneReport",
    "Reducer",
    "RunCheck",
    "RunInfo",
    "RunPage",
    "RunState",
    "Runs",
    "Snapshot",
    "StateSchema",
    "StateView",
    "Store",
    "add_messages",
    "append_list",
    "encrypted_store",
    "in_memory_checkpointer",
    "in_memory_journal",
    "in_memory_store",
    "last_write_wins",
    "max_by_timestamp",
    "merge_map",
    "postgres_checkpointer",
    "postgres_store",
    "runs",
    "sqlite_checkpointer",
    "sqlite_store",
]

# As they are noted in a type hint: `Annotated[list, append_list]`.
last_write_wins = LastWriteWins()
append_list = AppendList()
add_messages = AppendMessages()
merge_map = MergeMap()
max_by_timestamp = MaxByTimestamp()


def __getattr__(name: str) -> Any:
    # Only who writes a store loads what it takes.
    if name == "JournalBase":
        from ._journal_base import JournalBase

        return JournalBase
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def in_memory_checkpointer() -> InMemoryCheckpointer:
    """Checkpoints that end with the process.

    Example:
        >>> in_memory_checkpointer().is_empty()
        True
    """
    return InMemoryCheckpointer()


def sqlite_checkpointer(path: str | PathLike[str]) -> Checkpointer:
    """Checkpoints in a SQLite file, which is made if there is none; see `sqlite_store`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     checkpointer = sqlite_checkpointer(f"{folder}/runs.db")
        ...     checkpointer.save_sync(CheckpointKey("w", "r", 0), {"n": 1})
        ...     sqlite_checkpointer(f"{folder}/runs.db").latest_sync("w", "r").values()
        {'n': 1}
    """
    return Checkpointer(sqlite_store(path))


def postgres_checkpointer(dsn: str) -> Checkpointer:
    """Checkpoints on PostgreSQL; see `postgres_store`."""
    return Checkpointer(postgres_store(dsn))
