"""JSON that a model is still writing: what is known of it after each piece, and what each piece has changed.

Example:
    >>> from atomr_agents import PartialJson
    >>> arguments = PartialJson()
    >>> for change in arguments.feed('{"city": "Os'):
    ...     print(change)
    Change("started", (), 'object')
    Change("started", ('city',), 'string')
    Change("grew", ('city',), 'Os')
    >>> arguments.value
    {'city': 'Os'}
    >>> arguments.update('lo", "days": 1')
    >>> arguments.value
    {'city': 'Oslo'}
    >>> arguments.update("4}")
    >>> arguments.finish()
    {'city': 'Oslo', 'days': 14}
"""

from __future__ import annotations

from ._native.parser import Change, PartialJson
from .errors import ProtocolError

__all__ = ["Change", "PartialJson", "PartialJsonError"]


class PartialJsonError(ProtocolError, ValueError):
    """The text is no JSON, breaks a limit, or ends too early.

    Example:
        >>> try:
        ...     PartialJson().feed('{"a": x}')
        ... except PartialJsonError as error:
        ...     print(error, error.offset, error.incomplete)
        invalid JSON at byte 6: expected a value, found 'x' 6 False
    """

    offset: int | None = None
    """The place, in bytes of UTF-8 from the start of the document; `None` where the text is too long."""
    incomplete: bool = False
    """The text was JSON as far as it went; only `finish` says so."""

    def __init__(self, message: str, offset: int | None = None, incomplete: bool = False) -> None:
        super().__init__(message)
        self.offset = offset
        self.incomplete = incomplete
