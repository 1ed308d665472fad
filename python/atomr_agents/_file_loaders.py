"""Loaders of files. `atomr_agents.ingest` shows them as its own."""

from __future__ import annotations

from ._loaders import Loader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike
    from typing import Literal, TypeAlias

    Paths: TypeAlias = "str | PathLike[str] | Iterable[str | PathLike[str]]"
    Errors: TypeAlias = Literal["strict", "replace"]

MAX_BYTES = 64 << 20


def _paths(paths: Paths) -> list[str]:
    import os

    from . import _checks

    if isinstance(paths, (str, os.PathLike)):
        return [os.fspath(paths)]
    found = list(paths)
    for path in found:
        if not isinstance(path, (str, os.PathLike)):  # pyright: ignore[reportUnnecessaryIsInstance]
            _checks.fail("paths", "a path or a list of them", path)
    return [os.fspath(path) for path in found]


def _text(encoding: str | None, errors: Errors, limit: int, limited: str = "max_bytes") -> tuple[str | None, bool, int]:
    from . import _checks

    _checks.optional(_checks.filled)("encoding", encoding)
    _checks.one_of("strict", "replace")("errors", errors)
    _checks.whole(1)(limited, limit)
    return encoding, errors == "replace", limit


class TextLoader(Loader):
    """Each file is a document, called as its path.

    Args:
        paths: One path or several.
        encoding: UTF-8 unless said otherwise; `"detect"` guesses. A byte order mark decides before all else.
        errors: "strict": a byte that is no text is an error that names it; "replace": it becomes U+FFFD.
        max_bytes: How large a file may be.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "a.txt")
        >>> _ = path.write_bytes("né".encode("latin-1"))
        >>> TextLoader(path, encoding="latin-1").load_sync()[0].text
        'né'
    """

    __slots__ = ()

    def __init__(
        self, paths: Paths, *, encoding: str | None = None, errors: Errors = "strict", max_bytes: int = MAX_BYTES
    ) -> None:
        from ._native.ingest import load_texts

        super().__init__("text", load_texts(_paths(paths), "text", *_text(encoding, errors, max_bytes)))


class MarkdownLoader(Loader):
    """As `TextLoader`; front matter (YAML between two lines of `---` at the top) is metadata, no part of the text."""

    __slots__ = ()

    def __init__(
        self, paths: Paths, *, encoding: str | None = None, errors: Errors = "strict", max_bytes: int = MAX_BYTES
    ) -> None:
        from ._native.ingest import load_texts

        super().__init__("markdown", load_texts(_paths(paths), "markdown", *_text(encoding, errors, max_bytes)))


class HtmlLoader(Loader):
    """Each page is a document: its text as Markdown would have it, with headings, items and paragraphs, without
    scripts, styles and comments. The metadata has its `title`."""

    __slots__ = ()

    def __init__(
        self, paths: Paths, *, encoding: str | None = None, errors: Errors = "strict", max_bytes: int = MAX_BYTES
    ) -> None:
        from ._native.ingest import load_texts

        super().__init__("html", load_texts(_paths(paths), "html", *_text(encoding, errors, max_bytes)))


class JsonLoader(Loader):
    """Each record of a JSON file is a document: those of an array, or the one value. A record that is a text is one
    without more.

    Args:
        paths: One path or several.
        records: Where the records stand, as a JSON pointer.
        text: Where in a record its text stands. One without is an error that names it.
        id: Where its id stands, a text or a whole number; a record without one is called after its place.
        metadata: Where an object stands with what is known about it, if there is one.
        encoding: As for `TextLoader`, and so `errors` and `max_bytes`.
        errors: What becomes of bytes that are no text.
        max_bytes: How large a file may be.
    """

    __slots__ = ()

    def __init__(
        self,
        paths: Paths,
        *,
        records: str = "",
        text: str = "/text",
        id: str = "/id",
        metadata: str = "/metadata",
        encoding: str | None = None,
        errors: Errors = "strict",
        max_bytes: int = MAX_BYTES,
    ) -> None:
        from . import _checks
        from ._native.ingest import load_json

        for name, value in {"records": records, "text": text, "id": id, "metadata": metadata}.items():
            _checks.text(name, value)
        decoding = _text(encoding, errors, max_bytes)
        super().__init__("json", load_json(_paths(paths), records, text, id, metadata, *decoding))


