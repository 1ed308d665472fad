"""Graphs of steps over typed channels, and their runs."""

from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, final
from uuid import UUID

from .callable_ import Callable as NativeCallable

__all__ = [
    "DagOutcome",
    "DagRunner",
    "DagStep",
    "Graph",
    "GraphRunner",
    "NodeContext",
    "Outcome",
    "RunParts",
    "RunSnapshot",
    "current_node",
]

def current_node() -> NodeContext | None:
    """The context of the step that the calling code is in; None outside of steps."""

@final
class Graph:
    """A graph, checked and ready to be run."""

    def __new__(cls, name: str, schema: Any, plan: dict[str, Any]) -> Graph: ...
    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    def mermaid(self) -> str: ...
    def svg(self) -> str: ...

@final
class NodeContext:
    """What a step can do besides answering. A step that wants it names it as its second parameter.

    Whatever it hands out is recorded, and comes out the same when the step is run again after a crash.
    """

    @property
    def run_id(self) -> str:
        """The run: the thread, where there is one."""
    @property
    def node(self) -> str:
        """The step's name."""
    @property
    def path(self) -> str:
        """Its path: the name, with a number where it was sent something, after the steps that its graph is in."""
    @property
    def step(self) -> int:
        """The super-step, from 1, over all turns of the run."""
    @property
    def attempt(self) -> int:
        """Which attempt it is, from 1."""
    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the step any more."""
    @property
    def context(self) -> Any:
        """What the run was given as `context=`."""
    def interrupt(self, value: Any) -> Coroutine[Any, Any, Any]:
        """Asks whoever called the graph, and waits for the answer, for asynchronous steps: `await ctx.interrupt(...)`.

        The step goes on here while its process and its event loop live; otherwise it is run again from its beginning,
        and finds the answer here at once.
        """
    def ask(self, value: Any) -> tuple[Any] | None:
        """What `interrupt(value)` of a plain step is made of: the answer in a tuple; or None, and the step must end."""
    def effect(self, name: str, perform: Callable[..., Any], effect: str = "once") -> Any:
        """Does something in the world, once: what it gave is recorded, and given again when the step is run again.

        In an asynchronous step it is awaited. `perform` may be plain or async, and is handed the idempotency key if
        it takes a value.

        Args:
            name: What it is called in the log of the run.
            perform: What does it; it gives a JSON value.
            effect: What happens if the process ends between the doing and the recording: `once`, the run stops with an
                OutcomeUnknownError; `idempotent` and `none`, it is done again.
        """
    def now(self) -> datetime:
        """The time, in UTC."""
    def random(self) -> float:
        """A random number from 0 up to but not including 1."""
    def uuid(self) -> UUID:
        """A random UUID."""
    def write(self, value: Any) -> None:
        """Hands a value to whoever reads the stream of the run (`stream_mode="custom"`)."""
    def progress(self) -> None:
        """Says that the step is alive, so that an idle time-out begins anew."""
    def _perform(
        self, name: str, perform: Callable[..., Any], effect: str, takes_key: bool
    ) -> Coroutine[Any, Any, Any]: ...
    def _perform_sync(self, name: str, perform: Callable[..., Any], effect: str, takes_key: bool) -> Any: ...

@final
class Outcome:
    """How a call of a run was left."""

    @property
    def run_id(self) -> str: ...
    @property
    def status(self) -> str:
        """`finished`, `suspended` or `paused`."""
    @property
    def step(self) -> int: ...
    def values(self) -> dict[str, Any]: ...
    def interrupts(self) -> list[tuple[str, str, str, Any]]:
        """What it waits for: id, path, kind and value."""

@final
class RunSnapshot:
    """Where a run stood."""

    @property
    def run_id(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def step(self) -> int: ...
    @property
    def source(self) -> str: ...
    @property
    def time_ms(self) -> int: ...
    @property
    def next(self) -> list[str]: ...
    def values(self) -> dict[str, Any]: ...
    def interrupts(self) -> list[tuple[str, str, str, Any]]: ...

@final
class RunParts:
    """A run part by part."""

    def next(self) -> Coroutine[Any, Any, tuple[str, Any, Any] | None]:
        """The next part: its kind, where it comes from, and what it is."""
    def close(self) -> None:
        """Ends the run, if it is not over."""

@final
class GraphRunner:
    """Runs of a graph."""

    def __new__(cls, graph: Graph, course: dict[str, Any]) -> GraphRunner: ...
    @property
    def suspended(self) -> int:
        """How many suspended runs have their coroutines in memory."""
    def run(self, given: dict[str, Any]) -> Coroutine[Any, Any, Outcome]: ...
    def parts(self, given: dict[str, Any], wanted: dict[str, bool]) -> RunParts: ...
    def state(self, thread: str, step: int | None) -> Coroutine[Any, Any, RunSnapshot | None]: ...
    def history(self, thread: str, limit: int) -> Coroutine[Any, Any, list[RunSnapshot]]: ...
    def update(
        self, thread: str, values: dict[str, Any], as_node: str | None, at: int | None
    ) -> Coroutine[Any, Any, RunSnapshot]: ...
    def fork(self, thread: str, step: int, edits: dict[str, Any], name: str | None) -> Coroutine[Any, Any, str]: ...
    def compare(self, thread: str) -> Coroutine[Any, Any, tuple[list[str], list[str], list[str]] | None]: ...

@final
class DagStep:
    """A step of a dag."""

    @staticmethod
    def invoke(callable: NativeCallable, effect: str) -> DagStep: ...
    @staticmethod
    def branch(predicate: NativeCallable, if_true: str, if_false: str) -> DagStep: ...
    @staticmethod
    def parallel(steps: list[tuple[str, DagStep]], any: bool) -> DagStep: ...
    @staticmethod
    def repeat(body: DagStep, again: NativeCallable, max_rounds: int) -> DagStep: ...
    @staticmethod
    def map(body: DagStep, concurrency: int) -> DagStep: ...
    @staticmethod
    def human(prompt: str, context: Any) -> DagStep: ...
    @property
    def kind(self) -> str: ...

@final
class DagRunner:
    """Runs of a dag."""

    def __new__(cls, name: str, plan: dict[str, Any]) -> DagRunner: ...
    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    def mermaid(self) -> str: ...
    def svg(self) -> str: ...
    def as_callable(self) -> NativeCallable: ...
    def run(self, input: Any, run_id: str | None) -> Coroutine[Any, Any, DagOutcome]: ...
    def resume(self, run_id: str, command: Any) -> Coroutine[Any, Any, DagOutcome]: ...

@final
class DagOutcome:
    """How a call of a run of a dag was left."""

    @property
    def run_id(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def output(self) -> Any: ...
    @property
    def outputs(self) -> Any: ...
    @property
    def ran(self) -> list[str]: ...
    def interrupts(self) -> list[tuple[str, str, str, Any]]: ...
