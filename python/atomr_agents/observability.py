"""Events of runs as they happen, over all the agents that a bus was given to.

Example:
    >>> from atomr_agents import Agent, EventBus
    >>> from atomr_agents.testkit import ScriptedModel
    >>> import asyncio
    >>> async def main() -> list[str]:
    ...     bus = EventBus()
    ...     agent = Agent(ScriptedModel().text("Rain."), bus=bus)
    ...     events = bus.stream()
    ...     await agent.run("Oslo?")
    ...     bus.close()
    ...     return [event.kind async for event in events]
    >>> asyncio.run(main())
    ['run_started', 'model_requested', 'text_delta', 'model_finished', 'run_finished']
"""

from __future__ import annotations

from ._guests import instance_of, name_of
from ._native import observability as _native
from ._native.observability import LineFormatter, RunNode, RunTree, Subscription

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable
    from os import PathLike
    from pathlib import Path
    from types import TracebackType
    from typing import Any, Literal, TextIO
    from weakref import WeakSet

    from .core import Event

__all__ = [
    "EventBus",
    "EventStream",
    "JsonlTracer",
    "LineFormatter",
    "RunNode",
    "RunTree",
    "StdoutTracer",
    "Subscription",
    "TracerHandle",
]

BATCH = 256


class EventBus:
    """Sees the events of every run of the agents it was given to (`Agent(bus=...)`).

    Runs never wait for a listener. One that falls more than `capacity` events behind is told how many it missed, by
    an event of the kind `lagged`.
    """

    __slots__ = ("_kept", "native")

    def __init__(self, capacity: int = 16384) -> None:
        from . import _checks

        _checks.whole(1)("capacity", capacity)
        self.native = _native.EventBus(capacity)
        self._kept: set[TracerHandle] = set()

    @property
    def capacity(self) -> int:
        """How many events a listener may fall behind."""
        return self.native.capacity

    @property
    def subscribers(self) -> int:
        """How many listeners there are."""
        return self.native.subscribers

    def stream(self) -> EventStream:
        """The events from now on, for `async for`. It ends when the bus is closed."""
        return EventStream(self.native.subscribe_batches())

    def subscribe(self, callback: Callable[[Event], Any]) -> TracerHandle:
        """Calls a function, plain or async, with each event from now on; `close()` what comes back to end it.

        A plain function is called on a worker thread. What it raises is reported to `sys.unraisablehook`.
        """
        return self.attach_tracer(callback)

    def attach_tracer(self, tracer: Any) -> TracerHandle:
        """Tells a tracer each event from now on: an object with `on_event(event)`, its class, or a function.

        A `RunTree` and a `JsonlTracer` are told without any Python. The bus keeps the tracer until it is detached or
        closed.
        """
        target = instance_of("tracer", tracer)
        native = target.native if isinstance(target, JsonlTracer) else target
        handle = TracerHandle(self.native.attach_tracer(native, name_of(tracer)), self._kept, target)
        self._kept.add(handle)
        return handle

    def close(self) -> None:
        """Ends the streams, once they have given what they hold."""
        self.native.close()

    def __repr__(self) -> str:
        return f"EventBus(capacity={self.capacity}, subscribers={self.subscribers})"


class EventStream:
    """Events of a bus, for `async for`. Drop it or close it, and it is unsubscribed."""

    __slots__ = ("_events", "_subscription")

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        # The events of a batch, the last one first: taking from the end of a list costs nothing.
        self._events: list[Event] = []

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._each()

    async def _each(self) -> AsyncGenerator[Event, None]:
        """As `__anext__`, without a coroutine for each event; what is not read stays in the stream."""
        while await self._more():
            events = self._events
            while events:
                yield events.pop()
                # Another loop over the same stream, or `close`, may have been there.
                events = self._events

    async def __anext__(self) -> Event:
        if self._events or await self._more():
            return self._events.pop()
        raise StopAsyncIteration

    async def _more(self) -> bool:
        """Sees to it that there are events at hand; false at the end."""
        if self._events:
            return True
        batch = await self._next_batch()
        if batch is None:
            return False
        batch.reverse()
        self._events = batch
        return True

    async def _next_batch(self) -> list[Event] | None:
        batch = self._subscription.try_batch(BATCH)
        while batch == []:
            batch = await self._subscription.batch(BATCH)
        return batch

    async def batches(self) -> AsyncGenerator[list[Event], None]:
        """All that is there at a time, in lists of at most 256 events; the cheapest way to read many."""
        if self._events:
            at_hand, self._events = self._events[::-1], []
            yield at_hand
        while (batch := await self._next_batch()) is not None:
            yield batch

    def __repr__(self) -> str:
        return f"<EventStream, {len(self._events)} events at hand>"

    def close(self) -> None:
        """Unsubscribes; what was not read is dropped."""
        self._events = []
        self._subscription.close()

    async def aclose(self) -> None:
        """As `close`, for `contextlib.aclosing`."""
        self.close()

    async def __aenter__(self) -> EventStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class TracerHandle:
    """A tracer at work."""

    __slots__ = ("__weakref__", "_kept", "native", "tracer")

    def __init__(self, native: _native.TracerHandle, kept: set[TracerHandle], tracer: Any) -> None:
        self.native: _native.TracerHandle | None = native
        self.tracer = tracer
        """What is told; of a class its instance."""
        self._kept = kept

    @property
    def errors(self) -> int:
        """How often it failed. What `on_event` of a tracer in Python raises is reported to `sys.unraisablehook`."""
        return 0 if self.native is None else self.native.errors

    async def flush(self) -> None:
        """Waits until it has seen all that happened before, and was told to flush."""
        if self.native is not None:
            await self.native.flush()

    async def detach(self) -> None:
        """Flushes, then ends it."""
        native, self.native = self.native, None
        self._kept.discard(self)
        if native is not None:
            await native.detach()

    def close(self) -> None:
        """Ends it at once, without waiting for what it has not seen."""
        self.native = None
        self._kept.discard(self)

    def __repr__(self) -> str:
        return "<TracerHandle, detached>" if self.native is None else "<TracerHandle>"


