"""Events of runs as they happen."""

from collections.abc import Coroutine
from typing import Any, final

from .core import Event

__all__ = ["EventBus", "Subscription", "TracerHandle"]

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
