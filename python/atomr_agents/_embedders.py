"""Embedders, and indexes that may wait. `atomr_agents.embed` shows them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Collection, Coroutine, Sequence
    from collections.abc import Callable as Function
    from typing import Any, Protocol, TypeAlias

    from ._native.embed import InMemoryAnnIndex, NativeAnnIndex, NativeEmbedder
    from ._native.strategy import ToolStrategyHandle

    class HasEmbed(Protocol):
        """An object that makes a vector of a text."""

        def embed(self, text: str, /) -> Any: ...

    AnyEmbedder: TypeAlias = (
        "Embedder | NativeEmbedder | HasEmbed | Function[[str], Sequence[float] | Awaitable[Sequence[float]]] | str"
    )
    AnyAnnIndex: TypeAlias = "AnnIndex | InMemoryAnnIndex | object"

MOCK = "mock"
SERVERS = ("openai", "gemini", "ollama")


class Embedder:
    """What makes vectors of texts: near ones of texts that mean the same.

    Args:
        model: `"openai:text-embedding-3-small"`, `"gemini:gemini-embedding-001"` or `"ollama:nomic-embed-text"` and the
            like; `"mock:64"` (no model: vectors of 64 numbers from the words of a text, for tests); an object with
            `embed(text)` and perhaps `embed_batch(texts)`, `dim` and `model`; or a function of a text, plain or async.
        base_url: Another server that speaks like this one.
        api_key: Its key; without one, that of the environment (`OPENAI_API_KEY`, `GEMINI_API_KEY`, `OLLAMA_API_KEY`).
        dimensions: How many numbers a vector shall have, for models that let one choose.
        max_attempts: How often a call is made at most.
        timeout: How many seconds an answer may take to begin.

    Raises:
        ConfigError: the name does not say whose the model is, a key is missing, or a setting makes no sense.

    Example:
        >>> embedder = Embedder("mock:64")
        >>> len(embedder.embed_sync("rain in Oslo"))
        64
    """

    __slots__ = ("native",)

    def __init__(
        self,
        model: AnyEmbedder,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        dimensions: int | None = None,
        max_attempts: int | None = None,
        timeout: float | None = None,
    ) -> None:
        from . import _checks

        _checks.optional(_checks.whole(1))("dimensions", dimensions)
        _checks.optional(_checks.whole(1))("max_attempts", max_attempts)
        options = {
            "base_url": base_url,
            "api_key": api_key,
            "dimensions": dimensions,
            "max_attempts": max_attempts,
            "timeout": timeout,
        }
        self.native: NativeEmbedder = _resolved(model, options)

    def batched(self, *, max_texts: int = 128, max_bytes: int = 65_536, concurrency: int = 4) -> Embedder:
        """The same, where many texts become several calls: at most `max_texts` and `max_bytes` in each, and
        `concurrency` calls at once. Those over HTTP are batched already."""
        return Embedder(self.native.batched(max_texts, max_bytes, concurrency))

    @property
    def model(self) -> str:
        """What makes the vectors; those of two embedders with the same name are the same."""
        return self.native.model

    @property
    def dim(self) -> int | None:
        """How many numbers a vector has; `None` where only the first answer tells."""
        return self.native.dim

    def embed(self, text: str) -> Coroutine[Any, Any, list[float]]:
        """The vector of a text; await what comes back."""
        return self.native.embed(text)

    def embed_batch(self, texts: Sequence[str]) -> Coroutine[Any, Any, list[list[float]]]:
        """One vector for each text, in their order. Where it fails in the middle, the error has what was done: `done`,
        the places of the texts, and `vectors`."""
        return self.native.embed_batch(_listed(texts))

    def embed_table(self, texts: Sequence[str]) -> Coroutine[Any, Any, memoryview]:
        """As `embed_batch`, as one block of float32 with a vector in each row: `numpy.asarray` of it copies nothing."""
        return self.native.embed_table(_listed(texts))

    def embed_sync(self, text: str) -> list[float]:
        """The vector of a text, where no event loop runs."""
        from ._sync import run

        return run(lambda: self.embed(text), "embed_sync()", "await embed(...)")

    def embed_batch_sync(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector for each text, where no event loop runs."""
        from ._sync import run

        return run(lambda: self.embed_batch(texts), "embed_batch_sync()", "await embed_batch(...)")

    def __repr__(self) -> str:
        return f"<Embedder {self.model}>"


class MockEmbedder(Embedder):
    """Vectors of the words of a text, the same everywhere: texts that share words are nearer. For tests.

    Example:
        >>> MockEmbedder(3).dim
        3
    """

    __slots__ = ()

    def __init__(self, dim: int) -> None:
        from . import _checks

        _checks.whole(1)("dim", dim)
        super().__init__(f"{MOCK}:{dim}")


