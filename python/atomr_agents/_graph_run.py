"""Graphs that are run: invoked, streamed, looked at, changed, gone on with."""

from __future__ import annotations

from datetime import UTC
from typing import NamedTuple

from ._graph_parts import asked, told
from ._graph_types import Command, StateSnapshot
from ._light import Generic, TypeVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from typing import Any

    from ._native.workflow import Graph, GraphRunner, Outcome, RunSnapshot
    from .callable_ import Callable as Step

State = TypeVar("State")

_MODES = ("values", "updates", "custom", "messages", "events")


class CompiledGraph(Generic[State]):
    """A graph that can be run: many runs, one after the other and at the same time.

    `StateGraph.compile` makes it. A thread is one run with many turns: invoked again with input, it begins another
    turn with the state that is there; invoked with None or a `Command`, it goes on where it stopped.
    """

    __slots__ = ("_course", "_runner", "native")

    def __init__(self, native: Graph, course: dict[str, Any]) -> None:
        from ._native.workflow import GraphRunner

        self.native = native
        self._course = course
        self._runner: GraphRunner = GraphRunner(native, course)

    @property
    def name(self) -> str:
        """What the graph is called."""
        return self.native.name

    @property
    def version(self) -> str:
        """A hash of its steps, edges and channels: a run of another version is not gone on with unawares."""
        return self.native.version

    async def ainvoke(
        self,
        input: Any,
        config: dict[str, Any] | None = None,
        *,
        context: Any = None,
        stream_mode: str = "values",
        interrupt_before: Sequence[str] | str | None = None,
        interrupt_after: Sequence[str] | str | None = None,
        durability: str | None = None,
    ) -> Any:
        """Runs until the end, or until the run stops and waits for somebody.

        Args:
            input: A dict of channels: a new turn. None: goes on. A `Command`: answers, edits or redirects, and goes on.
            config: `{"configurable": {"thread_id": ...}, "recursion_limit": ...}`. With the `checkpoint_id` of a
                snapshot's config the thread goes back to that place; what came after it stays in its history.
            context: What steps see as `ctx.context`.
            stream_mode: `values`, or `updates` for a list of what the steps answered.
            interrupt_before: Steps to stop before, instead of those the graph was compiled with.
            interrupt_after: Steps to stop after.
            durability: `full` or `relaxed`, or one of LangGraph's words: `sync`, `async`, `exit`.

        Returns:
            The channels that hold something. What the run waits for is under `__interrupt__`.

        Raises:
            AgentError: What went wrong in the graph. What a step raised comes back as itself.
        """
        given = self._given(input, config, context, interrupt_before, interrupt_after, durability)
        if stream_mode != "values":
            return [part async for part in self._parts(given, stream_mode, False)]
        outcome: Outcome = await self._runner.run(given)
        return _result(outcome)

    def invoke(self, input: Any, config: dict[str, Any] | None = None, **options: Any) -> Any:
        """As `ainvoke`, where no event loop runs. Ctrl-C stops it."""
        from ._sync import run

        return run(lambda: self.ainvoke(input, config, **options), "invoke()", "`await graph.ainvoke(...)`")

    async def astream(
        self,
        input: Any,
        config: dict[str, Any] | None = None,
        *,
        context: Any = None,
        stream_mode: str | Sequence[str] = "updates",
        subgraphs: bool = False,
        interrupt_before: Sequence[str] | str | None = None,
        interrupt_after: Sequence[str] | str | None = None,
        durability: str | None = None,
    ) -> AsyncIterator[Any]:
        """Runs, and gives what happens on the way. The run goes on as it is read, and ends when reading ends.

        Args:
            input: As `ainvoke`.
            config: As `ainvoke`.
            context: As `ainvoke`.
            stream_mode: `values`: the state after each super-step; `updates`: what each step answered, by its name;
                `custom`: what steps write (`ctx.write`, `get_stream_writer`); `messages`: what models write in agents
                that steps run, as pairs of a piece, `{"role": "assistant", "content": "..."}`, and where it was
                written: `node`, `path`, `run_id`, `seq` (one for the pieces of one message), `index`; `events`: the
                events of the run. With a list of these, pairs of the mode and the part.
            subgraphs: Also the answers of steps of graphs inside steps; each part comes with the path of its graph.
            interrupt_before: As `ainvoke`.
            interrupt_after: As `ainvoke`.
            durability: As `ainvoke`.
        """
        given = self._given(input, config, context, interrupt_before, interrupt_after, durability)
        async for part in self._parts(given, stream_mode, subgraphs):
            yield part

    def stream(self, input: Any, config: dict[str, Any] | None = None, **options: Any) -> Iterator[Any]:
        """As `astream`, where no event loop runs."""
        import asyncio

        parts = self.astream(input, config, **options)

        async def following() -> Any:
            return await anext(parts)

        async def close() -> None:
            await parts.aclose()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]

        with asyncio.Runner() as runner:
            try:
                while True:
                    try:
                        part = runner.run(following())
                    except StopAsyncIteration:
                        return
                    yield part
            finally:
                runner.run(close())

    async def aget_state(self, config: dict[str, Any]) -> StateSnapshot:
        """Where a thread stands, or stood at `checkpoint_id`. Of a thread that was never run the snapshot is empty."""
        thread, step = _place(config)
        return _snapshot(await self._runner.state(thread, step), config)

    def get_state(self, config: dict[str, Any]) -> StateSnapshot:
        """As `aget_state`, where no event loop runs."""
        from ._sync import run

        return run(lambda: self.aget_state(config), "get_state()", "`await graph.aget_state(...)`")

    async def aget_state_history(
        self, config: dict[str, Any], *, limit: int | None = None
    ) -> AsyncIterator[StateSnapshot]:
        """Where a thread stood, the newest first."""
        thread, _ = _place(config)
        for snapshot in await self._runner.history(thread, 1_000_000 if limit is None else limit):
            yield _snapshot(snapshot, config)

    def get_state_history(self, config: dict[str, Any], *, limit: int | None = None) -> Iterator[StateSnapshot]:
        """As `aget_state_history`, where no event loop runs."""
        from ._sync import run

        async def history() -> list[StateSnapshot]:
            return [snapshot async for snapshot in self.aget_state_history(config, limit=limit)]

        yield from run(history, "get_state_history()", "`async for ... in graph.aget_state_history(...)`")

    async def aupdate_state(
        self, config: dict[str, Any], values: dict[str, Any] | None, as_node: str | None = None
    ) -> dict[str, Any]:
        """Writes to the channels of a thread that stands still, through their reducers.

        What is due stays due; with `as_node`, what follows that step is due instead, as if it had written this. At a
        `checkpoint_id` the thread goes back to that place first.

        Returns:
            What names the new place.
        """
        thread, at = _place(config)
        snapshot = await self._runner.update(thread, {} if values is None else values, as_node, at)
        return _config(thread, snapshot.step)

    def update_state(
        self, config: dict[str, Any], values: dict[str, Any] | None, as_node: str | None = None
    ) -> dict[str, Any]:
        """As `aupdate_state`, where no event loop runs."""
        from ._sync import run

        return run(
            lambda: self.aupdate_state(config, values, as_node), "update_state()", "`await graph.aupdate_state(...)`"
        )

    async def acheck_compat(self, *, open_only: bool = True) -> list[Incompatible]:
        """The threads that another version of the graph began, and what is different in this one.

        Args:
            open_only: Leave out those that are finished.

        Raises:
            ConfigError: The graph was compiled without a checkpointer.
        """
        from .state import Runs

        if self._course["store"] is None:
            raise _wrong_config()
        runs, found, after = Runs(self._course["store"]), list[Incompatible](), None
        while True:
            page = await runs.list(kind="workflow", target=self.name, after=after)
            for run in page.runs:
                different = await self._runner.compare(run.name)
                if different is not None and not (open_only and run.status == "finished"):
                    added, removed, changed = different
                    found.append(Incompatible(run.name, run.status, added, removed, changed))
            after = page.next
            if after is None:
                return found

    def check_compat(self, *, open_only: bool = True) -> list[Incompatible]:
        """As `acheck_compat`, where no event loop runs."""
        from ._sync import run

        return run(lambda: self.acheck_compat(open_only=open_only), "check_compat()", "`await graph.acheck_compat()`")

    def get_graph(self) -> Drawing:
        """What the graph looks like."""
        return Drawing(self.native)

    def as_callable(self) -> Step:
        """The graph as a step of a pipeline: it takes a dict of channels and gives one."""
        from .callable_ import Callable

        return Callable.from_callable(self.ainvoke, self.name)

    def __repr__(self) -> str:
        return f"<CompiledGraph {self.name} {self.version[:8]}>"

    def _given(
        self,
        input: Any,
        config: dict[str, Any] | None,
        context: Any,
        before: Sequence[str] | str | None,
        after: Sequence[str] | str | None,
        durability: str | None,
    ) -> dict[str, Any]:
        from ._graph_build import _names

        config = {} if config is None else config
        thread, at = (None, None) if self._course["store"] is None else _place(config)
        when = durability if durability in ("sync", "async", "exit") else None
        return {
            "thread": thread,
            "input": input,
            "is_command": isinstance(input, Command),
            "config": config,
            "context": context,
            "max_steps": config.get("recursion_limit"),
            "before": None if before is None else _names(before),
            "after": None if after is None else _names(after),
            "durability": None if when else durability,
            "when": when,
            "at": at,
            "accept": False,
            "fresh": False,
        }

    async def _parts(self, given: dict[str, Any], modes: str | Sequence[str], subgraphs: bool) -> AsyncIterator[Any]:
        from . import _checks

        wanted = [modes] if isinstance(modes, str) else list(modes)
        for mode in wanted:
            _checks.one_of(*_MODES)("stream_mode", mode)
        flags = {mode: mode in wanted for mode in _MODES if mode != "messages"}
        # What models write is told by the events of their runs.
        flags["events"] |= "messages" in wanted
        parts = self._runner.parts(given, {**flags, "inner": subgraphs})
        try:
            while (one := await parts.next()) is not None:
                kind, where, what = one
                if kind == "end":
                    return
                for mode, space, part in told(kind, where, what, wanted):
                    shown = part if isinstance(modes, str) else (mode, part)
                    if not subgraphs:
                        yield shown
                    else:
                        yield (space, shown) if isinstance(modes, str) else (space, *shown)
        finally:
            parts.close()