class JsonLinesLoader(Loader):
    """Each line of a file is a JSON record, and a document; see `JsonLoader`. A file may be larger than memory; a line
    that is wrong or too long loses no other one.

    Args:
        paths: One path or several, in UTF-8.
        text: Where in a record its text stands.
        id: Where its id stands.
        metadata: Where an object stands with what is known about it.
        max_line_bytes: How long a line may be.
    """

    __slots__ = ()

    def __init__(
        self,
        paths: Paths,
        *,
        text: str = "/text",
        id: str = "/id",
        metadata: str = "/metadata",
        max_line_bytes: int = 16 << 20,
    ) -> None:
        from . import _checks
        from ._native.ingest import load_json_lines

        for name, value in {"text": text, "id": id, "metadata": metadata}.items():
            _checks.text(name, value)
        _checks.whole(1)("max_line_bytes", max_line_bytes)
        super().__init__("json lines", load_json_lines(_paths(paths), text, id, metadata, max_line_bytes))


class CsvLoader(Loader):
    """Each row of a table is a document; its other columns are metadata. Fields in quotes may have separators, line
    ends and doubled quotes in them.

    The file is read row by row and may be larger than memory; `load` makes a list of all rows, a pipeline does not.
    Before the first row, all of it is looked at: a byte that is no text, a quote that is never closed, and a row that
    is too large are an error of the file.

    Args:
        paths: One path or several.
        text_column: The column with the text; without it the text is every column, as `name: value` in lines.
        id_column: The column with the id; without it a row is called after its number.
        separator: What separates fields; without it the one of comma, semicolon, tab and bar that the first row has
            most.
        quote: What quotes a field.
        header: The first row has the names of the columns; else they are "0", "1", …
        lenient: Takes rows that are shorter or longer than the first; else such a row is an error that names it and the
            column.
        encoding: As for `TextLoader`, and so `errors`.
        errors: What becomes of bytes that are no text.
        max_row_bytes: How large a row may be.
    """

    __slots__ = ()

    def __init__(
        self,
        paths: Paths,
        *,
        text_column: str | None = None,
        id_column: str | None = None,
        separator: str | None = None,
        quote: str = '"',
        header: bool = True,
        lenient: bool = False,
        encoding: str | None = None,
        errors: Errors = "strict",
        max_row_bytes: int = 16 << 20,
    ) -> None:
        from . import _checks
        from ._native.ingest import load_csv

        for name, value in {"text_column": text_column, "id_column": id_column, "separator": separator}.items():
            _checks.optional(_checks.text)(name, value)
        _checks.text("quote", quote)
        _checks.flag("header", header)
        _checks.flag("lenient", lenient)
        decoding = _text(encoding, errors, max_row_bytes, "max_row_bytes")
        native = load_csv(_paths(paths), text_column, id_column, separator, quote, header, lenient, *decoding)
        super().__init__("csv", native)


class PdfLoader(Loader):
    """Each PDF is a document, or each of its pages. A picture of a text is no text. A PDF that is broken or encrypted
    is an error.

    Args:
        paths: One path or several.
        by_page: A document for each page, `<path>#page=<n>`, with the number as `page` in its metadata.
        max_bytes: How large a file may be.
        max_unpacked: How large its packed parts, and its text, may become.
    """

    __slots__ = ()

    def __init__(
        self, paths: Paths, *, by_page: bool = False, max_bytes: int = MAX_BYTES, max_unpacked: int = MAX_BYTES
    ) -> None:
        from . import _checks
        from ._native.ingest import load_pdf

        _checks.flag("by_page", by_page)
        _checks.whole(1)("max_bytes", max_bytes)
        _checks.whole(1)("max_unpacked", max_unpacked)
        super().__init__("pdf", load_pdf(_paths(paths), by_page, max_bytes, max_unpacked))


class DocxLoader(Loader):
    """Each document of a word processor is a document: its paragraphs, headings as Markdown has them, the rows of its
    tables.

    Args:
        paths: One path or several.
        max_bytes: How large a file may be.
        max_unpacked: How large its text may be, unpacked.
        max_ratio: How many times larger it may be unpacked, from the first megabyte on.
    """

    __slots__ = ()

    def __init__(
        self, paths: Paths, *, max_bytes: int = MAX_BYTES, max_unpacked: int = MAX_BYTES, max_ratio: int = 200
    ) -> None:
        from . import _checks
        from ._native.ingest import load_docx

        for name, value in {"max_bytes": max_bytes, "max_unpacked": max_unpacked, "max_ratio": max_ratio}.items():
            _checks.whole(1)(name, value)
        super().__init__("docx", load_docx(_paths(paths), max_bytes, max_unpacked, max_ratio))


