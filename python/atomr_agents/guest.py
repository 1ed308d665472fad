"""Code of yours that the core calls: the decorators, and the registry that they write to.

| decorator           | what it takes                                           | what comes back   |
|---------------------|---------------------------------------------------------|-------------------|
| `@tool`             | a function, or `invoke(...)`                            | a `Tool`          |
| `@callable_`        | a function of one value, or `invoke(input)`             | the object itself |
| `@tracer`           | a function of an event, or `on_event(event)`, `flush()` | the object itself |
| `@inference_client` | an async generator, or `stream(request)`                | the object itself |
| `@parser`           | a function of a text, or `parse(text)`                  | the object itself |
| `@repair_model`     | a function, or `repair(original, hint)`                 | the object itself |
| `@loader`           | a function without arguments, or `load()`               | the object itself |
| `@splitter`         | a function of a document, or `split(document)`          | the object itself |
| `@memory_store`     | an object with `put`, `list`                            | the object itself |
| `@long_store`       | an object with `put`, `get`, `delete`, `search`         | the object itself |
| `@embedder`         | a function of a text, or `embed(text)`, `embed_batch(texts)` | the object itself |
| `@ann_index`        | an object with `upsert`, `search` and `len`             | the object itself |
| `@retriever`        | a function of a query, or `retrieve(query)`             | the object itself |
| `@journal`          | an object with the methods of a store; see `JournalBase` | the object itself |
| `@strategy(kind=…)` | a function of the context; see `atomr_agents.strategy`  | the object itself |

Each of them takes functions (plain or async), classes (which are instantiated without arguments) and instances,
and each has a `..._from_factory(key)` that gives what was registered. A key can be registered again. The kinds of the
registry are the names of the decorators; strategies are `strategy:instruction`, `strategy:tool`, `strategy:memory`,
`strategy:skill`, `strategy:loop` and `strategy:termination`.

Example:
    >>> from atomr_agents import guest
    >>> @guest.callable_
    ... def double(value: int) -> int:
    ...     return 2 * value
    >>> "double" in guest.list_factories("callable_"), double(4)
    (True, 8)
    >>> guest.callable_from_factory("double").call_sync(4)
    8
"""

from __future__ import annotations

from ._guests import name_of
from ._light import TypeVar, overload
from ._native import guest as _native
from ._native.guest import kinds, list_factories, methods, register, target
from .strategy import (
    instruction_strategy_from_factory,
    loop_strategy_from_factory,
    memory_strategy_from_factory,
    skill_strategy_from_factory,
    strategy,
    strategy_from_factory,
    termination_strategy_from_factory,
    tool_strategy_from_factory,
)
from .tool import ToolSet, forget, tool, tool_from_factory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable as Function
    from collections.abc import Sequence
    from typing import Any

    from ._embedders import AnnIndex, Embedder
    from ._loaders import Loader
    from ._native.agent import InferenceClient
    from ._native.memory import LongStore, MemoryStore
    from ._native.state import Store
    from ._repairing import AsyncParser, RepairModel
    from ._retrievers import Retriever
    from ._splitters import AsyncSplitter
    from .callable_ import Callable

T = TypeVar("T")

__all__ = [
    "ann_index",
    "ann_index_from_factory",
    "build_guest_toolset",
    "callable_",
    "callable_from_factory",
    "clear_factories",
    "embedder",
    "embedder_from_factory",
    "inference_client",
    "inference_client_from_factory",
    "instruction_strategy_from_factory",
    "journal",
    "journal_from_factory",
    "kinds",
    "list_factories",
    "loader",
    "loader_from_factory",
    "long_store",
    "long_store_from_factory",
    "loop_strategy_from_factory",
    "memory_store",
    "memory_store_from_factory",
    "memory_strategy_from_factory",
    "methods",
    "parser",
    "parser_from_factory",
    "register",
    "repair_model",
    "repair_model_from_factory",
    "retriever",
    "retriever_from_factory",
    "skill_strategy_from_factory",
    "splitter",
    "splitter_from_factory",
    "strategy",
    "strategy_from_factory",
    "target",
    "termination_strategy_from_factory",
    "tool",
    "tool_from_factory",
    "tool_strategy_from_factory",
    "tracer",
    "tracer_from_factory",
]


