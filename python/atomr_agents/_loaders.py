"""Loaders. `atomr_agents.ingest` shows them as its own."""

from __future__ import annotations

from .errors import AgentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence
    from collections.abc import Callable as Function
    from typing import Literal, Protocol, TypeAlias

    from ._native.core import Document
    from ._native.ingest import NativeLoader

    class HasLoad(Protocol):
        """An object that loads documents."""

        def load(self) -> Sequence[Document] | Awaitable[Sequence[Document]]: ...

    OwnLoader: TypeAlias = "HasLoad | Function[[], Sequence[Document] | Awaitable[Sequence[Document]]]"
    AnyLoader: TypeAlias = "Loader | OwnLoader | type[HasLoad] | Sequence[Document]"


class LoadError(AgentError, ValueError):
    """Some documents could not be loaded. The first of what is wrong is its cause.

    Example:
        >>> from atomr_agents.ingest import TextLoader
        >>> try:
        ...     TextLoader(["nowhere.txt"]).load_sync()
        ... except LoadError as error:
        ...     print(list(error.failures), error.documents)
        ['nowhere.txt'] []
    """

    __module__ = "atomr_agents.ingest"
    failures: dict[str, Exception]
    """What is wrong, by the id of the document."""
    documents: list[Document]
    """Those that could be loaded."""

    def __init__(
        self, message: str, failures: dict[str, Exception] | None = None, documents: list[Document] | None = None
    ) -> None:
        super().__init__(message)
        self.failures = failures or {}
        self.documents = documents or []


class Loader:
    """Loads documents. Made by its subclasses; the same loader may load several times.

    A bad document never loses the others: see `load`.
    """

    __slots__ = ("label", "native")

    def __init__(self, label: str, native: NativeLoader) -> None:
        self.label = label
        """Its name, in errors."""
        self.native = native

    async def load(self, *, errors: Literal["raise", "skip"] = "raise") -> list[Document]:
        """All documents, in a stable order.

        Args:
            errors: What becomes of documents that cannot be loaded. With "raise" everything is loaded, and then a
                `LoadError` says what is wrong with which, and has the good ones; with "skip" they are left out.
        """
        from . import _checks

        _checks.one_of("raise", "skip")("errors", errors)
        documents, failed = await self.native.load()
        if not failed or errors == "skip":
            return documents
        (first, error), more = failed[0], len(failed) - 1
        if first is None:
            # It is about the loader, not about a document.
            raise error
        also = f" (and {more} more)" if more else ""
        failures = {name if name is not None else "": each for name, each in failed}
        raise LoadError(f"{error}{also}", failures, documents) from error

    def load_sync(self, *, errors: Literal["raise", "skip"] = "raise") -> list[Document]:
        """As `load`, where no event loop runs."""
        from ._sync import run

        return run(lambda: self.load(errors=errors), "load_sync()", "await load()")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.label}>"


def loader_of(target: AnyLoader) -> Loader:
    """A loader as it is; documents, or code of the user's, as one."""
    from ._guests import instance_of, name_of, registered
    from ._native.core import Document
    from ._native.ingest import NativeLoader

    if isinstance(target, Loader):
        return target
    if isinstance(target, (list, tuple)):
        from . import _checks

        documents = _checks.items("documents", "a list of Document", target)
        for each in documents:
            if not isinstance(each, Document):
                _checks.fail("documents", "a list of Document", each)
        return Loader("documents", NativeLoader.documents(list(documents)))
    key, found = registered("loader", target) or (name_of(target), instance_of("loader", target))
    return Loader(key, NativeLoader.guest(found, key))


def loader_from_factory(key: str) -> Loader:
    """What was registered with `@loader` under this key; a KeyError lists what there is."""
    from ._native.guest import target
    from ._native.ingest import NativeLoader

    return Loader(key, NativeLoader.guest(target("loader", key), key))