class StdoutTracer:
    """Writes each event as one readable line: time, run, what happened; indented by the depth of the agent.

    Pieces of text are joined to one line, control characters are escaped, long texts are cut, and what looks like a
    secret is masked. Lines are coloured only on a terminal, and not if `NO_COLOR` is set.

    Args:
        file: Where to write; `sys.stdout`, as it is at the time, if it is left away.
        colors: True or False, to decide it yourself.
        redact: False shows what looks like a secret.

    Example:
        >>> from atomr_agents import Agent, EventBus
        >>> from atomr_agents.testkit import ScriptedModel
        >>> import asyncio, io
        >>> page = io.StringIO()
        >>> async def main() -> None:
        ...     bus = EventBus()
        ...     tracer = bus.attach_tracer(StdoutTracer(page))
        ...     await Agent(ScriptedModel().text("Light rain."), bus=bus, name="weather").run("Oslo?")
        ...     await tracer.detach()
        >>> asyncio.run(main())
        >>> 'run_started weather' in page.getvalue(), 'text_delta "Light rain."' in page.getvalue()
        (True, True)
    """

    __slots__ = ("_file", "_lines")

    def __init__(self, file: TextIO | None = None, *, colors: bool | None = None, redact: bool = True) -> None:
        self._file = file
        self._lines = LineFormatter(colors=self._colored() if colors is None else colors, redact=redact)

    def _colored(self) -> bool:
        import os

        isatty = getattr(self._target(), "isatty", None)
        return isatty is not None and isatty() and not os.environ.get("NO_COLOR")

    def _target(self) -> TextIO | None:
        import sys

        return sys.stdout if self._file is None else self._file

    def on_event(self, event: Event) -> None:
        """Writes the lines that the event completes."""
        self._write(self._lines.event(event))

    def flush(self) -> None:
        """Writes what was joined so far."""
        self._write(self._lines.rest())
        target = self._target()
        if target is not None:
            target.flush()

    def _write(self, lines: str) -> None:
        target = self._target()
        if not lines or target is None:
            return
        try:
            target.write(lines)
        except UnicodeEncodeError:
            encoding = getattr(target, "encoding", None) or "ascii"
            target.write(lines.encode(encoding, "backslashreplace").decode(encoding))

    def __repr__(self) -> str:
        return "StdoutTracer()"


_open: WeakSet[JsonlTracer] | None = None


def _close_all() -> None:
    """What waits to be written when the interpreter exits is written, within the deadline of each tracer."""
    for tracer in list(_open or ()):
        tracer.close()


class JsonlTracer:
    """Appends each event to a file as one line of JSON; `Event.from_dict(json.loads(line))` reads it back.

    The file is opened once, for appending; a new one is made for its owner alone. A thread of its own writes, without
    any Python. What cannot be written is counted (`lost`) and told by `TracerHandle.flush`, and writing goes on. When
    the interpreter exits, what was taken is written first.

    Args:
        path: The file.
        capacity: How many events may wait to be written; beyond it the bus counts what the tracer misses, and tells it.
        flush: When what was written is handed to the operating system: "idle" when nothing more waits, "event" after
            each, or after so many seconds at the latest.
        deadline: How many seconds a flush and the closing may take.
        redact: False writes what looks like a secret.
    """

    __slots__ = ("__weakref__", "_deadline", "native")

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        capacity: int = 4096,
        flush: Literal["idle", "event"] | float = "idle",
        deadline: float = 5.0,
        redact: bool = True,
    ) -> None:
        from . import _checks

        _checks.whole(1)("capacity", capacity)
        _checks.flag("redact", redact)
        global _open
        if _open is None:
            import atexit
            from weakref import WeakSet

            _open = WeakSet()
            atexit.register(_close_all)
        self._deadline = deadline
        self.native = _native.JsonlTracer(path, capacity, flush, deadline, redact)
        _open.add(self)

    @property
    def path(self) -> Path:
        """The file."""
        return self.native.path

    @property
    def written(self) -> int:
        """How many events were handed to the operating system."""
        return self.native.written

    @property
    def lost(self) -> int:
        """How many events could not be written."""
        return self.native.lost

    def close(self) -> None:
        """Writes what waits and closes the file; waits at most the deadline. Later events are errors."""
        self.native.close(self._deadline)

    def __enter__(self) -> JsonlTracer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"JsonlTracer({str(self.path)!r}, written={self.written}, lost={self.lost})"