@overload
def callable_(target: T, /) -> T: ...
@overload
def callable_(*, name: str | None = None) -> Function[[T], T]: ...
def callable_(target: Any = None, /, *, name: str | None = None) -> Any:
    """Registers a step: a function of one JSON value that gives one, or an object with `invoke`.

    A second parameter gets the `RunContext`. The object itself comes back, so a decorated function is still one.

    Example:
        >>> @callable_(name="trim")
        ... async def strip(text: str) -> str:
        ...     return text.strip()
        >>> callable_from_factory("trim").call_sync("  rain ")
        'rain'
    """
    return _registering("callable_", target, name)


@overload
def tracer(target: T, /) -> T: ...
@overload
def tracer(*, name: str | None = None) -> Function[[T], T]: ...
def tracer(target: Any = None, /, *, name: str | None = None) -> Any:
    """Registers a tracer: a function of an event, or an object with `on_event(event)` and perhaps `flush()`.

    Give it to a bus with `EventBus.attach_tracer`.

    Example:
        >>> @tracer
        ... class Counter:
        ...     seen = 0
        ...     def on_event(self, event):
        ...         self.seen += 1
        >>> tracer_from_factory("Counter").seen
        0
    """
    return _registering("tracer", target, name)


@overload
def inference_client(target: T, /) -> T: ...
@overload
def inference_client(*, name: str | None = None) -> Function[[T], T]: ...
def inference_client(target: Any = None, /, *, name: str | None = None) -> Any:
    """Registers a model: an async generator of a request, or an object with such a `stream`.

    The request is a dict with `model`, `messages`, `tools` and the settings. A second parameter gets the `RunContext`.
    What is yielded is text, or one of:

    - `{"type": "text" | "thinking" | "refusal", "text": ...}`
    - `{"type": "tool_call", "id": ..., "name": ..., "arguments": dict or JSON text}`
    - `{"type": "usage", "input_tokens": ..., "output_tokens": ...}`
    - `{"type": "finish", "reason": "stop" | "length" | "tool_calls" | "content_filter" | "other"}`, the last one;
      without it, a generator that ends has finished, and one that raises has broken off.

    Example:
        >>> from atomr_agents import Agent
        >>> @inference_client
        ... async def parrot(request):
        ...     yield request["messages"][-1]["parts"][0]["text"]
        >>> Agent(parrot).run_sync("Polly?").output
        'Polly?'
    """
    return _registering("inference_client", target, name)


@overload
def journal(target: T, /) -> T: ...
@overload
def journal(*, name: str | None = None) -> Function[[T], T]: ...
def journal(target: Any = None, /, *, name: str | None = None) -> Any:
    """Registers a store of runs: an object, or a class without arguments, with the methods of a store.

    `atomr_agents.state.JournalBase` has all of them but two; `atomr_agents.testkit.check_store` checks them. The object
    itself comes back, and can be given wherever a store is taken.

    Example:
        >>> from atomr_agents.state import Checkpointer, CheckpointKey, JournalBase
        >>> @journal(name="dict")
        ... class Kept(JournalBase):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.items = {}
        ...     def select(self, first, last, limit, reverse):
        ...         names = sorted((name for name in self.items if first <= name < last), reverse=reverse)
        ...         return [(name, self.items[name]) for name in names[:limit]]
        ...     def write(self, changes, durable):
        ...         self.items.update(changes)
        ...         self.items = {name: value for name, value in self.items.items() if value is not None}
        >>> checkpointer = Checkpointer(Kept)
        >>> checkpointer.save_sync(CheckpointKey("w", "r", 0), {"n": 1})
        >>> checkpointer.latest_sync("w", "r").values()
        {'n': 1}
    """
    return _registering("journal", target, name)


@overload
def parser(name: str, /) -> Function[[T], T]: ...
@overload
def parser(target: T, /) -> T: ...
@overload
def parser(*, name: str | None = None) -> Function[[T], T]: ...
def parser(target: Any = None, /, *, name: str | None = None) -> Any:
    """Registers a parser: a function of a text, plain or async, or an object with `parse(text)`.

    It gives a JSON value, or raises a `ValueError` for a wrong text; `format_instructions()` may say how a model is
    told what to write. The object itself comes back. `OutputFixingParser` takes it, and `parser_from_factory` gives
    it.

    Example:
        >>> @parser("degrees")
        ... def degrees(text: str) -> float:
        ...     return float(text.strip().removesuffix("°"))
        >>> parser_from_factory("degrees").parse_sync(" 21.5°")
        21.5
    """
    return _registering("parser", *_named(target, name))


