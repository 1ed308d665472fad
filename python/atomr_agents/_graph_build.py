"""Graphs that are put together step by step."""

from __future__ import annotations

from typing import cast

from . import _checks
from ._graph_nodes import goes, routes, step_of, takes
from ._graph_types import END, START, CachePolicy, RetryPolicy
from ._light import Generic, TypeVar, overload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, TypeAlias

    from ._graph_run import CompiledGraph
    from ._native.state import StateSchema
    from .observability import EventBus

    Targets: TypeAlias = "Mapping[Any, str] | Sequence[str]"

State = TypeVar("State")


class StateGraph(Generic[State]):
    """A graph of steps over the channels of a state.

    Args:
        state: A `TypedDict`, a dataclass, a pydantic model or a `StateSchema`. `Annotated[list, reducer]` says how
            what a step writes is joined to what is there; without it the last write is kept.
        name: What the graph is called in stores and errors.

    Example:
        >>> from operator import add
        >>> from typing import Annotated, TypedDict
        >>> from atomr_agents import END, START, StateGraph
        >>> Log = TypedDict("Log", {"lines": Annotated[list[str], add]})
        >>> graph = StateGraph(Log)
        >>> graph.add_node("greet", lambda state: {"lines": ["hello"]}).add_edge(START, "greet").add_edge("greet", END)
        <StateGraph graph of 1 step>
        >>> graph.compile().invoke({"lines": ["begun"]})
        {'lines': ['begun', 'hello']}
    """

    __slots__ = ("_branches", "_edges", "_joins", "_nodes", "name", "state")

    @overload
    def __init__(self, state: type[State], name: str = "graph") -> None: ...
    @overload
    def __init__(self: StateGraph[dict[str, Any]], state: StateSchema, name: str = "graph") -> None: ...
    def __init__(self, state: Any, name: str = "graph") -> None:
        _checks.filled("name", name)
        self.state = state
        self.name = name
        self._nodes: dict[str, dict[str, Any]] = {}
        self._edges: list[tuple[str, str]] = []
        self._joins: list[tuple[list[str], str]] = []
        self._branches: list[tuple[str, Any, Any]] = []

    def add_node(
        self,
        name: Any,
        step: Any = None,
        *,
        retry: RetryPolicy | None = None,
        retry_policy: RetryPolicy | None = None,
        timeout: float | None = None,
        idle_timeout: float | None = None,
        cache: CachePolicy | None = None,
        cache_policy: CachePolicy | None = None,
        destinations: Sequence[str] | None = None,
        version: str = "",
    ) -> StateGraph[State]:
        """Adds a step.

        Args:
            name: What it is called. Left out, a function has its own name: `add_node(plan)`.
            step: A function of the state (plain or async), perhaps with the `NodeContext` (or the `config`) as its
                second parameter; an agent, a compiled graph, or any callable. It answers a dict of channels, a
                `Command`, or None.
            retry: How often it is tried again after an error that may pass.
            timeout: The longest that an attempt may take, in seconds; waits for answers do not count.
            idle_timeout: The longest that an attempt may go without a sign of life (an effect, `ctx.progress()`).
            cache: For how long its answers are kept for equal inputs.
            destinations: Where it may send the run with `Command(goto=...)`, where no hint says it.
            version: What you call this version of it: a stored run is not continued with another one unawares.
        """
        if step is None:
            name, step = None, name
        own, body = step_of(step)
        name = own if name is None else name
        _checks.filled("name", name)
        if name in self._nodes:
            raise _wrong(f"there is a step {name!r} already in {self.name!r}")
        policy = retry or retry_policy
        kept = cache or cache_policy
        is_function = callable(body)
        ways = list(destinations) if destinations is not None else goes(step if callable(step) else body)
        self._nodes[name] = {
            "name": name,
            "body": body,
            "takes": takes(body) if is_function else "",
            "goes": ways if is_function else None,
            "retry": None if policy is None else (*policy[:4], _passes(policy)),
            "timeout": timeout,
            "idle_timeout": idle_timeout,
            "cache": None if kept is None else kept.ttl or 0.0,
            "version": version,
        }
        return self

    def add_edge(self, start: str | Sequence[str], end: str) -> StateGraph[State]:
        """After `start` comes `end`; after a list of steps, once all of them have run."""
        if isinstance(start, str):
            self._edges.append((start, end))
        else:
            self._joins.append((list(start), end))
        return self

    def add_conditional_edges(
        self, source: str, path: Callable[..., Any], path_map: Targets | None = None
    ) -> StateGraph[State]:
        """After `source`, `path` says where the run goes: it answers the name of a step, a `Send`, or a list of these.

        Args:
            path: A function of the state. A plain one must be quick: it runs on the thread of the event loop.
            path_map: The steps that its answers stand for, or the steps that it may name. Left out, its hint
                `-> Literal["a", "b"]` says that, or it may name any.
        """
        self._branches.append((source, path, path_map))
        return self

    def add_sequence(self, steps: Sequence[Any]) -> StateGraph[State]:
        """Adds steps, each after the one before: functions, or pairs of a name and a function."""
        before: str | None = None
        for each in steps:
            name, step = _named(each)
            self.add_node(name, step)
            if before is not None:
                self.add_edge(before, name)
            before = name
        return self

    def set_entry_point(self, name: str) -> StateGraph[State]:
        """A run begins with this step."""
        return self.add_edge(START, name)

    def set_conditional_entry_point(
        self, path: Callable[..., Any], path_map: Targets | None = None
    ) -> StateGraph[State]:
        """What a run begins with is what `path` says."""
        return self.add_conditional_edges(START, path, path_map)

    def set_finish_point(self, name: str) -> StateGraph[State]:
        """A run ends after this step."""
        return self.add_edge(name, END)

    def compile(
        self,
        checkpointer: Any = None,
        *,
        interrupt_before: Sequence[str] | str | None = None,
        interrupt_after: Sequence[str] | str | None = None,
        name: str | None = None,
        durability: str | None = None,
        when: str | None = None,
        max_parallel: int | None = None,
        record_events: bool = True,
        buses: Sequence[EventBus] = (),
    ) -> CompiledGraph[State]:
        """The graph, checked and ready to be run.

        Args:
            checkpointer: Where threads are kept: a checkpointer, a store, a path, or text such as `sqlite:runs.db`.
                Left out, a run ends with its call.
            interrupt_before: Steps to stop before; `"*"` for each.
            interrupt_after: Steps to stop after; `"*"` for each.
            name: What the graph is called in stores and errors, instead of the name it has.
            durability: What a checkpoint survives: `full` (the default), a loss of power; `relaxed`, the end of the
                process.
            when: When checkpoints are written: `sync` (the default), before the next step begins; `async`, while it
                runs; `exit`, when the call ends.
            max_parallel: The most steps that run at the same time.
            record_events: Whether the events of a thread are kept beside its checkpoints.
            buses: Where the events of all runs go.

        Raises:
            WorkflowError: Everything that is wrong with the graph: a step that is not there, or cannot be reached.
        """
        from ._graph_run import CompiledGraph
        from ._graph_state import shape_of
        from ._native.workflow import Graph

        values, make, schema = shape_of(self.state)
        plan = {
            "values": values,
            "make": make,
            "steps": list(self._nodes.values()),
            "edges": self._edges,
            "joins": self._joins,
            "branches": [_branch(*branch) for branch in self._branches],
        }
        native = Graph(name or self.name, schema, plan)
        course = {
            "store": None if checkpointer is False else checkpointer,
            "durability": durability,
            "when": when,
            "before": _names(interrupt_before),
            "after": _names(interrupt_after),
            "max_parallel": max_parallel,
            "record_events": record_events,
            "buses": list(buses),
        }
        return CompiledGraph(native, course)

    def __repr__(self) -> str:
        count = len(self._nodes)
        return f"<StateGraph {self.name} of {count} step{'' if count == 1 else 's'}>"


