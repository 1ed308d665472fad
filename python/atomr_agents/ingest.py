"""From texts to pieces in an index: splitters.

| splitter | cuts |
|---|---|
| `RecursiveSplitter` | pieces of a size, at paragraphs, lines, sentences, words |
| `MarkdownHeaderSplitter` | the sections of Markdown |
| `CodeSplitter` | the functions and classes of a program |
| `TokenSplitter` | pieces of so many tokens |

Example:
    >>> from atomr_agents import Document
    >>> pieces = RecursiveSplitter(12).split(Document("song", "Rain in Oslo.\\n\\nWind."))
    >>> pieces[1].id, pieces[1].text, pieces[1].span.chars
    ('song#1', 'Oslo.\\n\\nWind.', (8, 20))
"""

from __future__ import annotations

from ._loaders import Loader, LoadError, loader_from_factory, loader_of
from ._native.core import Document, Span
from ._splitters import (
    AsyncSplitter,
    CodeLang,
    CodeSplitter,
    MarkdownHeaderSplitter,
    RecursiveSplitter,
    Splitter,
    TokenSplitter,
    code_splitter,
    markdown_header_splitter,
    recursive_character_splitter,
    splitter_from_factory,
    splitter_of,
    token_splitter,
)
from .guest import loader, splitter

__all__ = [
    "AsyncSplitter",
    "CodeLang",
    "CodeSplitter",
    "Document",
    "LoadError",
    "Loader",
    "MarkdownHeaderSplitter",
    "RecursiveSplitter",
    "Span",
    "Splitter",
    "TokenSplitter",
    "code_splitter",
    "loader",
    "loader_from_factory",
    "loader_of",
    "markdown_header_splitter",
    "recursive_character_splitter",
    "splitter",
    "splitter_from_factory",
    "splitter_of",
    "token_splitter",
]