@overload
def repair_model(name: str, /) -> Function[[T], T]: ...
@overload
def repair_model(target: T, /) -> T: ...
@overload
def repair_model(*, name: str | None = None) -> Function[[T], T]: ...
def repair_model(target: Any = None, /, *, name: str | None = None) -> Any:
    """Registers what repairs texts that no parser could read: a function of the text and of a hint at what is wrong,
    plain or async, or an object with `repair(original, hint)`. It gives the repaired text.

    Example:
        >>> from atomr_agents.parser import JsonParser, OutputFixingParser
        >>> @repair_model("quotes")
        ... def quotes(original: str, hint: str) -> str:
        ...     return original.replace("'", '"')
        >>> OutputFixingParser(JsonParser(), quotes).parse_sync("{'a': 1}")
        {'a': 1}
    """
    return _registering("repair_model", *_named(target, name))


@overload
def loader(name: str, /) -> Function[[T], T]: ...
@overload
def loader(target: T, /) -> T: ...
@overload
def loader(*, name: str | None = None) -> Function[[T], T]: ...
def loader(target: Any = None, /, *, name: str | None = None) -> Any:
    """Registers what loads documents: a function without arguments, plain or async, or an object with `load()`. It
    gives a list of `Document`.

    Example:
        >>> from atomr_agents import Document
        >>> @loader("notes")
        ... def notes():
        ...     return [Document("a", "Rain."), Document("b", "Wind.")]
        >>> [document.id for document in loader_from_factory("notes").load_sync()]
        ['a', 'b']
    """
    return _registering("loader", *_named(target, name))


@overload
def splitter(name: str, /) -> Function[[T], T]: ...
@overload
def splitter(target: T, /) -> T: ...
@overload
def splitter(*, name: str | None = None) -> Function[[T], T]: ...
def splitter(target: Any = None, /, *, name: str | None = None) -> Any:
    """Registers what cuts documents: a function of a `Document`, plain or async, or an object with `split(document)`.
    It gives a list of `Document`.

    Example:
        >>> from atomr_agents import Document
        >>> @splitter("lines")
        ... def lines(document):
        ...     return [Document(f"{document.id}#{n}", line) for n, line in enumerate(document.text.splitlines())]
        >>> [piece.id for piece in splitter_from_factory("lines").split_sync(Document("a", "Rain.\\nWind."))]
        ['a#0', 'a#1']
    """
    return _registering("splitter", *_named(target, name))


@overload
def memory_store(name: str, /) -> Function[[T], T]: ...
@overload
def memory_store(target: T, /) -> T: ...
@overload
def memory_store(*, name: str | None = None) -> Function[[T], T]: ...
def memory_store(target: Any = None, /, *, name: str | None = None) -> Any:
    """Registers what keeps what was said lately: an object with `put(namespace, item)` and `list(namespace, limit,
    before)`, plain or async, and perhaps `get(namespace, id)`, `delete(namespace, id)` and `search(namespace, query,
    limit)`. A namespace is a tuple of texts, an item a `MemoryItem`; `list` gives the last one first, and only those in
    front of the id `before` where that is not `None`.

    Example:
        >>> from atomr_agents.memory import MemoryItem
        >>> @memory_store("notes")
        ... class Notes:
        ...     def __init__(self) -> None:
        ...         self.items: list[MemoryItem] = []
        ...     def put(self, namespace, item):
        ...         self.items.append(item)
        ...     def list(self, namespace, limit, before):
        ...         return self.items[::-1][:limit]
        >>> import asyncio
        >>> notes = memory_store_from_factory("notes")
        >>> asyncio.run(notes.put(("ada",), "likes rain")).text
        'likes rain'
        >>> [item.text for item in asyncio.run(notes.list("ada"))]
        ['likes rain']
    """
    return _registering("memory_store", *_named(target, name))


