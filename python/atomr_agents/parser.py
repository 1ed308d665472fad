"""From what a model wrote to a value: parsers, repairs by a model, and JSON that is still being written.

This module is also the decorator of its name. A parser has `parse(text)` and `format_instructions()`, and is a step
wherever one is wanted. Those that ask somebody are awaited, and have `parse_sync`.

| parser | gives |
|---|---|
| `JsonParser` | any JSON, also between words or in a code fence |
| `JsonSchemaParser` | JSON that is valid against a schema |
| `SchemaParser` | JSON as a Python type |
| `EnumParser` | one of a few values |
| `CommaListParser` | a list of texts |
| `XmlParser` | an element as dicts, lists and texts |
| `YamlParser` | a YAML document |
| `OutputFixingParser`, `RetryWithErrorParser` | what another parser gives, after a model has repaired the text |
| `StreamingPartialJson` | JSON while it is being written, checked at its end |

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

from ._callable_module import make_callable
from ._native.parser import Change, PartialJson, StreamingPartialJson
from ._parsers import (
    CommaListParser,
    EnumParser,
    JsonParser,
    JsonSchemaParser,
    Parser,
    ParserError,
    SchemaParser,
    XmlParser,
    YamlParser,
)
from ._repairing import (
    AsyncParser,
    OutputFixingParser,
    RepairModel,
    RetryWithErrorParser,
    parser_from_factory,
    repair_model_from_factory,
)
from .errors import ProtocolError
from .guest import parser, repair_model

__all__ = [
    "AsyncParser",
    "Change",
    "CommaListParser",
    "EnumParser",
    "JsonParser",
    "JsonSchemaParser",
    "OutputFixingParser",
    "Parser",
    "ParserError",
    "PartialJson",
    "PartialJsonError",
    "RepairModel",
    "RetryWithErrorParser",
    "SchemaParser",
    "StreamingPartialJson",
    "XmlParser",
    "YamlParser",
    "parser",
    "parser_from_factory",
    "repair_model",
    "repair_model_from_factory",
]


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


make_callable(__name__, parser)
