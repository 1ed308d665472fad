"""Messages, usage, events and documents: the words that everything speaks."""

from __future__ import annotations

from ._native.core import Budget, Document, Event, Message, Span, Usage, count_tokens

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._event_kinds import EventKind

__all__ = ["Budget", "Document", "Event", "EventKind", "Message", "Span", "Usage", "count_tokens"]


def __getattr__(name: str) -> object:
    if name == "EventKind":
        from ._event_kinds import EventKind

        return EventKind
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
