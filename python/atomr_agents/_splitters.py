"""Splitters. `atomr_agents.ingest` shows them as its own."""

from __future__ import annotations

import enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine, Iterable, Sequence
    from collections.abc import Callable as Function
    from typing import Any, Protocol, TypeAlias

    from ._native.core import Document
    from ._native.ingest import NativeAsyncSplitter, NativeSplitter

    class HasSplit(Protocol):
        """An object that cuts documents."""

        def split(self, document: Document, /) -> Sequence[Document] | Awaitable[Sequence[Document]]: ...

    OwnSplitter: TypeAlias = "HasSplit | Function[[Document], Sequence[Document] | Awaitable[Sequence[Document]]]"
    AnySplitter: TypeAlias = "Splitter | AsyncSplitter | OwnSplitter | type[HasSplit]"


class Splitter:
    """Cuts documents into pieces. Made by its subclasses; it has no state, and may be used by several threads at once.

    Every piece is a slice of the text. Its `span` says which, in bytes and in characters; its `id` is `<source>#<n>`,
    counted from 0; it has the metadata of its source. The pieces cover the text: joined by their spans they are the
    source again, white space included. No piece is cut inside of what a reader sees as one character. An empty text
    has none.
    """

    __slots__ = ("native",)

    def __init__(self, native: NativeSplitter) -> None:
        self.native = native

    def split(self, document: Document) -> list[Document]:
        """The pieces of a document. Other threads run in the meantime."""
        return self.native.split(document)

    def split_all(self, documents: Iterable[Document]) -> list[Document]:
        """The pieces of all documents, in their order."""
        return [piece for document in documents for piece in self.native.split(document)]

    def split_text(self, text: str) -> list[str]:
        """The pieces of a text."""
        return self.native.split_text(text)

    def then(self, other: Splitter) -> Splitter:
        """This splitter, and then another one for each of its pieces; the spans are those in the first source.

        Example:
            >>> from atomr_agents import Document
            >>> splitter = MarkdownHeaderSplitter().then(RecursiveSplitter(10))
            >>> [piece.text for piece in splitter.split(Document("a", "# Rain\\nOften.\\n# Wind\\n"))]
            ['# Rain\\n', 'Often.\\n', '# Wind\\n']
        """
        return Splitter(self.native.then(other.native))

    def waiting(self) -> NativeAsyncSplitter:
        """The same where one may have to be waited for."""
        return self.native.waiting()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def _sizes(chunk_size: int | None, overlap: int, model: str | None = None) -> None:
    from . import _checks

    _checks.optional(_checks.whole(1))("chunk_size", chunk_size)
    _checks.whole(0)("overlap", overlap)
    _checks.optional(_checks.filled)("model", model)


class RecursiveSplitter(Splitter):
    """Pieces of at most `chunk_size`, cut behind the last paragraph that has room, else the last line, the last
    sentence, the last word, else between two characters. What separates stays with the piece before it.

    Args:
        chunk_size: How long a piece may be.
        overlap: How much two neighbours share at most; it counts in the size of both.
        separators: Behind what to cut, the best first.
        model: Counts in tokens of this model (exactly for OpenAI's, from above for others), not in characters.

    Example:
        >>> RecursiveSplitter(10, 4).split_text("one two three four")
        ['one two ', 'two three ', 'four']
    """

    __slots__ = ()

    def __init__(
        self,
        chunk_size: int = 1_000,
        overlap: int = 0,
        *,
        separators: Sequence[str] | None = None,
        model: str | None = None,
    ) -> None:
        from . import _checks
        from ._native.ingest import NativeSplitter

        _sizes(chunk_size, overlap, model)
        if separators is not None:
            separators = list(_checks.items("separators", "a list of texts", separators))
            for separator in separators:
                _checks.text("separators", separator)
        super().__init__(NativeSplitter.recursive(chunk_size, overlap, separators, model))


class MarkdownHeaderSplitter(Splitter):
    """The sections of Markdown, each from its heading to the next one. What looks like a heading in a fence, in code, a
    quote, a list or a comment is none; underlined headings are.

    The metadata has the headings above a section, as `h1` to `h6`, and their path as the list `headings`. A heading
    with nothing below it but a deeper one stands with that one.

    Args:
        levels: Before headings of which levels to cut.
        chunk_size: Cuts sections that are longer, as `RecursiveSplitter` does.
        overlap: How much two pieces of one section share at most.
        model: Counts in tokens of this model, not in characters.

    Example:
        >>> from atomr_agents import Document
        >>> pieces = MarkdownHeaderSplitter().split(Document("a", "# Oslo\\n\\n## Rain\\nOften.\\n## Wind\\nNo.\\n"))
        >>> [piece.metadata["headings"] for piece in pieces]
        [['Oslo', 'Rain'], ['Oslo', 'Wind']]
    """

    __slots__ = ()

    def __init__(
        self,
        levels: Iterable[int] = (1, 2, 3, 4, 5, 6),
        *,
        chunk_size: int | None = None,
        overlap: int = 0,
        model: str | None = None,
    ) -> None:
        from . import _checks
        from ._native.ingest import NativeSplitter

        _sizes(chunk_size, overlap, model)
        chosen = list(levels)
        for level in chosen:
            _checks.whole(1)("levels", level)
            if level > 6:
                _checks.fail("levels", "numbers from 1 to 6", level)
        super().__init__(NativeSplitter.markdown_header(chosen, chunk_size, overlap, model))