@overload
def long_store(name: str, /) -> Function[[T], T]: ...
@overload
def long_store(target: T, /) -> T: ...
@overload
def long_store(*, name: str | None = None) -> Function[[T], T]: ...
def long_store(target: Any = None, /, *, name: str | None = None) -> Any:
    """Registers what keeps what shall be found again: an object with `put(namespace, key, value, embedding, ttl)`,
    `get(namespace, key)`, `delete(namespace, key)` and `search(namespace, about)`, plain or async, and perhaps
    `list_namespaces(prefix, limit)` and `update(namespace, key, value, embedding, ttl)`. `about` is a dict with
    `query`, `embedding`, `by`, `filter` and `top_k`; items are `StoreItem`s, or dicts with `namespace`, `key` and
    `value`.

    Example:
        >>> @long_store("facts")
        ... class Facts:
        ...     def __init__(self) -> None:
        ...         self.kept: dict = {}
        ...     def put(self, namespace, key, value, embedding, ttl):
        ...         self.kept[namespace, key] = value
        ...     def get(self, namespace, key):
        ...         value = self.kept.get((namespace, key))
        ...         return None if value is None else {"value": value}
        ...     def delete(self, namespace, key):
        ...         return self.kept.pop((namespace, key), None) is not None
        ...     def search(self, namespace, about):
        ...         return []
        >>> import asyncio
        >>> facts = long_store_from_factory("facts")
        >>> asyncio.run(facts.put(("ada",), "home", "Oslo"))
        >>> asyncio.run(facts.get(("ada",), "home")).value
        'Oslo'
    """
    return _registering("long_store", *_named(target, name))


@overload
def embedder(name: str, /) -> Function[[T], T]: ...
@overload
def embedder(target: T, /) -> T: ...
@overload
def embedder(*, name: str | None = None) -> Function[[T], T]: ...
def embedder(target: Any = None, /, *, name: str | None = None) -> Any:
    """Registers an embedder: a function of a text that gives its vector, plain or async, or an object with such an
    `embed`.

    `embed_batch(texts)`, where it is there, is called once for many texts; without it, `embed` is called for each,
    eight at once. `dim` says how many numbers a vector has, `model` what makes them. The object itself comes back.

    Example:
        >>> @embedder("letters")
        ... def letters(text: str) -> list[float]:
        ...     return [float(text.count(letter)) for letter in "abc"]
        >>> embedder_from_factory("letters").embed_sync("abba")
        [2.0, 2.0, 0.0]
    """
    return _registering("embedder", *_named(target, name))


@overload
def ann_index(name: str, /) -> Function[[T], T]: ...
@overload
def ann_index(target: T, /) -> T: ...
@overload
def ann_index(*, name: str | None = None) -> Function[[T], T]: ...
def ann_index(target: Any = None, /, *, name: str | None = None) -> Any:
    """Registers an index of vectors: an object, or a class without arguments, with `upsert(id, vec)`,
    `search(query, top_k)`, which gives pairs of id and score, and `len()`; perhaps with `remove(id)`, which says
    whether it was there, and `dim`.

    Example:
        >>> import asyncio
        >>> @ann_index("few")
        ... class Few:
        ...     def __init__(self):
        ...         self.all = {}
        ...     def upsert(self, id, vec):
        ...         self.all[id] = vec
        ...     def search(self, query, top_k):
        ...         scored = [(id, sum(a * b for a, b in zip(query, vec))) for id, vec in self.all.items()]
        ...         return sorted(scored, key=lambda pair: -pair[1])[:top_k]
        ...     def len(self):
        ...         return len(self.all)
        >>> index = ann_index_from_factory("few")
        >>> asyncio.run(index.upsert([7], [[1.0, 0.0]]))
        >>> asyncio.run(index.search([1.0, 0.0], 1))
        [(7, 1.0)]
    """
    return _registering("ann_index", *_named(target, name))


@overload
def retriever(name: str, /) -> Function[[T], T]: ...
@overload
def retriever(target: T, /) -> T: ...
@overload
def retriever(*, name: str | None = None) -> Function[[T], T]: ...
def retriever(target: Any = None, /, *, name: str | None = None) -> Any:
    """Registers a retriever: a function of a query that gives a list of `Document`, plain or async, or an object
    with such a `retrieve`. It is told the words; `filter` and `top_k` of a call are applied to what it gives. The
    object itself comes back.

    Example:
        >>> from atomr_agents import Document
        >>> @retriever("weather")
        ... async def weather(query: str):
        ...     return [Document("a", f"{query}: rain")]
        >>> retriever_from_factory("weather").retrieve_sync("Oslo")[0].text
        'Oslo: rain'
    """
    return _registering("retriever", *_named(target, name))


