"""Messages, usage and events: the words that everything speaks."""

from __future__ import annotations

from ._native.core import Event, Message, Usage

__all__ = ["Event", "Message", "Usage"]