class AnnIndex:
    """Any index of vectors, awaited: `AnnIndex(index)` of an `InMemoryAnnIndex`, or of an object of yours with
    `upsert(id, vec)`, `search(query, top_k)`, `len()` and perhaps `remove(id)` and `dim`."""

    __slots__ = ("native",)

    def __init__(self, index: AnyAnnIndex) -> None:
        self.native: NativeAnnIndex = _index_of(index)

    @property
    def dim(self) -> int:
        """How many values a vector has; 0 where an index of yours does not say it and has none yet."""
        return self.native.dim

    def upsert(self, ids: int | Sequence[int], vectors: Sequence[Any]) -> Coroutine[Any, Any, None]:
        """Keeps each vector under its id, or one vector under one id; await what comes back."""
        return self.native.upsert(ids, [vectors] if isinstance(ids, int) else vectors)

    def search(
        self, query: Sequence[float], top_k: int = 10, *, allowed: Collection[int] | None = None
    ) -> Coroutine[Any, Any, list[tuple[int, float]]]:
        """The nearest as pairs of id and score; await what comes back."""
        return self.native.search(query, top_k, allowed)

    def remove(self, ids: int | Sequence[int]) -> Coroutine[Any, Any, int]:
        """Forgets these ids; answers how many were there."""
        return self.native.remove(ids)

    def len(self) -> Coroutine[Any, Any, int]:
        """How many vectors can be found."""
        return self.native.len()

    def __repr__(self) -> str:
        return f"<AnnIndex of {self.dim} dimensions>"


def _listed(texts: Sequence[str]) -> list[str]:
    """A single text is no list of texts, though Python would take its letters for some."""
    from . import _checks

    if isinstance(texts, str):
        _checks.fail("texts", "a list of texts", texts)
    return list(texts)


def _resolved(model: Any, options: dict[str, Any]) -> NativeEmbedder:
    from ._guests import instance_of, name_of, registered
    from ._native.embed import NativeEmbedder
    from .errors import ConfigError

    if isinstance(model, str):
        return _named(model, options)
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ConfigError(f"{', '.join(given)} cannot be set here: the embedder that was given has its own")
    if isinstance(model, Embedder):
        return model.native
    if isinstance(model, NativeEmbedder):
        return model
    key, target = registered("embedder", model) or (name_of(model), instance_of("embedder", model))
    return NativeEmbedder.guest(target, key)


def _named(model: str, options: dict[str, Any]) -> NativeEmbedder:
    from ._native.embed import NativeEmbedder
    from .errors import ConfigError

    prefix, colon, name = model.strip().partition(":")
    known = ", ".join(f"{each}:" for each in (*SERVERS, MOCK))
    if not colon or prefix not in (*SERVERS, MOCK):
        raise ConfigError(f"the embedder {model!r} begins with no known prefix; known are: {known}")
    if prefix in SERVERS:
        return NativeEmbedder.remote(prefix, name, **options)
    if not name.isdecimal():
        raise ConfigError(f"the embedder {model!r} does not say its dimension; write for example {MOCK}:64")
    return NativeEmbedder.mock(int(name))


def _index_of(index: Any) -> NativeAnnIndex:
    from ._guests import instance_of, name_of, registered
    from ._native.embed import InMemoryAnnIndex, NativeAnnIndex

    if isinstance(index, AnnIndex):
        return index.native
    if isinstance(index, NativeAnnIndex):
        return index
    if isinstance(index, InMemoryAnnIndex):
        return index.handle()
    key, target = registered("ann_index", index) or (name_of(index), instance_of("ann_index", index))
    return NativeAnnIndex.guest(target, key)


def embedder_from_factory(key: str) -> Embedder:
    """The embedder that was registered under this key; a KeyError lists what there is."""
    from ._native import guest

    return Embedder(guest.target("embedder", key))  # type: ignore[arg-type]


def ann_index_from_factory(key: str) -> AnnIndex:
    """The index that was registered under this key; a KeyError lists what there is."""
    from ._native import guest

    return AnnIndex(guest.target("ann_index", key))


def mock_embedder(dim: int) -> Embedder:
    """A `MockEmbedder`, by its older name."""
    return MockEmbedder(dim)


def in_memory_ann_index(dim: int) -> AnnIndex:
    """An index in memory that is awaited; `InMemoryAnnIndex` is the one that is not."""
    from ._native.embed import InMemoryAnnIndex

    return AnnIndex(InMemoryAnnIndex(dim))


def embedding_tool_strategy(
    embedder: AnyEmbedder, tools: Sequence[Any] = (), *, top_k: int = 8, always: Sequence[str] = ()
) -> ToolStrategyHandle:
    """Of these tools the `top_k` that are nearest to what is asked, by the vectors of their names and descriptions.

    The tools are embedded once, when they are first needed. Where there are no more than `top_k`, or a turn has no
    text, all are offered.

    Args:
        embedder: What `Embedder` takes.
        tools: All of them.
        top_k: How many are offered.
        always: The names of those that are offered besides, whatever is asked.

    Raises:
        ConfigError: `top_k` is below 1, or a name in `always` is that of no tool.

    Example:
        >>> import asyncio
        >>> from atomr_agents import tool
        >>> tools = [tool(name="rain", description="the weather in a city")(lambda: "wet"),
        ...          tool(name="refund", description="pay an order back")(lambda: "done")]
        >>> strategy = embedding_tool_strategy("mock:64", tools, top_k=1)
        >>> asyncio.run(strategy.select("pay my order back, please"))
        ['refund']
    """
    from . import _checks
    from ._native.embed import nearest_tools
    from ._strategies import tools_of

    _checks.whole(1)("top_k", top_k)
    names = list(_checks.items("always", "a list of the names of tools", always))
    return nearest_tools(Embedder(embedder).native, tools_of(tools), top_k, names)
