"""The agent."""

from collections.abc import Callable as Function
from collections.abc import Coroutine, Sequence
from os import PathLike
from typing import Any, final

from .cache import LlmCache
from .callable_ import Callable
from .core import Budget, Message, Usage
from .observability import EventBus, Subscription
from .strategy import InstructionStrategyHandle, MemoryStrategyHandle, SkillStrategyHandle, ToolStrategyHandle
from .tool import Grants, NativeTool

__all__ = [
    "AgentCore",
    "ApprovalLedger",
    "CallNext",
    "Decision",
    "Divergence",
    "Durable",
    "InferenceClient",
    "NativeMiddleware",
    "Partial",
    "PartialOutput",
    "PendingCall",
    "PendingRun",
    "Replay",
    "RunHandle",
    "RunOutcome",
    "SessionCore",
    "SessionOptions",
    "Sessions",
]

@final
class InferenceClient:
    """A client of a model provider."""

    @staticmethod
    def openai(
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        connect_timeout: float | None = None,
        first_byte_timeout: float | None = None,
        idle_timeout: float | None = None,
        max_attempts: int | None = None,
        max_connections: int | None = None,
        streaming: bool = True,
    ) -> InferenceClient:
        """OpenAI chat completions, and the servers that speak like it."""
    @staticmethod
    def openai_responses(
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        connect_timeout: float | None = None,
        first_byte_timeout: float | None = None,
        idle_timeout: float | None = None,
        max_attempts: int | None = None,
        max_connections: int | None = None,
    ) -> InferenceClient:
        """OpenAI's Responses API."""
    @staticmethod
    def anthropic(
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        connect_timeout: float | None = None,
        first_byte_timeout: float | None = None,
        idle_timeout: float | None = None,
        max_attempts: int | None = None,
        max_connections: int | None = None,
    ) -> InferenceClient:
        """Anthropic Messages."""
    @staticmethod
    def gemini(
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        connect_timeout: float | None = None,
        first_byte_timeout: float | None = None,
        idle_timeout: float | None = None,
        max_attempts: int | None = None,
        max_connections: int | None = None,
    ) -> InferenceClient:
        """Gemini generateContent."""
    @staticmethod
    def guest(target: object, key: str) -> InferenceClient:
        """A client written in Python: an async generator function, a class or an instance with `stream`."""
    def with_fallbacks(self, others: Sequence[tuple[InferenceClient, str]]) -> InferenceClient:
        """A client that asks this one first, and then each of these with its model, when the one before failed before
        its first word."""
    def cached(
        self, cache: LlmCache, *, tenant: str = "", scope: str = "", replay_usage: bool = True
    ) -> InferenceClient:
        """The same client behind a cache: a request equal in every byte is answered from it, with the same stream.

        `tenant` keeps the answers of one customer from all others; `scope` those of one server (say its address, where
        clients of several servers share a cache). A hit tells the usage of the first call, so runs count it again; with
        `replay_usage=False` it tells none, because it cost nothing."""
    @property
    def provider(self) -> str: ...

@final
class AgentCore:
    """The engine behind an agent."""

    def __new__(
        cls,
        client: InferenceClient,
        model: str,
        *,
        settings: dict[str, Any],
        instructions: str | InstructionStrategyHandle,
        tools: Sequence[NativeTool] | ToolStrategyHandle,
        memory: MemoryStrategyHandle | None,
        skills: SkillStrategyHandle | None,
        buses: Sequence[EventBus],
        budget: Budget | None,
        handoffs: Sequence[tuple[AgentCore | None, str, str]],
        middleware: Sequence[object],
        ledger: ApprovalLedger | None,
        durable: Durable | None,
        grants: Grants | None,
        validate: Function[[Any], Any] | None,
    ) -> AgentCore:
        """`settings` are the plain ones; `handoffs` an agent or None, its name, what it is good for; `validate` raises
        for a value that is not of the output type."""
    @property
    def name(self) -> str: ...
    @property
    def model(self) -> str: ...
    def begin(
        self, input: Sequence[Message], history: Sequence[Message], deps: object, run_id: str | None
    ) -> RunHandle: ...
    def resume(self, pending: PendingRun, decisions: Sequence[Decision], deps: object) -> RunHandle: ...
    def resume_run(self, run_id: str, decisions: Sequence[Decision], deps: object) -> RunHandle:
        """Goes on with a run that is kept."""
    @property
    def durable(self) -> Durable | None: ...
    def replay(self, run_id: str, deps: object) -> Coroutine[Any, Any, Replay]: ...
    def fork(
        self, run_id: str, at: int | None, name: str, messages: Sequence[Message] | None, instructions: str | None
    ) -> Coroutine[Any, Any, str]: ...
    def resolve(self, run_id: str, key: str, found: tuple[Any, str | None]) -> Coroutine[Any, Any, None]: ...
    def as_callable(self) -> Callable: ...
    def as_tool(
        self, *, name: str, description: str, timeout: float | None, requires_approval: bool, max_concurrency: int
    ) -> NativeTool: ...

