"""Parsers that read by themselves. `atomr_agents.parser` shows them as its own."""

from __future__ import annotations

from ._light import Generic, TypeVar
from .errors import InvalidOutputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ._native.parser import NativeAsyncParser, NativeParser
    from .callable_ import Callable

T = TypeVar("T")


class ParserError(InvalidOutputError):
    """A text is not what was asked for. A parser of yours raises it, or any other `ValueError`, for the same reason.

    Example:
        >>> from atomr_agents.parser import JsonSchemaParser
        >>> parser = JsonSchemaParser({"properties": {"days": {"type": "integer"}}})
        >>> try:
        ...     parser.parse('{"days": "three"}')
        ... except ParserError as error:
        ...     print(error.parser, error.pointer, error.offset)
        json_schema /days None
    """

    __module__ = "atomr_agents.parser"
    parser: str
    """Which parser found it."""
    offset: int | None
    """Where in the text, in bytes of UTF-8, if it is one place there."""
    pointer: str | None
    """Where in the value that the text says, as a JSON pointer, if it is one place there; empty for the whole of it."""
    context: str
    """At most 200 characters of the text around it."""

    def __init__(
        self,
        message: str = "",
        *,
        parser: str = "",
        offset: int | None = None,
        pointer: str | None = None,
        context: str = "",
    ) -> None:
        super().__init__(message)
        self.parser = parser
        self.offset = offset
        self.pointer = pointer
        self.context = context


class Parser(Generic[T]):
    """Reads what a model wrote. Made by its subclasses; it has no state, and may be used by several threads at once."""

    __slots__ = ("label", "native")

    def __init__(self, label: str, native: NativeParser) -> None:
        self.label = label
        """Its name, in errors."""
        self.native = native

    def parse(self, text: str) -> T:
        """The value that the text says; raises `ParserError` with what is wrong, and where."""
        return self.native.parse(text)  # type: ignore[no-any-return]

    def format_instructions(self) -> str:
        """How a model is told what to write, for a prompt."""
        return self.native.format_instructions()

    def as_callable(self, label: str | None = None) -> Callable:
        """A step that takes a text and gives the value. Where a step is wanted, the parser itself will do."""
        from .callable_ import Callable

        return Callable(self.native.step(label or self.label))

    def waiting(self) -> NativeAsyncParser:
        """The same for parsers that have it repaired."""
        return self.native.waiting()

    def decoded(self, value: Any) -> T:
        """The value of what the core read."""
        return value  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class JsonParser(Parser["Any"]):
    """Reads JSON: the whole text, else what stands in a code fence, else the first object or array between words.

    Integers beyond 64 bits are refused, not rounded.

    Example:
        >>> JsonParser().parse('I think it is {"rain": true}. Anything else?')
        {'rain': True}
    """

    __slots__ = ()

    def __init__(self) -> None:
        from ._native.parser import NativeParser

        super().__init__("json", NativeParser.json())


class JsonSchemaParser(Parser["Any"]):
    """Reads JSON as `JsonParser` does, and validates all of it against a JSON Schema.

    Of several values in a text, the one is meant that is valid. The error names up to ten faults, each with its place.
    What a `$ref` points to must be in the schema itself.

    Raises:
        ConfigError: the schema is none.

    Example:
        >>> parser = JsonSchemaParser({"type": "object", "required": ["city"]})
        >>> parser.parse('As in [1]: {"city": "Oslo"}')
        {'city': 'Oslo'}
    """

    __slots__ = ()

    def __init__(self, schema: dict[str, Any] | bool) -> None:
        from ._native.parser import NativeParser

        super().__init__("json_schema", NativeParser.json_schema(schema))


class SchemaParser(Parser[T]):
    """Reads JSON as a Python type: a dataclass, a TypedDict, a pydantic or msgspec model, an enum, a list of these, …

    The schema is that of typed outputs of agents; what the type itself checks beyond it is checked, too. As a step it
    gives the JSON value, not the object.

    Raises:
        SchemaError: no schema can be made from the type.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass
        ... class Forecast:
        ...     city: str
        ...     days: int
        >>> SchemaParser(Forecast).parse('Sure: {"city": "Oslo", "days": 3}')
        Forecast(city='Oslo', days=3)
    """

    __slots__ = ("_decode", "schema")

    def __init__(self, output_type: type[T]) -> None:
        from ._native.parser import NativeParser
        from ._schema import schema_of

        self.schema, self._decode = schema_of(output_type)
        super().__init__("schema", NativeParser.json_schema(self.schema))

    def parse(self, text: str) -> T:
        """The value of the type; raises `ParserError` with what is wrong, and where."""
        return self._checked(self.native.parse(text), text)

    def decoded(self, value: Any) -> T:
        """The value of the type of what the core read."""
        return self._checked(value, "")

    def _checked(self, value: Any, text: str) -> T:
        from .errors import ArgumentError

        try:
            return self._decode(value)  # type: ignore[no-any-return]
        except ArgumentError as error:
            context = text if len(text) <= 200 else f"{text[:199]}…"
            raise ParserError(f"schema: {error}", parser="schema", context=context) from error

    def as_callable(self, label: str | None = None) -> Callable:
        """A step that takes a text and gives the JSON value, which is one of the type."""
        from .callable_ import Callable

        return Callable.from_callable(Reading(self).invoke, label or self.label)

    def waiting(self) -> NativeAsyncParser:
        """The same for parsers that have it repaired: what the type refuses is repaired, too."""
        from ._native.parser import NativeAsyncParser

        return NativeAsyncParser.guest(Reading(self), self.label)


