"""What outlives the process: channels, stores and checkpointers."""

import builtins
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from os import PathLike
from typing import Any, final

from typing_extensions import disjoint_base

from .core import Event

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
    "NativeEvents",
    "NativeJournal",
    "NativeRuns",
    "PruneReport",
    "Reducer",
    "RunCheck",
    "RunInfo",
    "RunPage",
    "RunState",
    "Snapshot",
    "StateSchema",
    "StateView",
    "Store",
    "encrypted_store",
    "guest_store",
    "in_memory_store",
    "postgres_store",
    "sqlite_store",
]

@disjoint_base
class Reducer:
    """What is common to the built-in reducers: they can be called, and noted in a type hint (the class as well).

    Example:
        >>> AppendList()([1], [2, 3])
        [1, 2, 3]
    """

    @property
    def name(self) -> str:
        """Its name in errors and in the fingerprint of a schema."""
    def __call__(self, current: Any, incoming: Any) -> Any:
        """What a channel that holds `current` holds after `incoming` was written; `current` is left as it is.

        Raises:
            StateError: It cannot take one of the two; the message says what to do.
        """
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class LastWriteWins(Reducer):
    """What was written last. Two tasks of one super-step must not write the same channel.

    Example:
        >>> LastWriteWins()("draft", "final")
        'final'
    """

    def __new__(cls) -> LastWriteWins: ...

@final
class AppendList(Reducer):
    """A list: lists are joined, None adds nothing, anything else is appended.

    Example:
        >>> AppendList()(["a"], {"b": 1})
        ['a', {'b': 1}]
    """

    def __new__(cls) -> AppendList: ...

@final
class AppendMessages(Reducer):
    """A list of dicts: one is appended, or takes the place of the one that has the same `id` (a str); of a list each.

    None adds nothing. A `Message` is its dict.

    Example:
        >>> AppendMessages()([{"id": "1", "text": "Oslo?"}], {"id": "1", "text": "Rome?"})
        [{'id': '1', 'text': 'Rome?'}]
    """

    def __new__(cls) -> AppendMessages: ...

@final
class MergeMap(Reducer):
    """A dict: the keys of what is written are set, the others stay. Dicts within are not merged; None adds nothing.

    Example:
        >>> MergeMap()({"a": 1, "b": 1}, {"b": 2})
        {'a': 1, 'b': 2}
    """

    def __new__(cls) -> MergeMap: ...

@final
class MaxByTimestamp(Reducer):
    """The dict with the greatest `ts_ms` (an int) of all that were written; of equal ones the later.

    Example:
        >>> MaxByTimestamp()({"ts_ms": 2, "rate": 1.1}, {"ts_ms": 1, "rate": 1.0})
        {'ts_ms': 2, 'rate': 1.1}
    """

    def __new__(cls) -> MaxByTimestamp: ...

@final
class StateSchema:
    """The channels of a state, each with its reducer and what it begins with.

    Args:
        type: A TypedDict, a dataclass or a pydantic model, whose fields are the channels. A field is reduced as its
            hint says (`Annotated[list, append_list]`), and keeps the last write otherwise.

    Example:
        >>> schema = StateSchema().add("log", AppendList()).add("count", default=0, type=int)
        >>> schema.channels
        ['log', 'count']
    """

    def __new__(cls, type: object = None) -> StateSchema: ...
    def add(
        self,
        name: str,
        reducer: Callable[[Any, Any], Any] | type[Reducer] | None = None,
        *,
        default: Any = None,
        type: Any = None,
    ) -> StateSchema:
        """Adds a channel, and gives the schema. States that were made before do not have it.

        Args:
            name: Its name.
            reducer: A built-in one, or a function `(current, incoming) -> new`; None keeps the last write.
                `operator.add` appends to a list.
            default: What it begins with.
            type: A type of Python; what it does not admit is refused. Of a list that is appended to it is the list's.

        Raises:
            ConfigError: There is a channel of this name, or the default is none for it.
            ContractError: The reducer cannot be called with two values.
        """
    @property
    def channels(self) -> list[str]:
        """The names, in the order in which they were added."""
    @property
    def fingerprint(self) -> str:
        """Stays the same as long as names, reducers and defaults do: a stored run is pinned to it."""
    def difference(self, was: StateSchema) -> list[str]:
        """What is different from `was`, one sentence for each channel.

        Example:
            >>> StateSchema().add("log", AppendList()).difference(StateSchema().add("log"))
            ['channel `log` has the reducer append_list instead of last_write_wins']
        """
    def to_dict(self) -> dict[str, Any]:
        """Name, reducer and default of each channel."""
    def __len__(self) -> int: ...
    def __contains__(self, channel: str, /) -> bool: ...

