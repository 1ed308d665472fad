"""The agent."""

from collections.abc import Coroutine, Sequence
from typing import Any, final

from .callable_ import Callable
from .core import Message, Usage
from .observability import EventBus, Subscription
from .tool import NativeTool

__all__ = ["AgentCore", "InferenceClient", "Partial", "RunHandle", "RunOutcome"]

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
    ) -> InferenceClient: ...
    @staticmethod
    def guest(target: object, key: str) -> InferenceClient:
        """A client written in Python: an async generator function, a class or an instance with `stream`."""
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
        name: str,
        instructions: str,
        tools: Sequence[NativeTool],
        buses: Sequence[EventBus],
        max_iterations: int,
        max_parallel_tools: int,
        timeout: float | None,
        temperature: float | None,
        top_p: float | None,
        max_tokens: int | None,
        stop: Sequence[str],
        seed: int | None,
        reasoning_effort: str | None,
        tool_choice: str,
        output: tuple[str, dict[str, Any], bool] | None,
        extra_body: dict[str, Any] | None,
        prices: Sequence[tuple[str, tuple[float, float, float]]] | None,
    ) -> AgentCore:
        """`tool_choice` is auto, none, required or a tool's name; `output` is name, JSON Schema, strict;
        `prices` are USD per million input, cached input and output tokens, by model."""
    @property
    def name(self) -> str: ...
    @property
    def model(self) -> str: ...
    def begin(self, input: Sequence[Message], history: Sequence[Message], deps: object) -> RunHandle: ...
    def as_callable(self) -> Callable: ...

@final
class RunHandle:
    """A run that was begun. Dropping it stops the run."""

    @property
    def run_id(self) -> str: ...
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
    def text(self) -> str: ...
    @property
    def value(self) -> Any: ...
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