class CodeLang(enum.Enum):
    """A programming language that `CodeSplitter` reads."""

    C = "c"
    Cpp = "cpp"
    Go = "go"
    Java = "java"
    JavaScript = "javascript"
    Js = "javascript"  # noqa: PIE796  # an earlier name
    Python = "python"
    Rust = "rust"
    TypeScript = "typescript"


class CodeSplitter(Splitter):
    """Pieces of a program: whole functions, classes and other items as long as they have room, else their members, then
    statements, lines, words. Comments, attributes and decorators stay with the item below them; small neighbours share
    a piece. A program that is broken is cut as far as it can be read.

    The metadata has `language`.

    Args:
        language: A `CodeLang`, its name, or the ending of a file (`"py"`, `".tsx"`).
        chunk_size: How many characters a piece may have.
        overlap: How many of them two neighbours share at most.

    Example:
        >>> source = "@cached\\nasync def rain():\\n    return 1\\n\\n\\ndef wind():\\n    return 2\\n"
        >>> CodeSplitter("python", 50).split_text(source)
        ['@cached\\nasync def rain():\\n    return 1\\n\\n\\n', 'def wind():\\n    return 2\\n']
    """

    __slots__ = ("language",)

    def __init__(self, language: CodeLang | str, chunk_size: int = 1_500, overlap: int = 0) -> None:
        from . import _checks
        from ._native.ingest import NativeSplitter, code_language

        _sizes(chunk_size, overlap)
        name = language.value if isinstance(language, CodeLang) else language
        _checks.text("language", name)
        self.language = code_language(name)
        """Its name."""
        super().__init__(NativeSplitter.code(name, chunk_size, overlap))


class TokenSplitter(Splitter):
    """Pieces of at most `chunk_size` tokens, as full as can be. A piece begins with the space before its first word;
    white space is kept as it is. Each piece is counted as a text of its own.

    Args:
        chunk_size: How many tokens a piece may have.
        overlap: How many of them two neighbours share at most.
        model: Whose tokens: counted exactly for OpenAI's models, from above for others.

    Example:
        >>> TokenSplitter(4, 1).split_text("one two  three four five six")
        ['one two  three', ' three four five six']
    """

    __slots__ = ()

    def __init__(self, chunk_size: int = 256, overlap: int = 0, *, model: str = "gpt-4o") -> None:
        from . import _checks
        from ._native.ingest import NativeSplitter

        _sizes(chunk_size, overlap)
        _checks.filled("model", model)
        super().__init__(NativeSplitter.token(chunk_size, overlap, model))


class AsyncSplitter:
    """A splitter that may have to wait for somebody. `splitter_from_factory` gives one."""

    __slots__ = ("label", "native")

    def __init__(self, label: str, native: NativeAsyncSplitter) -> None:
        self.label = label
        """Its name, in errors."""
        self.native = native

    def split(self, document: Document) -> Coroutine[Any, Any, list[Document]]:
        """The pieces of a document; await what comes back."""
        return self.native.split(document)

    async def split_all(self, documents: Iterable[Document]) -> list[Document]:
        """The pieces of all documents, in their order."""
        return [piece for document in documents for piece in await self.native.split(document)]

    def split_sync(self, document: Document) -> list[Document]:
        """The pieces of a document, where no event loop runs."""
        from ._sync import run

        return run(lambda: self.split(document), "split_sync()", "await split(...)")

    def waiting(self) -> NativeAsyncSplitter:
        """What cuts."""
        return self.native

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.label}>"


def splitter_of(target: AnySplitter) -> Splitter | AsyncSplitter:
    """A splitter as it is; code of the user's as one."""
    if isinstance(target, (Splitter, AsyncSplitter)):
        return target
    from ._guests import instance_of, name_of, registered
    from ._native.ingest import NativeAsyncSplitter

    key, found = registered("splitter", target) or (name_of(target), instance_of("splitter", target))
    return AsyncSplitter(key, NativeAsyncSplitter.guest(found, key))


def splitter_from_factory(key: str) -> AsyncSplitter:
    """The splitter that was registered with `@splitter` under this key; a KeyError lists what there is."""
    from ._native.guest import target
    from ._native.ingest import NativeAsyncSplitter

    return AsyncSplitter(key, NativeAsyncSplitter.guest(target("splitter", key), key))


def recursive_character_splitter(chunk_size: int, overlap: int) -> RecursiveSplitter:
    """As `RecursiveSplitter(chunk_size, overlap)`, under an earlier name."""
    return RecursiveSplitter(chunk_size, overlap)


def markdown_header_splitter() -> MarkdownHeaderSplitter:
    """As `MarkdownHeaderSplitter()`, under an earlier name."""
    return MarkdownHeaderSplitter()


def code_splitter(lang: CodeLang | str) -> CodeSplitter:
    """As `CodeSplitter(lang)`, under an earlier name."""
    return CodeSplitter(lang)


def token_splitter(chunk_size: int, overlap: int) -> TokenSplitter:
    """As `TokenSplitter(chunk_size, overlap)`, under an earlier name."""
    return TokenSplitter(chunk_size, overlap)
