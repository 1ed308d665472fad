"""Parsers that wait for somebody: for a model that repairs, or for code of yours. `atomr_agents.parser` shows them."""

from __future__ import annotations

from ._light import Generic, TypeVar, overload
from ._parsers import Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine
    from collections.abc import Callable as Function
    from typing import Any, Protocol, TypeAlias

    from ._native.parser import NativeAsyncParser, NativeRepairModel
    from .callable_ import Callable

    class HasRepair(Protocol):
        """An object that repairs."""

        def repair(self, original: str, hint: str, /) -> str | Awaitable[str]: ...

    class HasParse(Protocol):
        """An object that reads."""

        def parse(self, text: str, /) -> Any: ...

    OwnParser: TypeAlias = "HasParse | Function[[str], Any]"
    AnyParser: TypeAlias = "Parser[Any] | AsyncParser[Any] | OwnParser"
    AnyRepair: TypeAlias = "RepairModel | HasRepair | Function[[str, str], str | Awaitable[str]] | str | object"

T = TypeVar("T")


class AsyncParser(Generic[T]):
    """A parser that may wait. `parser_from_factory` and the parsers that repair give one."""

    __slots__ = ("_inner", "label", "native")

    def __init__(self, label: str, native: NativeAsyncParser, inner: Parser[T] | AsyncParser[T] | None = None) -> None:
        self.label = label
        """Its name, in errors."""
        self.native = native
        self._inner = inner

    def parse(self, text: str) -> Coroutine[Any, Any, T]:
        """Reads a text; await what comes back. Raises `ParserError` with what is wrong, and where."""
        inner = self._inner
        return self.native.parse(text) if inner is None else self._decoded(text, inner)

    async def _decoded(self, text: str, inner: Parser[T] | AsyncParser[T]) -> T:
        return inner.decoded(await self.native.parse(text))

    def parse_sync(self, text: str) -> T:
        """Reads a text and waits, where no event loop runs."""
        from ._sync import run

        return run(lambda: self.parse(text), "parse_sync()", "await parse(...)")

    def format_instructions(self) -> str:
        """How a model is told what to write, for a prompt."""
        return self.native.format_instructions()

    def as_callable(self, label: str | None = None) -> Callable:
        """A step that takes a text and gives the JSON value. Where a step is wanted, the parser itself will do."""
        from .callable_ import Callable

        return Callable(self.native.step(label or self.label))

    def waiting(self) -> NativeAsyncParser:
        """The same for parsers that have it repaired."""
        return self.native

    def decoded(self, value: Any) -> T:
        """The value of what the core read."""
        return value if self._inner is None else self._inner.decoded(value)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.label}>"


class RepairModel:
    """What repairs a text that no parser could read.

    Example:
        >>> from atomr_agents.testkit import ScriptedModel
        >>> repair = RepairModel.of(ScriptedModel().text("[1, 2]"))
        >>> repair.repair_sync("[1, 2", "the list is not closed")
        '[1, 2]'
    """

    __slots__ = ("label", "native")

    def __init__(self, label: str, native: NativeRepairModel) -> None:
        self.label = label
        """Its name, in errors."""
        self.native = native

    @staticmethod
    def of(target: AnyRepair) -> RepairModel:
        """What repairs with it: the name of a model (`"openai:gpt-4o-mini"`), a client, a function of the text and of a
        hint at what is wrong, plain or async, or an object with such a `repair`."""
        from ._guests import instance_of, name_of, registered
        from ._native.agent import InferenceClient
        from ._native.parser import NativeRepairModel

        if isinstance(target, RepairModel):
            return target
        if isinstance(target, (str, InferenceClient)) or callable(getattr(target, "client", None)):
            from ._model import resolve

            client, name = resolve(target, None, {})
            return RepairModel(name, NativeRepairModel.client(client, name))
        key, found = registered("repair_model", target) or (name_of(target), instance_of("repair_model", target))
        return RepairModel(key, NativeRepairModel.guest(found, key))

    def repair(self, original: str, hint: str) -> Coroutine[Any, Any, str]:
        """The repaired text; await what comes back."""
        return self.native.repair(original, hint)

    def repair_sync(self, original: str, hint: str) -> str:
        """The repaired text, where no event loop runs."""
        from ._sync import run

        return run(lambda: self.repair(original, hint), "repair_sync()", "await repair(...)")

    def __repr__(self) -> str:
        return f"<RepairModel {self.label}>"


