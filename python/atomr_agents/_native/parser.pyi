"""JSON that arrives in pieces, and the parsers of whole texts."""

from collections.abc import Coroutine
from typing import Any, Literal, final

from .agent import InferenceClient
from .callable_ import Callable

__all__ = [
    "Change",
    "NativeAsyncParser",
    "NativeParser",
    "NativeRepairModel",
    "PartialJson",
    "StreamingPartialJson",
]

@final
class Change:
    """Something that became known of a document."""

    @property
    def kind(self) -> Literal["started", "grew", "scalar", "finished"]:
        """`started`: an object, an array or a string began; `grew`: a string has one more piece; `scalar`: a number,
        `True`, `False` or `None` is known; `finished`: what had started is complete."""
    @property
    def path(self) -> tuple[str | int, ...]:
        """The keys and indexes that lead to the value from the document, which is `()`."""
    @property
    def shape(self) -> Literal["object", "array", "string"] | None:
        """What started; `None` for the other kinds."""
    @property
    def piece(self) -> str:
        """What a string grew by, escapes resolved; empty for the other kinds."""
    @property
    def value(self) -> Any:
        """The scalar, or the whole of what has finished; `None` for the other kinds."""

@final
class PartialJson:
    """Decodes one JSON document while it is being written.

    A feed costs what its own text costs, however long the document is by then. It is for one thread at a time.
    """

    def __new__(cls, *, max_depth: int = 127, max_bytes: int = 1048576) -> PartialJson:
        """`max_depth` objects and arrays may lie in each other (at most 512); the text may have `max_bytes`."""
    def feed(self, text: str) -> list[Change]:
        """Takes the next piece of the text; answers what became known, in the order of the text.

        Raises `PartialJsonError` for what is no JSON or breaks a limit; what came before stays known.
        """
    def update(self, text: str) -> None:
        """As `feed`, where only the value is of interest: no list of changes is made."""
    @property
    def value(self) -> Any:
        """The document as far as it is known; `None` before its value began.

        It is live: the next feed goes on filling the same dicts and lists. Looking at it copies nothing but a string
        that is open.
        """
    def snapshot(self) -> Any:
        """`value`, with dicts and lists of its own."""
    @property
    def complete(self) -> bool:
        """Is the document whole? A number on its own is only after `finish`."""
    def finish(self) -> Any:
        """The text is at its end: the whole document. Raises `PartialJsonError`, `incomplete` where the text is cut."""

@final
class StreamingPartialJson:
    """Reads one JSON document while a model writes it, and checks it against a schema at its end.

    Nothing that is shown becomes another value later, and a piece costs what its own text costs. The text must be
    JSON from its first character to its last. It is for one document and one thread at a time.

    Example:
        >>> parser = StreamingPartialJson({"required": ["days"]})
        >>> parser.feed('{"city": "Os'), parser.feed('lo"}')
        ({'city': 'Oslo'}, {'city': 'Oslo'})
    """

    def __new__(
        cls, schema: dict[str, Any] | bool | None = None, *, max_depth: int = 127, max_bytes: int = 1048576
    ) -> StreamingPartialJson:
        """`max_depth` objects and arrays may lie in each other (at most 512); the text may have `max_bytes`. Raises
        `ConfigError` for a schema that is none."""
    def feed(self, text: str) -> Any:
        """Takes the next piece; answers the document as far as it is known, `None` before its value began.

        What it answers is live: the next piece goes on filling the same dicts and lists. Raises `ParserError` for
        what is no JSON or breaks a limit; what came before stays known.
        """
    @property
    def value(self) -> Any:
        """The document as far as it is known."""
    @property
    def complete(self) -> bool:
        """Is the document whole? A number on its own is only after `finish`."""
    def finish(self) -> Any:
        """The text is at its end: the whole document. Raises `ParserError` where the text is cut, and for a document
        that does not fit the schema."""

@final
class NativeParser:
    """A parser that reads by itself."""

    @staticmethod
    def json() -> NativeParser: ...
    @staticmethod
    def json_schema(schema: dict[str, Any] | bool) -> NativeParser: ...
    @staticmethod
    def choice(values: list[str]) -> NativeParser: ...
    @staticmethod
    def comma_list() -> NativeParser: ...
    @staticmethod
    def xml(element: str | None, max_depth: int, max_bytes: int) -> NativeParser: ...
    @staticmethod
    def yaml() -> NativeParser: ...
    def parse(self, text: str) -> Any: ...
    def format_instructions(self) -> str: ...
    def step(self, label: str) -> Callable: ...
    def waiting(self) -> NativeAsyncParser: ...

@final
class NativeAsyncParser:
    """A parser that may wait."""

    @staticmethod
    def guest(target: object, key: str) -> NativeAsyncParser: ...
    @staticmethod
    def fixing(inner: NativeAsyncParser, model: NativeRepairModel, max_attempts: int) -> NativeAsyncParser: ...
    @staticmethod
    def retrying(
        inner: NativeAsyncParser, model: NativeRepairModel, prompt: str, max_attempts: int
    ) -> NativeAsyncParser: ...
    def parse(self, text: str) -> Coroutine[Any, Any, Any]: ...
    def format_instructions(self) -> str: ...
    def step(self, label: str) -> Callable: ...

@final
class NativeRepairModel:
    """What repairs a text."""

    @staticmethod
    def guest(target: object, key: str) -> NativeRepairModel: ...
    @staticmethod
    def client(client: InferenceClient, model: str) -> NativeRepairModel: ...
    def repair(self, original: str, hint: str) -> Coroutine[Any, Any, str]: ...
