"""What loads documents and cuts them."""

from collections.abc import Coroutine, Sequence
from os import PathLike
from typing import Any, final

from .core import Document
from .embed import NativeEmbedder

__all__ = [
    "NativeAsyncSplitter",
    "NativeKvCache",
    "NativeLoader",
    "NativePipeline",
    "NativeSplitter",
    "cached",
    "code_language",
    "load_csv",
    "load_directory",
    "load_docx",
    "load_json",
    "load_json_lines",
    "load_pdf",
    "load_texts",
    "load_web",
]

@final
class NativeLoader:
    """What loads documents."""

    @staticmethod
    def guest(target: object, key: str) -> NativeLoader: ...
    @staticmethod
    def documents(documents: list[Document]) -> NativeLoader: ...
    @staticmethod
    def several(loaders: list[NativeLoader]) -> NativeLoader: ...
    def load(self) -> Coroutine[Any, Any, tuple[list[Document], list[tuple[str | None, Exception]]]]: ...

@final
class NativeKvCache:
    """What keeps vectors."""

    @staticmethod
    def memory(most: int) -> NativeKvCache: ...
    @staticmethod
    def store(store: object) -> NativeKvCache: ...
    @staticmethod
    def guest(target: object, key: str) -> NativeKvCache: ...
    def get(self, key: str) -> Coroutine[Any, Any, list[float] | None]: ...
    def put(self, key: str, vector: list[float]) -> Coroutine[Any, Any, None]: ...

@final
class NativePipeline:
    """From a loader to an index."""

    def __new__(cls, parts: object) -> NativePipeline: ...
    def run(
        self, progress: object | None
    ) -> Coroutine[Any, Any, tuple[dict[str, int], list[tuple[str | None, Exception]]]]: ...

@final
class NativeSplitter:
    """A splitter that cuts by itself."""

    @staticmethod
    def recursive(chunk_size: int, overlap: int, separators: list[str] | None, model: str | None) -> NativeSplitter: ...
    @staticmethod
    def markdown_header(
        levels: list[int], chunk_size: int | None, overlap: int, model: str | None
    ) -> NativeSplitter: ...
    @staticmethod
    def code(language: str, chunk_size: int, overlap: int) -> NativeSplitter: ...
    @staticmethod
    def token(chunk_size: int, overlap: int, model: str) -> NativeSplitter: ...
    def then(self, other: NativeSplitter) -> NativeSplitter: ...
    def split(self, document: Document) -> list[Document]: ...
    def split_text(self, text: str) -> list[str]: ...
    def waiting(self) -> NativeAsyncSplitter: ...

@final
class NativeAsyncSplitter:
    """A splitter that may wait."""

    @staticmethod
    def guest(target: object, key: str) -> NativeAsyncSplitter: ...
    @staticmethod
    def semantic(
        embedder: NativeEmbedder, threshold: float | None, percentile: float, max_chars: int, batch: int
    ) -> NativeAsyncSplitter: ...
    def split(self, document: Document) -> Coroutine[Any, Any, list[Document]]: ...

def cached(embedder: NativeEmbedder, cache: NativeKvCache) -> NativeEmbedder: ...
def code_language(name: str) -> str: ...
def load_texts(
    paths: Sequence[str | PathLike[str]], format: str, encoding: str | None, replace: bool, max_bytes: int
) -> NativeLoader: ...
def load_json(
    paths: Sequence[str | PathLike[str]],
    records: str,
    text_at: str,
    id_at: str,
    metadata_at: str,
    encoding: str | None,
    replace: bool,
    max_bytes: int,
) -> NativeLoader: ...
def load_json_lines(
    paths: Sequence[str | PathLike[str]], text_at: str, id_at: str, metadata_at: str, max_line_bytes: int
) -> NativeLoader: ...
def load_csv(
    paths: Sequence[str | PathLike[str]],
    text_column: str | None,
    id_column: str | None,
    separator: str | None,
    quote: str,
    header: bool,
    lenient: bool,
    encoding: str | None,
    replace: bool,
    max_row_bytes: int,
) -> NativeLoader: ...
def load_pdf(
    paths: Sequence[str | PathLike[str]], by_page: bool, max_bytes: int, max_unpacked: int
) -> NativeLoader: ...
def load_docx(
    paths: Sequence[str | PathLike[str]], max_bytes: int, max_unpacked: int, max_ratio: int
) -> NativeLoader: ...
def load_directory(
    root: str | PathLike[str],
    include: Sequence[str],
    exclude: Sequence[str],
    hidden: bool,
    encoding: str | None,
    replace: bool,
    max_bytes: int,
) -> NativeLoader: ...
def load_web(
    urls: list[str],
    hosts: list[str] | None,
    allowed: list[str],
    max_redirects: int,
    max_bytes: int,
    timeout: float,
) -> NativeLoader: ...
