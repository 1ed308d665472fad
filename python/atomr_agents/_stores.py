"""Stores that are written in Python, on their way to the core."""

from __future__ import annotations

from ._guests import name_of, registered
from ._native.state import Store, guest_store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable
    from typing import Any, TypeVar

    T = TypeVar("T")

_NEEDED = ("commit", "get", "scan", "read", "acquire")
_loop: AbstractEventLoop | None = None


def of_guest(target: Any) -> Store | None:
    """The store that a guest is; None for what does not look like one.

    Its asynchronous methods run on the loop that runs here now, or else on one of our own in a thread of its own, which
    stays: what the guest binds to its loop (connections) lives as long as the guest.
    """
    found = registered("journal", target)
    if found is None:
        if isinstance(target, type) or not all(callable(getattr(target, name, None)) for name in _NEEDED):
            return None
        found = name_of(target), target
    key, guest = found
    return _on_a_loop(lambda: guest_store(key, guest)) if _waits(guest) else guest_store(key, guest)


def _waits(guest: Any) -> bool:
    import inspect

    from ._native.guest import methods

    return any(inspect.iscoroutinefunction(getattr(guest, name, None)) for name, _, _ in methods("journal"))


def _on_a_loop(make: Callable[[], T]) -> T:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:

        async def made() -> T:
            return make()

        return asyncio.run_coroutine_threadsafe(made(), _own_loop()).result(10)
    return make()


def _own_loop() -> AbstractEventLoop:
    global _loop
    if _loop is None:
        import asyncio
        import threading

        _loop = asyncio.new_event_loop()
        threading.Thread(target=_loop.run_forever, name="atomr-guests", daemon=True).start()
    return _loop