class Incompatible(NamedTuple):
    """A thread that another version of the graph began."""

    thread_id: str
    """The thread."""
    status: str
    """How it is doing."""
    added: list[str]
    """What only this version has, in words such as `step plan`, `edge plan -> act`, `channel notes`."""
    removed: list[str]
    """What only the other one has."""
    changed: list[str]
    """What both have, but not alike."""


class Drawing:
    """What a graph looks like."""

    __slots__ = ("_native",)

    def __init__(self, native: Graph) -> None:
        self._native = native

    def draw_mermaid(self) -> str:
        """As a flowchart in the language of Mermaid."""
        return self._native.mermaid()

    def draw_svg(self) -> str:
        """As an SVG document that needs nothing else."""
        return self._native.svg()


def _result(outcome: Outcome) -> dict[str, Any]:
    values = outcome.values()
    waiting = [asked(one) for one in outcome.interrupts() if one[2] == "asked"]
    if waiting:
        values["__interrupt__"] = waiting
    return values


def _config(thread: str, step: int) -> dict[str, Any]:
    return {"configurable": {"thread_id": thread, "checkpoint_ns": "", "checkpoint_id": str(step)}}


def _place(config: dict[str, Any]) -> tuple[str, int | None]:
    place = config.get("configurable", {})
    if place.get("thread_id") is None:
        raise _wrong_config()
    step = place.get("checkpoint_id")
    if step is not None and not str(step).isdecimal():
        from .errors import ConfigError

        raise ConfigError(f"checkpoint_id is the number of a super-step, as a snapshot's config has it, not {step!r}")
    return str(place["thread_id"]), None if step is None else int(step)


def _wrong_config() -> Exception:
    from .errors import ConfigError

    return ConfigError('say which thread: config={"configurable": {"thread_id": "..."}}')


def _snapshot(native: RunSnapshot | None, config: dict[str, Any]) -> StateSnapshot:
    if native is None:
        return StateSnapshot({}, (), config, {}, None, None, ())
    from datetime import datetime

    thread, step = native.run_id, native.step
    created = datetime.fromtimestamp(native.time_ms / 1000, tz=UTC).isoformat()
    about = {"source": native.source, "step": step, "status": native.status}
    parent = _config(thread, step - 1) if step > 0 else None
    waiting = tuple(asked(one) for one in native.interrupts())
    return StateSnapshot(native.values(), tuple(native.next), _config(thread, step), about, created, parent, waiting)
