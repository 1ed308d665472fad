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
from ._native.observability import Subscription

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from .core import Event

__all__ = ["EventBus", "EventStream", "Subscription", "TracerHandle"]

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

        The bus keeps it until it is detached or closed.
        """
        target = instance_of("tracer", tracer)
        handle = TracerHandle(self.native.attach_tracer(target, name_of(tracer)), self._kept)
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

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> Event:
        if self._events:
            return self._events.pop()
        batch = self._subscription.try_batch(BATCH)
        while batch == []:
            batch = await self._subscription.batch(BATCH)
        if batch is None:
            raise StopAsyncIteration
        batch.reverse()
        self._events = batch
        return batch.pop()

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

    __slots__ = ("__weakref__", "_kept", "native")

    def __init__(self, native: _native.TracerHandle, kept: set[TracerHandle]) -> None:
        self.native: _native.TracerHandle | None = native
        self._kept = kept

    @property
    def errors(self) -> int:
        """How often its `flush` failed; what `on_event` raises is reported to `sys.unraisablehook`."""
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