def _named(target: Any, name: str | None) -> tuple[Any, str | None]:
    """What to decorate and its name, which may stand first."""
    return (None, target) if isinstance(target, str) else (target, name)


def _registering(kind: str, target: Any, name: str | None) -> Any:
    from . import _checks

    _checks.optional(_checks.filled)("name", name)

    def decorate(target: Any) -> Any:
        register(kind, name or name_of(target), target)
        return target

    return decorate if target is None else decorate(target)


def callable_from_factory(key: str) -> Callable:
    """The step that was registered under this key; a KeyError lists what there is."""
    from .callable_ import Callable

    return Callable.from_factory(key)


def build_guest_toolset(id: str, version: str, keys: Sequence[str] | None = None) -> ToolSet:
    """A set of the registered tools with these keys; without keys, of all of them in the order of their names.

    Raises:
        KeyError: nothing is registered under a key; the message lists what there is.
        ToolSetError: the id or the version cannot be used.

    Example:
        >>> @tool
        ... def half(n: int) -> float:
        ...     return n / 2
        >>> build_guest_toolset("numbers", "1.0.0", ["half"])
        <ToolSet numbers 1.0.0: half>
    """
    from . import _checks

    keys = list_factories("tool") if keys is None else _checks.items("keys", "a list of keys", keys)
    return ToolSet(id, version, [tool_from_factory(key) for key in keys])


def tracer_from_factory(key: str) -> Any:
    """The tracer that was registered under this key (of a class: its instance); a KeyError lists what there is."""
    return target("tracer", key)


def inference_client_from_factory(key: str) -> InferenceClient:
    """The model that was registered under this key; a KeyError lists what there is."""
    from ._native.agent import InferenceClient

    return InferenceClient.guest(target("inference_client", key), key)


def journal_from_factory(key: str) -> Store:
    """The store that was registered under this key; a KeyError lists what there is."""
    from ._native.state import Store
    from ._stores import of_guest

    found = of_guest(target("journal", key))
    assert isinstance(found, Store)  # what is registered is a store
    return found


def parser_from_factory(key: str) -> AsyncParser[Any]:
    """The parser that was registered under this key; a KeyError lists what there is."""
    from ._repairing import parser_from_factory

    return parser_from_factory(key)


def loader_from_factory(key: str) -> Loader:
    """What was registered under this key to load documents; a KeyError lists what there is."""
    from ._loaders import loader_from_factory

    return loader_from_factory(key)


def splitter_from_factory(key: str) -> AsyncSplitter:
    """What was registered under this key to cut documents; a KeyError lists what there is."""
    from ._splitters import splitter_from_factory

    return splitter_from_factory(key)


def repair_model_from_factory(key: str) -> RepairModel:
    """What was registered under this key to repair; a KeyError lists what there is."""
    from ._repairing import repair_model_from_factory

    return repair_model_from_factory(key)


def memory_store_from_factory(key: str) -> MemoryStore:
    """The short memory that was registered under this key; a KeyError lists what there is."""
    from ._native.memory import MemoryStore

    return MemoryStore.guest(target("memory_store", key), key)


def long_store_from_factory(key: str) -> LongStore:
    """The long memory that was registered under this key; a KeyError lists what there is."""
    from ._native.memory import LongStore

    return LongStore.guest(target("long_store", key), key)


def embedder_from_factory(key: str) -> Embedder:
    """The embedder that was registered under this key; a KeyError lists what there is."""
    from ._embedders import embedder_from_factory

    return embedder_from_factory(key)


def ann_index_from_factory(key: str) -> AnnIndex:
    """The index that was registered under this key; a KeyError lists what there is."""
    from ._embedders import ann_index_from_factory

    return ann_index_from_factory(key)


def retriever_from_factory(key: str) -> Retriever:
    """The retriever that was registered under this key; a KeyError lists what there is."""
    from ._retrievers import retriever_from_factory

    return retriever_from_factory(key)


def clear_factories() -> int:
    """Forgets everything that was registered, and says how much it was. For tests."""
    forget()
    return _native.clear_factories()
