"""Tools and the streaming call parser."""

from typing import Any, final

__all__ = ["NativeTool", "ParsedToolCall", "Provider", "ToolCallParser"]

@final
class NativeTool:
    """A tool written in Python, as the core runs it."""

    def __new__(
        cls,
        target: object,
        name: str,
        description: str,
        parameters: dict[str, Any],
        *,
        takes_context: bool,
        raw: bool,
        decode: object | None,
        timeout: float | None,
        retries: int,
        strict: bool,
        key: str,
    ) -> NativeTool:
        """`target` is a function, a class or an instance; `decode` turns the arguments dict into keyword
        arguments and may be `None`; with `raw`, the target gets the arguments as one dict."""
    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def parameters(self) -> dict[str, Any]: ...
    @property
    def timeout(self) -> float | None: ...
    @property
    def retries(self) -> int: ...

@final
class Provider:
    """Whose stream a parser reads."""

    def __new__(cls, name: str) -> Provider: ...
    @staticmethod
    def openai() -> Provider: ...
    @property
    def name(self) -> str: ...

@final
class ParsedToolCall:
    """A call that was read to its end."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def arguments_raw(self) -> str: ...
    def arguments(self) -> Any:
        """The arguments as Python values; empty text means `{}`."""

@final
class ToolCallParser:
    """Puts tool calls together from the deltas of a stream."""

    def __new__(cls, provider: Provider) -> ToolCallParser: ...
    def feed(self, delta: str | bytes | dict[str, Any]) -> None: ...
    def feed_sse(self, read: bytes) -> None:
        """Takes a raw read of the event stream, cut anywhere."""
    def finish(self) -> list[ParsedToolCall]: ...