@final
class StateView:
    """A state as it was at one moment. It can be read like a dict, and is not changed by what is written later.

    A list that is read is the reader's own, its items are those that every reader gets: they are for reading.
    """

    @property
    def step(self) -> int:
        """How many super-steps made it so."""
    def __getitem__(self, channel: str, /) -> Any:
        """What a channel holds.

        Raises:
            StateError: There is no such channel.
        """
    def keys(self) -> list[str]:
        """The names of the channels."""
    def to_dict(self) -> dict[str, Any]:
        """All channels and what they hold."""
    def __iter__(self) -> Iterator[str]: ...
    def __contains__(self, channel: str, /) -> bool: ...
    def __len__(self) -> int: ...

@final
class RunState:
    """What the channels of a run hold, and how many super-steps made it so. It has one writer at a time.

    Args:
        schema: A `StateSchema`, or a class from which one can be made.

    Example:
        >>> state = RunState(StateSchema().add("log", AppendList()).add("answer"))
        >>> state.apply([("fan[10]", "log", "ten"), ("fan[9]", "log", "nine")])
        [{'channel': 'log', 'change': {'append': ['nine', 'ten']}}]
        >>> state.read("log"), state.step
        (['nine', 'ten'], 1)
    """

    def __new__(cls, schema: object) -> RunState: ...
    @staticmethod
    def replay(
        schema: object, base: Mapping[str, Any], checkpoints: Iterable[tuple[int, list[dict[str, Any]]]] | None = None
    ) -> RunState:
        """The state that stored changes make of a stored base: those of each step with its number, the oldest first.

        Raises:
            CorruptError: What was stored does not fit the schema.
        """
    @property
    def step(self) -> int:
        """How many super-steps were applied."""
    @property
    def fingerprint(self) -> str:
        """That of its schema."""
    def read(self, channel: str) -> Any:
        """What a channel holds.

        Raises:
            StateError: There is no such channel.
        """
    def snapshot(self) -> StateView:
        """The state as it is now. It shares everything, and costs nothing."""
    def write(self, channel: str, value: Any) -> list[dict[str, Any]]:
        """Reduces one write outside of a super-step, and tells what is new in the channel.

        Raises:
            StateError: There is no such channel, or it does not take the value. It holds what it held.
            GuestError: A reducer of yours raised; that is the cause.
            ContractError: The value, or what a reducer of yours returned, is no JSON.
        """
    def overwrite(self, channel: str, value: Any) -> list[dict[str, Any]]:
        """Lets a channel hold `value` and nothing of what it held, without asking its reducer."""
    def apply(self, writes: Iterable[tuple[str, str, Any]]) -> list[dict[str, Any]]:
        """Reduces all writes of a super-step, each `(task, channel, value)`, and tells what is new in each channel.

        They are taken in the order of the tasks' names, numbers in them as numbers, whatever the order in which they
        are given.

        Raises:
            StateError: A write cannot be taken, or two tasks wrote a channel that keeps one write. None of the writes
                is in the state then.
        """
    def base(self) -> dict[str, Any]:
        """The whole state, to be stored: `{"step": 1, "channels": {...}}`."""

@final
class Store:
    """Where runs, sessions and checkpoints are kept."""

    @property
    def kind(self) -> str:
        """In one word: `memory`, `sqlite`, `postgres`, `guest`."""
    def sweep(self, grace: float = 3600.0) -> Coroutine[Any, Any, tuple[int, int]]:
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

def sqlite_store(
    path: str | PathLike[str],
    *,
    patience: float = 30.0,
    readers: int = 4,
    queue: int = 1024,
    checkpoint_pages: int = 1000,
) -> Store:
    """A store in a SQLite file, which is made if there is none. Any number of processes of one machine may share it.

    While it is open, no other SQLite library of this process may open the file, such as Python's `sqlite3`, and nothing
    else either: on Linux that is noticed now and then, and a `RuntimeWarning` says what to do.

    Args:
        path: The file, on a local file system.
        patience: For how many seconds a call waits for another process, or for its turn.
        readers: How many connections read at once.
        queue: How many calls may wait to write.
        checkpoint_pages: After how many pages of 2 KiB the write-ahead log is copied into the database.

    Raises:
        StorageError: The file cannot be opened or written.
        CorruptError: It is no such database, or damaged.
    """

