"""Events of runs as they happen."""

from collections.abc import Coroutine
from os import PathLike
from pathlib import Path
from typing import Any, Literal, final

from .core import Event, Usage

__all__ = ["EventBus", "JsonlTracer", "LineFormatter", "RunNode", "RunTree", "Subscription", "TracerHandle"]

@final
class EventBus:
    """Sees the events of every run of the agents it was given to."""

    def __new__(cls, capacity: int = ...) -> EventBus: ...
    @property
    def capacity(self) -> int: ...
    @property
    def subscribers(self) -> int: ...
    def subscribe_batches(self) -> Subscription: ...
    def attach_tracer(self, target: object, key: str) -> TracerHandle:
        """`target` is a tracer, its class, or a function of the event."""
    def close(self) -> None: ...

@final
class Subscription:
    """One listener of a bus. Dropping it unsubscribes."""

    def try_batch(self, limit: int) -> list[Event] | None:
        """What is there, without waiting: empty when nothing is, `None` when the bus is closed and empty."""
    def batch(self, limit: int) -> Coroutine[Any, Any, list[Event] | None]: ...
    def close(self) -> None: ...

@final
class TracerHandle:
    """A tracer at work. Dropping it detaches the tracer."""

    @property
    def errors(self) -> int: ...
    def flush(self) -> Coroutine[Any, Any, None]: ...
    def detach(self) -> Coroutine[Any, Any, None]: ...

@final
class JsonlTracer:
    """Writes each event to a file as one line of JSON."""

    def __new__(
        cls, path: str | PathLike[str], capacity: int, flush: str | float, deadline: float, redact: bool
    ) -> JsonlTracer: ...
    @property
    def path(self) -> Path: ...
    @property
    def written(self) -> int: ...
    @property
    def lost(self) -> int: ...
    def close(self, deadline: float) -> None:
        """Waits at most so many seconds."""

@final
class LineFormatter:
    """Makes the lines that a `StdoutTracer` writes, for those who write them elsewhere."""

    def __new__(cls, *, colors: bool = False, redact: bool = True) -> LineFormatter: ...
    def event(self, event: Event) -> str:
        """The lines that the event completes; a piece of a text gives none, it is joined."""
    def rest(self) -> str:
        """The lines of texts that are not complete yet."""

@final
class RunTree:
    """Keeps what runs did as trees of agents, model calls and tool calls; printed, it is lines.

    Attach it to a bus (`bus.attach_tracer(tree)`), or give it events that were kept. It keeps at most `runs` runs at
    the root and `nodes` nodes of all together, and of each text `text` bytes, with what looks like a secret masked: the
    oldest runs are forgotten first.
    """

    def __new__(cls, *, runs: int = 100, nodes: int = 10000, text: int = 1000) -> RunTree: ...
    def ingest(self, event: Event) -> None:
        """Takes one event; those of one run must come in their order."""
    def roots(self) -> list[RunNode]:
        """The runs at the root, the oldest first."""
    def get(self, run_id: str) -> RunNode | None:
        """The run with everything below it."""
    @property
    def forgotten(self) -> int:
        """How many runs were forgotten because of the limits."""
    @property
    def missed(self) -> int:
        """How many events it was too slow for."""
    def clear(self) -> None:
        """Forgets everything."""
    def __len__(self) -> int: ...

@final
class RunNode:
    """One agent, model call or tool call, as it was when it was asked for. Printed, it is a tree of lines."""

    @staticmethod
    def from_dict(value: dict[str, Any]) -> RunNode:
        """The node that `to_dict` gave."""
    @property
    def kind(self) -> Literal["agent", "model", "tool", "harness", "step"]: ...
    @property
    def name(self) -> str:
        """The agent's name, the model, or the tool's name."""
    @property
    def status(self) -> Literal["running", "ok", "failed", "waiting", "unknown"]:
        """`waiting` for somebody's word; `unknown` if it is over and its end was not seen."""
    @property
    def run_id(self) -> str: ...
    @property
    def parent_run_id(self) -> str | None:
        """The run that started this run."""
    @property
    def path(self) -> str:
        """Where in the run it happened, as `planner/writer`; empty at the root."""
    @property
    def started_ms(self) -> int:
        """Milliseconds since 1970."""
    @property
    def elapsed_ms(self) -> int | None:
        """How long it took; `None` until it ends."""
    @property
    def usage(self) -> Usage | None:
        """Tokens: of a model call its own, of an agent those of its run."""
    @property
    def cost(self) -> float | None:
        """US dollars, where it is known. `to_dict` has millionths of a dollar."""
    @property
    def error(self) -> str | None:
        """The kind of error."""
    @property
    def message(self) -> str | None:
        """What went wrong; of a model call that was tried again, why."""
    @property
    def retries(self) -> int:
        """How often a model call was made again, fallbacks included."""
    @property
    def cached(self) -> bool:
        """Whether a model call was answered from a cache."""
    @property
    def finish(self) -> str | None:
        """Why the model stopped, in the provider's word."""
    @property
    def call_id(self) -> str | None: ...
    @property
    def arguments(self) -> str | None:
        """What a tool was given."""
    @property
    def result(self) -> str | None:
        """What the model saw of a tool's result."""
    @property
    def events(self) -> int:
        """How many events told about this node itself."""
    @property
    def missed(self) -> int:
        """How many events the tree was too slow for."""
    @property
    def omitted(self) -> int:
        """How many nodes right below were left out because of the tree's limits."""
    @property
    def children(self) -> list[RunNode]: ...
    def walk(self) -> list[RunNode]:
        """The node and all below it, each before its children."""
    def total_usage(self) -> Usage:
        """The tokens of all model calls, here and below."""
    def to_dict(self) -> dict[str, Any]: ...
    def __eq__(self, other: object, /) -> bool: ...