class OutputFixingParser(AsyncParser[T]):
    """Reads a text with another parser; what that cannot read is repaired by a model, and read again.

    Each repair that is paid for is read: the model is asked at most `max_attempts` times, and the parser reads one
    text more than that.

    Args:
        inner: A parser, or an object with `parse`, or a function; for a wrong text it raises a `ValueError`.
        repair: What repairs; see `RepairModel.of`.
        max_attempts: How often it may be asked; with 0 it never is.

    Example:
        >>> from atomr_agents.parser import JsonParser
        >>> from atomr_agents.testkit import ScriptedModel
        >>> parser = OutputFixingParser(JsonParser(), ScriptedModel().text('{"rain": true}'))
        >>> parser.parse_sync("{'rain': True}")
        {'rain': True}
    """

    __slots__ = ()

    @overload
    def __init__(self, inner: Parser[T] | AsyncParser[T], repair: AnyRepair, *, max_attempts: int = 3) -> None: ...
    @overload
    def __init__(
        self: OutputFixingParser[Any], inner: OwnParser, repair: AnyRepair, *, max_attempts: int = 3
    ) -> None: ...
    def __init__(self, inner: AnyParser, repair: AnyRepair, *, max_attempts: int = 3) -> None:
        from . import _checks
        from ._native.parser import NativeAsyncParser

        _checks.whole(0)("max_attempts", max_attempts)
        parser = parser_of(inner)
        native = NativeAsyncParser.fixing(parser.waiting(), RepairModel.of(repair).native, max_attempts)
        super().__init__(parser.label, native, parser)


class RetryWithErrorParser(AsyncParser[T]):
    """As `OutputFixingParser`, and the model is shown the prompt that was answered, too: it can write what is missing.

    Example:
        >>> from atomr_agents.parser import EnumParser
        >>> from atomr_agents.testkit import ScriptedModel
        >>> answer = EnumParser(["yes", "no"])
        >>> parser = RetryWithErrorParser(answer, ScriptedModel().text("no"), "Does it rain in the Sahara?")
        >>> parser.parse_sync("Hardly ever.")
        'no'
    """

    __slots__ = ()

    @overload
    def __init__(
        self, inner: Parser[T] | AsyncParser[T], repair: AnyRepair, prompt: str, *, max_attempts: int = 3
    ) -> None: ...
    @overload
    def __init__(
        self: RetryWithErrorParser[Any], inner: OwnParser, repair: AnyRepair, prompt: str, *, max_attempts: int = 3
    ) -> None: ...
    def __init__(self, inner: AnyParser, repair: AnyRepair, prompt: str, *, max_attempts: int = 3) -> None:
        from . import _checks
        from ._native.parser import NativeAsyncParser

        _checks.text("prompt", prompt)
        _checks.whole(0)("max_attempts", max_attempts)
        parser = parser_of(inner)
        model = RepairModel.of(repair).native
        native = NativeAsyncParser.retrying(parser.waiting(), model, prompt, max_attempts)
        super().__init__(parser.label, native, parser)


def parser_of(target: AnyParser) -> Parser[Any] | AsyncParser[Any]:
    """A parser as it is; code of the user's as one."""
    if isinstance(target, (Parser, AsyncParser)):
        return target  # pyright: ignore[reportUnknownVariableType]
    from ._guests import instance_of, name_of, registered
    from ._native.parser import NativeAsyncParser

    key, found = registered("parser", target) or (name_of(target), instance_of("parser", target))
    return AsyncParser(key, NativeAsyncParser.guest(found, key))


def parser_from_factory(key: str) -> AsyncParser[Any]:
    """The parser that was registered with `@parser` under this key; a KeyError lists what there is."""
    from ._native.guest import target
    from ._native.parser import NativeAsyncParser

    found = target("parser", key)
    return AsyncParser(key, NativeAsyncParser.guest(found, key))


def repair_model_from_factory(key: str) -> RepairModel:
    """What was registered with `@repair_model` under this key; a KeyError lists what there is."""
    from ._native.guest import target
    from ._native.parser import NativeRepairModel

    found = target("repair_model", key)
    return RepairModel(key, NativeRepairModel.guest(found, key))
