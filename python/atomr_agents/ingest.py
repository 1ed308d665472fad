"""From files to pieces in an index: loaders and splitters.

| splitter | cuts |
|---|---|
| `RecursiveSplitter` | pieces of a size, at paragraphs, lines, sentences, words |
| `MarkdownHeaderSplitter` | the sections of Markdown |
| `CodeSplitter` | the functions and classes of a program |
| `TokenSplitter` | pieces of so many tokens |

| loader | loads |
|---|---|
| `TextLoader`, `MarkdownLoader`, `HtmlLoader` | a document for each file |
| `JsonLoader`, `JsonLinesLoader`, `CsvLoader` | one for each record |
| `PdfLoader`, `DocxLoader` | one for each file, or for each page |
| `WebLoader` | one for each page, within an `HttpPolicy` |
| `DirectoryLoader` | all of these below a directory |

Example:
    >>> from atomr_agents import Document
    >>> pieces = RecursiveSplitter(12).split(Document("song", "Rain in Oslo.\\n\\nWind."))
    >>> pieces[1].id, pieces[1].text, pieces[1].span.chars
    ('song#1', 'Oslo.\\n\\nWind.', (8, 20))
"""

from __future__ import annotations

from ._file_loaders import (
    CsvLoader,
    DirectoryLoader,
    DocxLoader,
    HtmlLoader,
    HttpPolicy,
    JsonLinesLoader,
    JsonLoader,
    MarkdownLoader,
    PdfLoader,
    TextLoader,
    WebLoader,
    csv_loader,
    json_loader,
    markdown_loader,
    text_loader,
)
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
    "CsvLoader",
    "DirectoryLoader",
    "Document",
    "DocxLoader",
    "HtmlLoader",
    "HttpPolicy",
    "JsonLinesLoader",
    "JsonLoader",
    "LoadError",
    "Loader",
    "MarkdownHeaderSplitter",
    "MarkdownLoader",
    "PdfLoader",
    "RecursiveSplitter",
    "Span",
    "Splitter",
    "TextLoader",
    "TokenSplitter",
    "WebLoader",
    "code_splitter",
    "csv_loader",
    "json_loader",
    "loader",
    "loader_from_factory",
    "loader_of",
    "markdown_header_splitter",
    "markdown_loader",
    "recursive_character_splitter",
    "splitter",
    "splitter_from_factory",
    "splitter_of",
    "text_loader",
    "token_splitter",
]