def postgres_store(
    dsn: str,
    *,
    schema: str = "atomr",
    connections: int = 8,
    migrate: bool = True,
    connect_timeout: float = 5.0,
    call_timeout: float = 30.0,
    outage: float = 30.0,
    root_certificates: str | PathLike[str] | None = None,
) -> Store:
    """A store on PostgreSQL, which many machines share. Connects at once.

    Args:
        dsn: Such as `postgres://agents@db.internal/agents`. With `?prepare=true` each connection prepares its
            statements once, which is quicker; not behind a pooler that gives each transaction another connection.
        schema: The schema that holds the tables.
        connections: The most connections at once.
        migrate: Make the schema, or bring it to the format of this version, where it is not.
        connect_timeout: For how many seconds making a connection may take.
        call_timeout: For how many seconds the database may take to answer one call.
        outage: For how many seconds a call waits for a database that cannot be reached.
        root_certificates: A file of certificates (PEM) to trust instead of the machine's.

    Raises:
        StorageError: The database cannot be reached.
        ConfigError: The DSN or a setting makes no sense.
    """

def encrypted_store(store: object, key: bytes | str) -> Store:
    """Encryption (XChaCha20-Poly1305) around another store: what is in records, logs and bodies is written encrypted.

    Names, sizes, times and leases are not hidden. An empty store is bound to the key, and any other key is refused from
    then on. A store that was written without encryption cannot be read with it.

    Args:
        store: Everything that stands for a store: a `Store`, a path, text such as `postgres://…`, a guest.
        key: 32 random bytes, or their 64 hexadecimal digits as `openssl rand -hex 32` writes them.

    Raises:
        ConfigError: The key has another form, the store was written with another key, or it holds runs that were
            written without one.
        StorageError: The store inside fails.

    Example:
        >>> encrypted_store(in_memory_store(), "0f" * 32).kind
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

    Every method is a coroutine and has a twin (`save_sync`) that waits instead; inside of a running event loop
    those are refused.

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
    def save(self, key: CheckpointKey, values: Mapping[str, Any]) -> Coroutine[Any, Any, None]:
        """Saves the values after a step. The run is made if there is none.

        Raises:
            ConflictError: The step is not later than every one that was saved.
            LockedError: Somebody writes the run.
        """
    def save_sync(self, key: CheckpointKey, values: Mapping[str, Any]) -> None:
        """`save`, waited for."""
    def load(self, key: CheckpointKey) -> Coroutine[Any, Any, Snapshot | None]:
        """The checkpoint of a step; None if there is none.

        Raises:
            CorruptError: What is stored is not what was written.
        """
    def load_sync(self, key: CheckpointKey) -> Snapshot | None:
        """`load`, waited for."""
    def latest(self, workflow_id: str, run_id: str) -> Coroutine[Any, Any, Snapshot | None]:
        """The last checkpoint of a run; None if there is none."""
    def latest_sync(self, workflow_id: str, run_id: str) -> Snapshot | None:
        """`latest`, waited for."""
    def list(self, workflow_id: str, run_id: str) -> Coroutine[Any, Any, builtins.list[CheckpointMeta]]:
        """Every checkpoint of a run that is left, the oldest first.

        Raises:
            ConflictError: There is no such run.
        """
    def list_sync(self, workflow_id: str, run_id: str) -> builtins.list[CheckpointMeta]:
        """`list`, waited for."""
    def history(self, workflow_id: str, run_id: str, limit: int = 100) -> Coroutine[Any, Any, builtins.list[Snapshot]]:
        """Up to `limit` checkpoints with their values, the newest first.

        Raises:
            ConflictError: There is no such run.
        """
    def history_sync(self, workflow_id: str, run_id: str, limit: int = 100) -> builtins.list[Snapshot]:
        """`history`, waited for."""
    def fork(
        self, key: CheckpointKey, run_id: str = "", edits: Mapping[str, Any] | None = None
    ) -> Coroutine[Any, Any, CheckpointKey]:
        """Another run that begins with this checkpoint; what is shared is not stored again.

        Args:
            key: Where it begins.
            run_id: Its name; a fresh id if empty.
            edits: Channels that have another value in it.

        Raises:
            ConflictError: There is no such checkpoint, or a run of that name exists.
        """
    def fork_sync(self, key: CheckpointKey, run_id: str = "", edits: Mapping[str, Any] | None = None) -> CheckpointKey:
        """`fork`, waited for."""
    def prune(self, workflow_id: str, run_id: str, keep: int = 1) -> Coroutine[Any, Any, PruneReport]:
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

@final
class RunInfo:
    """What is known of a run without reading its log."""

    @property
    def name(self) -> str:
        """What the user called it, or the text of its id."""
    @property
    def id(self) -> str:
        """Its id in events; that of the first turn where there were several."""
    @property
    def kind(self) -> str:
        """What runs: `agent`, `workflow`, `harness`, `script`."""
    @property
    def target(self) -> str:
        """The name of the agent, the graph or the harness."""
    @property
    def version(self) -> str:
        """A hash of what makes it fit to be resumed by one that looks the same."""
    @property
    def status(self) -> str:
        """`running`, `suspended`, `paused`, `finished`, `failed`, `cancelled` or `outcome_unknown`."""
    @property
    def turns(self) -> int:
        """How many turns were begun."""
    @property
    def begun_ms(self) -> int:
        """When it was begun, in milliseconds since the Unix epoch."""
    @property
    def updated_ms(self) -> int:
        """When its status changed last."""
    @property
    def parent(self) -> tuple[str, int] | None:
        """The run that it was forked from, and the first position that it does not share."""
    @property
    def labels(self) -> dict[str, str]:
        """The user's own words about it."""
    def __eq__(self, other: object, /) -> bool: ...