def _branch(source: str, path: Any, path_map: Any) -> tuple[Any, ...]:
    if path_map is None:
        path_map = routes(path)
    mapping = dict(path_map) if hasattr(path_map, "keys") else None
    targets: list[tuple[str, str]] | None = None
    if mapping is not None:
        targets = [(str(label), to) for label, to in mapping.items()]
    elif path_map is not None:
        targets = [("", to) for to in path_map]
    _, function = step_of(path)
    return source, function, mapping, targets, takes(function) == "config"


def _named(step: Any) -> tuple[str, Any]:
    if isinstance(step, tuple):
        name, body = cast("tuple[str, Any]", step)
        return name, body
    return step_of(step)[0], step


def _names(names: Sequence[str] | str | None) -> list[str]:
    if names is None:
        return []
    return [names] if isinstance(names, str) else list(names)


def _passes(policy: RetryPolicy) -> Any:
    """Which errors may pass, as one function; None where that is not said."""
    on = policy.retry_on
    if on is None or (callable(on) and not isinstance(on, type)):
        return on
    classes = on if isinstance(on, type) else tuple(on)

    def passes(error: BaseException) -> bool:
        return isinstance(error, classes)

    return passes


def _wrong(message: str) -> Exception:
    from .errors import WorkflowError

    return WorkflowError(message)
