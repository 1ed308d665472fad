"""The one way from a plain function into an event loop."""

from __future__ import annotations

from ._light import TypeVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

T = TypeVar("T")


def run(make: Callable[[], Coroutine[Any, Any, T]], what: str, instead: str) -> T:
    """Runs what `make` gives in an event loop of its own. Ctrl-C stops it, as `asyncio.run` promises."""
    import asyncio

    from .errors import RuntimeUnavailableError

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        try:
            return asyncio.run(_awaited(make))
        except KeyboardInterrupt as error:
            # What the run had produced is on the CancelledError that ended it.
            partial = getattr(error.__context__, "partial", None)
            if partial is not None:
                error.partial = partial  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
            raise
    raise RuntimeUnavailableError(f"{what} would block the event loop that is running here; {instead} instead")


async def _awaited(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return await make()