class DirectoryLoader(Loader):
    """The files below a directory whose paths fit, in the order of their names, each read as its name says: `.md`,
    `.html`, `.json`, `.jsonl`, `.csv`, `.pdf`, `.docx`, every other one as text. A document is called as its path below
    the directory.

    No link is followed and nothing outside is read. A file that vanishes or is changed while it is read is an error
    of its own.

    Args:
        root: The directory.
        include: Patterns for paths below it: `*` within a name, `**` across directories.
        exclude: Patterns of what is left out.
        hidden: Takes names that begin with a dot, too.
        encoding: As for `TextLoader`, and so `errors` and `max_bytes`.
        errors: What becomes of bytes that are no text.
        max_bytes: How large a file may be that is read whole, as all are but `.jsonl` and `.csv`.
    """

    __slots__ = ()

    def __init__(
        self,
        root: str | PathLike[str],
        include: str | Iterable[str] = "**",
        *,
        exclude: str | Iterable[str] = (),
        hidden: bool = False,
        encoding: str | None = None,
        errors: Errors = "strict",
        max_bytes: int = MAX_BYTES,
    ) -> None:
        from . import _checks
        from ._native.ingest import load_directory

        _checks.flag("hidden", hidden)
        read_as, replaced, limit = _text(encoding, errors, max_bytes)
        included, excluded = _texts("include", include), _texts("exclude", exclude)
        super().__init__("directory", load_directory(root, included, excluded, hidden, read_as, replaced, limit))


class HttpPolicy:
    """Which pages of the web may be fetched. Whatever a page is called and points to: never an address of this machine,
    of its networks, or of its provider's metadata. Names are looked at when the connection is made, so that one that
    points elsewhere by then is refused, too; redirects are looked at again.

    Args:
        hosts: Hosts that may be asked, and all below them; without them, all.
        allowed: IP addresses that may be asked although they would be refused.
        max_redirects: How often a page may point to another one.
        max_bytes: How large a page may be.
        timeout: How many seconds a page may take, its redirects included.
    """

    __slots__ = ("allowed", "hosts", "max_bytes", "max_redirects", "timeout")

    def __init__(
        self,
        *,
        hosts: Iterable[str] | None = None,
        allowed: Iterable[str] = (),
        max_redirects: int = 5,
        max_bytes: int = 16 << 20,
        timeout: float = 30.0,
    ) -> None:
        from . import _checks

        self.hosts = None if hosts is None else _texts("hosts", hosts)
        self.allowed = _texts("allowed", allowed)
        _checks.whole(0)("max_redirects", max_redirects)
        _checks.whole(1)("max_bytes", max_bytes)
        _checks.seconds("timeout", timeout)
        self.max_redirects, self.max_bytes, self.timeout = max_redirects, max_bytes, timeout


def _texts(name: str, given: str | Iterable[str]) -> list[str]:
    from . import _checks

    found = [given] if isinstance(given, str) else list(given)
    for text in found:
        _checks.text(name, text)
    return found


class WebLoader(Loader):
    """Each page is a document, called as its URL; HTML becomes text as with `HtmlLoader`. The metadata has `url`, where
    the page was at last, and its `title`.

    Args:
        urls: One URL or several.
        policy: Which pages may be fetched. All that are public, if none is given.
    """

    __slots__ = ()

    def __init__(self, urls: str | Iterable[str], *, policy: HttpPolicy | None = None) -> None:
        from . import _checks
        from ._native.ingest import load_web

        rules = HttpPolicy() if policy is None else policy
        if not isinstance(rules, HttpPolicy):  # pyright: ignore[reportUnnecessaryIsInstance]
            _checks.fail("policy", "an HttpPolicy", rules)
        limits = rules.max_redirects, rules.max_bytes, rules.timeout
        super().__init__("web", load_web(_texts("urls", urls), rules.hosts, rules.allowed, *limits))


def text_loader(paths: Paths) -> TextLoader:
    """As `TextLoader(paths)`, under an earlier name."""
    return TextLoader(paths)


def markdown_loader(paths: Paths) -> MarkdownLoader:
    """As `MarkdownLoader(paths)`, under an earlier name."""
    return MarkdownLoader(paths)


def json_loader(paths: Paths, pointer: str | None = None) -> JsonLoader:
    """As `JsonLoader(paths, records=pointer)`, under an earlier name."""
    return JsonLoader(paths, records=pointer or "")


def csv_loader(paths: Paths, text_field: str = "text") -> CsvLoader:
    """As `CsvLoader(paths, text_column=text_field)`, under an earlier name."""
    return CsvLoader(paths, text_column=text_field)
