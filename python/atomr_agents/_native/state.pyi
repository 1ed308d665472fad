"""What outlives the process: stores and checkpointers."""

from collections.abc import Mapping
from typing import Any, final

from typing_extensions import disjoint_base

__all__ = [
    "CheckpointKey",
    "CheckpointMeta",
    "Checkpointer",
    "InMemoryCheckpointer",
    "PruneReport",
    "Snapshot",
    "Store",
    "guest_store",
    "in_memory_store",
]

@final
class Store:
    """Where runs, sessions and checkpoints are kept."""

    @property
    def kind(self) -> str:
        """In one word: `memory`, `sqlite`, `postgres`, `guest`."""
    async def sweep(self, grace: float = 3600.0) -> tuple[int, int]:
        """Removes the stored bodies that nothing names any more and that nobody has written for `grace` seconds.

        Gives how many there were, and how many bytes they had.
        """
    def sweep_sync(self, grace: float = 3600.0) -> tuple[int, int]:
        """`sweep`, waited for."""

def in_memory_store() -> Store:
    """A store that ends with the process.

    Example:
        >>> in_memory_store().kind
        'memory'
    """

def guest_store(key: str, target: object) -> Store:
    """A store that is written in Python."""

@final
class CheckpointKey:
    """Which checkpoint: of which graph, of which run, after which step.

    Example:
        >>> CheckpointKey("support", "ticket-7", 3).super_step
        3
    """

    def __new__(cls, workflow_id: str, run_id: str, super_step: int) -> CheckpointKey: ...
    @property
    def workflow_id(self) -> str:
        """The graph's name."""
    @property
    def run_id(self) -> str:
        """The run's name."""
    @property
    def super_step(self) -> int:
        """The step."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class CheckpointMeta:
    """A checkpoint in a list, without its values."""

    @property
    def key(self) -> CheckpointKey:
        """Which."""
    @property
    def workflow_id(self) -> str:
        """The graph's name."""
    @property
    def run_id(self) -> str:
        """The run's name."""
    @property
    def super_step(self) -> int:
        """The step."""
    @property
    def timestamp_ms(self) -> int:
        """When it was made, in milliseconds since the Unix epoch."""
    @property
    def label(self) -> str:
        """Why it was made: `input`, `step`, `update`, `fork`."""
    @property
    def next(self) -> list[str]:
        """The nodes that are due next."""
    def __eq__(self, other: object, /) -> bool: ...

@final
class Snapshot:
    """A checkpoint with its values."""

    @property
    def key(self) -> CheckpointKey:
        """Which."""
    @property
    def timestamp_ms(self) -> int:
        """When it was made, in milliseconds since the Unix epoch."""
    @property
    def label(self) -> str:
        """Why it was made: `input`, `step`, `update`, `fork`."""
    @property
    def next(self) -> list[str]:
        """The nodes that are due next."""
    def values(self) -> dict[str, Any]:
        """The channels and their values; a fresh dict each time."""
    def __eq__(self, other: object, /) -> bool: ...

@final
class PruneReport:
    """What was forgotten."""

    @property
    def commits(self) -> int:
        """How many commits are gone."""
    @property
    def kept_for(self) -> list[str]:
        """The forks for which more was kept than was asked for."""
    def __eq__(self, other: object, /) -> bool: ...

@disjoint_base
class Checkpointer:
    """The states of runs, step by step, in a store.

    Every method is a coroutine and has a twin (`save_sync`) that waits instead; inside of a running event loop those are
    refused.

    Args:
        store: A `Store`, an object made with `@journal`, a path, or text such as `"sqlite:runs.db"`.

    Example:
        >>> checkpointer = Checkpointer(in_memory_store())
        >>> checkpointer.save_sync(CheckpointKey("w", "r", 0), {"n": 1})
        >>> checkpointer.latest_sync("w", "r").values()
        {'n': 1}
    """

    def __new__(cls, store: object) -> Checkpointer: ...
    @property
    def store(self) -> Store:
        """Where they are."""
    async def save(self, key: CheckpointKey, values: Mapping[str, Any]) -> None:
        """Saves the values after a step. The run is made if there is none.

        Raises:
            ConflictError: The step is not later than every one that was saved.
            LockedError: Somebody writes the run.
        """
    def save_sync(self, key: CheckpointKey, values: Mapping[str, Any]) -> None:
        """`save`, waited for."""
    async def load(self, key: CheckpointKey) -> Snapshot | None:
        """The checkpoint of a step; None if there is none.

        Raises:
            CorruptError: What is stored is not what was written.
        """
    def load_sync(self, key: CheckpointKey) -> Snapshot | None:
        """`load`, waited for."""
    async def latest(self, workflow_id: str, run_id: str) -> Snapshot | None:
        """The last checkpoint of a run; None if there is none."""
    def latest_sync(self, workflow_id: str, run_id: str) -> Snapshot | None:
        """`latest`, waited for."""
    async def list(self, workflow_id: str, run_id: str) -> list[CheckpointMeta]:
        """Every checkpoint of a run that is left, the oldest first.

        Raises:
            ConflictError: There is no such run.
        """
    def list_sync(self, workflow_id: str, run_id: str) -> list[CheckpointMeta]:
        """`list`, waited for."""
    async def history(self, workflow_id: str, run_id: str, limit: int = 100) -> list[Snapshot]:
        """Up to `limit` checkpoints with their values, the newest first.

        Raises:
            ConflictError: There is no such run.
        """
    def history_sync(self, workflow_id: str, run_id: str, limit: int = 100) -> list[Snapshot]:
        """`history`, waited for."""
    async def fork(
        self, key: CheckpointKey, run_id: str = "", edits: Mapping[str, Any] | None = None
    ) -> CheckpointKey:
        """Another run that begins with this checkpoint; what is shared is not stored again.

        Args:
            key: Where it begins.
            run_id: Its name; a fresh id if empty.
            edits: Channels that have another value in it.

        Raises:
            ConflictError: There is no such checkpoint, or a run of that name exists.
        """
    def fork_sync(
        self, key: CheckpointKey, run_id: str = "", edits: Mapping[str, Any] | None = None
    ) -> CheckpointKey:
        """`fork`, waited for."""
    async def prune(self, workflow_id: str, run_id: str, keep: int = 1) -> PruneReport:
        """Forgets all but the last `keep` checkpoints, as far as no fork needs them.

        Raises:
            LockedError: Somebody writes the run.
        """
    def prune_sync(self, workflow_id: str, run_id: str, keep: int = 1) -> PruneReport:
        """`prune`, waited for."""

@final
class InMemoryCheckpointer(Checkpointer):
    """Checkpoints that end with the process.

    Example:
        >>> len(InMemoryCheckpointer())
        0
    """

    def __new__(cls) -> InMemoryCheckpointer: ...
    def len(self) -> int:
        """How many checkpoints there are, over all runs."""
    def is_empty(self) -> bool:
        """Whether there is none."""
    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...