@final
class Durable:
    """Where runs are kept, and how.

    `durability` is what a commit survives (`full`: power loss, `relaxed`: the process being killed); `when` when it is
    made (`sync`: before the run goes on, `async`: while it does, `exit`: at its end and before a call that must not
    happen twice). `lease` is for how many seconds a process that is not heard of keeps others out, and `owner` a name
    that a worker keeps when it is started anew: then it goes on at once with what it held. `on_change` says what to do
    with a run that was begun by another version of the agent: `refuse` or `accept`. `labels` go into the run's record.
    """

    def __new__(
        cls,
        store: object,
        *,
        durability: str = "full",
        when: str = "sync",
        lease: float = 30.0,
        owner: str | None = None,
        on_change: str = "refuse",
        labels: dict[str, str] | None = None,
    ) -> Durable: ...

@final
class Replay:
    """What came of doing a recorded run again."""

    @property
    def run_id(self) -> str: ...
    @property
    def status(self) -> str:
        """How the run was doing when it was read."""
    @property
    def model_calls(self) -> int:
        """How many were as recorded."""
    @property
    def tool_calls(self) -> int:
        """How many were as recorded."""
    @property
    def divergence(self) -> Divergence | None:
        """The first thing that is not as recorded."""
    @property
    def messages(self) -> list[Message]:
        """The transcript, as far as it was made again."""

@final
class Divergence:
    """The first thing that a run does otherwise now."""

    @property
    def at(self) -> str:
        """The model or tool call: `step:path#index`."""
    @property
    def what(self) -> str:
        """`instructions`, `tools`, `settings` or `messages` of a model call, `tool` or `arguments` of a tool call."""
    @property
    def recorded(self) -> str:
        """What it was, as a name or a hash."""
    @property
    def now(self) -> str: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class NativeMiddleware:
    """A middleware of the core."""

    @staticmethod
    def retry(max_attempts: int, initial: float, longest: float) -> NativeMiddleware: ...
    @staticmethod
    def rate_limit(calls: int, window: float, max_waiting: int) -> NativeMiddleware: ...
    @staticmethod
    def redaction(texts: Sequence[str], patterns: Sequence[str], replacement: str) -> NativeMiddleware: ...
    @staticmethod
    def tool_error_recovery(template: str | None) -> NativeMiddleware: ...

@final
class CallNext:
    """The rest of the chain around a call: `await call_next(value)` makes it."""

    def __call__(self, value: dict[str, Any], /) -> Coroutine[Any, Any, dict[str, Any]]: ...

@final
class PartialOutput:
    """Reads a structured answer while it is being written."""

    def __new__(cls, schema: dict[str, Any]) -> PartialOutput: ...
    def feed(self, text: str) -> Any | None:
        """The value so far, when it is another one than before and fits the schema as far as it goes."""
    def restart(self) -> None:
        """What was said so far is void."""