class Reading:
    """What the core calls of a parser for a type: the JSON value, if it is one of the type."""

    __slots__ = ("_parser",)
    __atomr_inline__ = True

    def __init__(self, parser: SchemaParser[Any]) -> None:
        self._parser = parser

    def parse(self, text: str) -> Any:
        """The JSON value in the text."""
        value: Any = self._parser.native.parse(text)
        self._parser.decoded(value)
        return value

    invoke = parse

    def format_instructions(self) -> str:
        """As the parser says."""
        return self._parser.format_instructions()


class EnumParser(Parser[str]):
    """Reads one of a few values: exactly, else without regard to case, quotes and punctuation around it, else the
    only one of them that stands as a word in the text.

    Raises:
        ConfigError: there is no value, an empty one, or one that is there twice.

    Example:
        >>> mood = EnumParser(["positive", "negative", "very negative"])
        >>> mood.parse('"Positive."'), mood.parse("The review is very negative, I would say.")
        ('positive', 'very negative')
    """

    __slots__ = ()

    def __init__(self, values: Iterable[str]) -> None:
        from . import _checks
        from ._native.parser import NativeParser

        if isinstance(values, str):
            _checks.fail("values", "a list of texts", values)
        all_of_them = list(values)
        for value in all_of_them:
            _checks.text("values", value)
        super().__init__("enum", NativeParser.choice(all_of_them))


class CommaListParser(Parser["list[str]"]):
    r"""Reads a list between commas. White space around an item is dropped; an item in double quotes may have commas,
    line ends and doubled quotes in it, as in CSV. A backslash takes the meaning from a quote, a comma or a backslash.
    A line end separates as a comma does. Where nothing stands between two commas, there is no item; `""` is an empty
    one.

    Example:
        >>> CommaListParser().parse('rain, "wind, strong", "a ""sun"" or so"')
        ['rain', 'wind, strong', 'a "sun" or so']
    """

    __slots__ = ()

    def __init__(self) -> None:
        from ._native.parser import NativeParser

        super().__init__("comma_list", NativeParser.comma_list())


class XmlParser(Parser["dict[str, Any]"]):
    """Reads an XML element: the whole text, or the first element between words or in a code fence.

    An element that begins and is no XML further on is an error, and no part of it is taken for the answer.

    An element is its text, without white space around it. One with attributes or elements inside is a dict: attributes
    as `@name`, elements by their name, those that repeat as a list, text beside them as `#text`. A `DOCTYPE` and
    entities other than the five of XML are refused: nothing can grow, and nothing is read from elsewhere.

    Args:
        element: Reads only the first element of this name, wherever it stands.
        max_depth: How many elements may lie in each other, at most 512.
        max_bytes: How long a text may be.

    Example:
        >>> XmlParser().parse('Here: <day n="1"><rain>yes</rain><wind>5</wind><wind>7</wind></day>')
        {'day': {'@n': '1', 'rain': 'yes', 'wind': ['5', '7']}}
    """

    __slots__ = ()

    def __init__(self, element: str | None = None, *, max_depth: int = 64, max_bytes: int = 1 << 20) -> None:
        from . import _checks
        from ._native.parser import NativeParser

        _checks.optional(_checks.filled)("element", element)
        _checks.every(
            {"max_depth": _checks.whole(1), "max_bytes": _checks.whole(1)},
            {"max_depth": max_depth, "max_bytes": max_bytes},
        )
        super().__init__("xml", NativeParser.xml(element, max_depth, max_bytes))


class YamlParser(Parser["Any"]):
    """Reads one YAML document: the first code fence of the text, or the whole text where it has none.

    Values are what YAML 1.2 says; `no` and `on` are text. A key that is there twice, an integer beyond 64 bits,
    infinities and NaN are refused. A text is at most 1 MiB, 64 levels deep, and has at most 100,000 values, those
    that aliases repeat included.

    Example:
        >>> YamlParser().parse("city: Oslo\\ndays: [{rain: true, wind: 5.5}, null]")
        {'city': 'Oslo', 'days': [{'rain': True, 'wind': 5.5}, None]}
    """

    __slots__ = ()

    def __init__(self) -> None:
        from ._native.parser import NativeParser

        super().__init__("yaml", NativeParser.yaml())
