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
| `@kv_cache`         | an object with `get(key)`, `put(key, value)`            | the object itself |
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

from ._guests import named, registering
from ._knowledge_guests import (
    ann_index,
    ann_index_from_factory,
    embedder,
    embedder_from_factory,
    kv_cache,
    kv_cache_from_factory,
    loader,
    loader_from_factory,
    long_store,
    long_store_from_factory,
    memory_store,
    memory_store_from_factory,
    retriever,
    retriever_from_factory,
    splitter,
    splitter_from_factory,
)
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

    from ._native.agent import InferenceClient
    from ._native.state import Store
    from ._repairing import AsyncParser, RepairModel
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
    "kv_cache",
    "kv_cache_from_factory",
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
    return registering("callable_", target, name)


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
    return registering("tracer", target, name)


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
    return registering("inference_client", target, name)


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
    return registering("journal", target, name)


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
    return registering("parser", *named(target, name))


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
    return registering("repair_model", *named(target, name))


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


def repair_model_from_factory(key: str) -> RepairModel:
    """What was registered under this key to repair; a KeyError lists what there is."""
    from ._repairing import repair_model_from_factory

    return repair_model_from_factory(key)


def clear_factories() -> int:
    """Forgets everything that was registered, and says how much it was. For tests."""
    forget()
    return _native.clear_factories()