@final
class PendingRun:
    """A run that waits for approvals. It holds the transcript, so keep it as confidential as that. It can be
    pickled."""

    @property
    def run_id(self) -> str: ...
    @property
    def agent(self) -> str:
        """The agent that began it."""
    @property
    def calls(self) -> list[PendingCall]: ...
    def to_json(self) -> str: ...
    @staticmethod
    def from_json(text: str) -> PendingRun:
        """Raises ConfigError for a text that is none."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __reduce__(self) -> tuple[Any, tuple[str]]: ...

@final
class PendingCall:
    """A tool call that waits for somebody's word."""

    @property
    def call_index(self) -> int: ...
    @property
    def call_id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def arguments(self) -> Any: ...
    @property
    def arguments_raw(self) -> str: ...
    @property
    def digest(self) -> str:
        """What a decision is bound to: a hash of the run, the tool and the exact arguments."""
    def approve(self) -> Decision: ...
    def edit(self, arguments: dict[str, Any]) -> Decision:
        """It may be run with these arguments, all of them, instead."""
    def deny(self, reason: str = "") -> Decision:
        """It may not be run; the model is told the reason."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Decision:
    """What was said about a pending call. It can be pickled."""

    @property
    def digest(self) -> str: ...
    @property
    def verdict(self) -> str:
        """`approve`, `edit` or `deny`."""
    def to_json(self) -> str: ...
    @staticmethod
    def from_json(text: str) -> Decision: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __reduce__(self) -> tuple[Any, tuple[str]]: ...

@final
class ApprovalLedger:
    """Remembers which approvals were used, so that none is used twice: in a folder or a store, for all processes that
    use it, or in memory, the latest 65,536. A run that is kept needs none: its log says what was decided."""

    def __new__(cls, folder: str | PathLike[str] | None = None, *, store: object = None) -> ApprovalLedger: ...
    def claim(self, digest: str) -> bool:
        """Uses it up; False if it was used before."""

@final
class RunHandle:
    """A run that was begun. Dropping it stops the run."""

    @property
    def run_id(self) -> str: ...
    @property
    def path(self) -> str:
        """Where its events are in the stream that it is part of; empty at the root."""
    def run(self) -> Coroutine[Any, Any, RunOutcome]:
        """Runs to the end without a stream."""
    def start(self) -> Subscription:
        """Starts the run in the background of the running loop and gives its events."""
    def outcome(self) -> Coroutine[Any, Any, RunOutcome]:
        """Waits for the end of a started run. May be awaited more than once."""
    def cancel(self) -> None: ...
    def settled(self) -> Coroutine[Any, Any, None]:
        """Waits until nothing of a started run goes on, at most a second."""
    def partial(self) -> Partial: ...

@final
class RunOutcome:
    """What a run produced."""

    @property
    def run_id(self) -> str: ...
    @property
    def agent(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def value(self) -> Any: ...
    @property
    def values(self) -> dict[str, Any]: ...
    @property
    def pending(self) -> PendingRun | None: ...
    @property
    def messages(self) -> list[Message]: ...
    @property
    def new_messages(self) -> list[Message]: ...
    @property
    def usage(self) -> Usage: ...
    @property
    def cost(self) -> float | None: ...
    @property
    def finish_reason(self) -> str: ...
    @property
    def iterations(self) -> int: ...
    @property
    def event_count(self) -> int: ...

@final
class Partial:
    """What a run had produced when it ended early."""

    @property
    def run_id(self) -> str: ...
    @property
    def messages(self) -> list[Message]: ...
    @property
    def usage(self) -> Usage: ...
    @property
    def cost(self) -> float | None: ...

@final
class SessionOptions:
    """How sessions are held.

    `policy` is what becomes of an input that arrives while a turn runs: `queue`, `steer`, `interrupt` or `reject`;
    at most `queue` inputs wait, each for at most `wait` seconds. A process that is not heard of keeps a session for
    `lease` seconds. `on_unfinished` is what becomes of a turn whose process was killed: `resume`, `abandon` or
    `ask`. A history of more than `max_messages` or `max_tokens` is made shorter between two turns: by `compact`, a
    function (plain or async) that is given the messages and gives those that are left, or by leaving the oldest
    turns out. Without a store, `remembered` sessions are.
    """

    def __new__(
        cls,
        *,
        policy: str = "queue",
        queue: int = 64,
        wait: float = 600.0,
        lease: float = 30.0,
        on_unfinished: str = "resume",
        max_messages: int | None = None,
        max_tokens: int | None = None,
        compact: Function[[list[Message]], Any] | None = None,
        remembered: int = 100_000,
    ) -> SessionOptions: ...
    @property
    def policy(self) -> str: ...

@final
class Sessions:
    """The conversations of an agent."""

    def __new__(cls, core: AgentCore, options: SessionOptions) -> Sessions: ...
    def session(self, name: str) -> SessionCore: ...
    def remembered(self) -> list[str]: ...

@final
class SessionCore:
    """One conversation."""

    @property
    def name(self) -> str: ...
    @property
    def is_busy(self) -> bool: ...
    def begin(self, messages: Sequence[Message], deps: object, policy: str | None, id: str | None) -> RunHandle: ...
    def resume(self, decisions: Sequence[Decision], deps: object) -> RunHandle: ...
    def post(self, messages: Sequence[Message], policy: str | None, id: str | None) -> Coroutine[Any, Any, str]: ...
    def drain(self, deps: object) -> Coroutine[Any, Any, int]: ...
    def interrupt(self) -> bool: ...
    def messages(self, all: bool) -> Coroutine[Any, Any, list[Message]]: ...
    def abandon(self) -> Coroutine[Any, Any, bool]: ...
    def clear(self) -> Coroutine[Any, Any, None]: ...
    def fork(self, name: str) -> Coroutine[Any, Any, SessionCore]: ...