@final
class RunPage:
    """Some of the runs of a store; iterating it gives them."""

    @property
    def runs(self) -> list[RunInfo]:
        """Those that were asked for, the newest first."""
    @property
    def unreadable(self) -> dict[str, str]:
        """Runs of which not even the record can be read, whatever was asked for, and why."""
    @property
    def next(self) -> tuple[int, str] | None:
        """Where the next page begins; None if there is none."""
    def __iter__(self) -> Iterator[RunInfo]: ...
    def __len__(self) -> int: ...

@final
class RunCheck:
    """What `verify` found in a run."""

    @property
    def run(self) -> str:
        """The run's name."""
    @property
    def whole(self) -> bool:
        """Whether everything that is kept is what was written."""
    @property
    def damage(self) -> list[tuple[str, int | None, str]]:
        """What is damaged: the run whose log it is in, the position (None for its record), and how it was noticed."""
    @property
    def commits(self) -> int:
        """How many commits could be read."""
    @property
    def checkpoints(self) -> int:
        """How many checkpoints they have."""
    @property
    def open_effects(self) -> list[tuple[str, str]]:
        """Effects that were begun and have no outcome: their keys, and what was called."""

@final
class NativeEvents:
    """The events of a run, page by page."""

    def page(self) -> Coroutine[Any, Any, list[Event]]: ...
    def page_sync(self) -> list[Event]: ...

@final
class NativeRuns:
    """What `Runs` is a face of."""

    def __new__(cls, store: object) -> NativeRuns: ...
    @property
    def store(self) -> Store: ...
    def list(self, asked: dict[str, Any]) -> Coroutine[Any, Any, RunPage]: ...
    def list_sync(self, asked: dict[str, Any]) -> RunPage: ...
    def get(self, run: str) -> Coroutine[Any, Any, RunInfo]: ...
    def get_sync(self, run: str) -> RunInfo: ...
    def events(self, run: str, from_seq: int) -> NativeEvents: ...
    def fork(
        self,
        run: str,
        at: tuple[int | None, int | None],
        name: str,
        edits: dict[str, Any],
        labels: dict[str, str],
    ) -> Coroutine[Any, Any, str]: ...
    def fork_sync(
        self,
        run: str,
        at: tuple[int | None, int | None],
        name: str,
        edits: dict[str, Any],
        labels: dict[str, str],
    ) -> str: ...
    def prune(self, run: str, keep: int) -> Coroutine[Any, Any, PruneReport]: ...
    def prune_sync(self, run: str, keep: int) -> PruneReport: ...
    def remove(self, run: str) -> Coroutine[Any, Any, None]: ...
    def remove_sync(self, run: str) -> None: ...
    def resolve(self, run: str, key: str, found: tuple[Any, str | None]) -> Coroutine[Any, Any, None]: ...
    def resolve_sync(self, run: str, key: str, found: tuple[Any, str | None]) -> None: ...
    def verify(self, run: str) -> Coroutine[Any, Any, RunCheck]: ...
    def verify_sync(self, run: str) -> RunCheck: ...

@final
class NativeJournal:
    """What `Journal` is a face of."""

    @staticmethod
    def open(
        store: object, opening: dict[str, Any], input: Any, begin: bool, resume: bool
    ) -> Coroutine[Any, Any, NativeJournal]: ...
    @staticmethod
    def in_memory(opening: dict[str, Any], input: Any) -> NativeJournal: ...
    @property
    def store(self) -> Store: ...
    @property
    def info(self) -> RunInfo: ...
    @property
    def lost(self) -> bool: ...
    def idempotency(self, key: str, version: str) -> str: ...
    def find(self, key: str) -> Coroutine[Any, Any, tuple[str, Any, str | None, str | None]]: ...
    def intend(self, key: str, kind: str, subject: str, effect: str) -> Coroutine[Any, Any, None]: ...
    def record(self, key: str, value: Any) -> Coroutine[Any, Any, None]: ...
    def record_error(self, key: str, message: str) -> Coroutine[Any, Any, None]: ...
    def end(self, status: str, output: Any, error: tuple[str, str] | None) -> Coroutine[Any, Any, None]: ...
    def release(self) -> Coroutine[Any, Any, None]: ...
