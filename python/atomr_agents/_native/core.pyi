"""Messages, usage, events and documents."""

from typing import Any, final

from .._event_kinds import EventKind

__all__ = ["Budget", "Document", "Event", "Message", "Span", "Usage", "count_tokens"]

@final
class Budget:
    """What a run and everything below it may use: agents that are tools or started in tools, and those that take the
    conversation over. Before each model call its prompt, counted here, and its longest answer are set aside; afterwards
    what it used is counted. Where less is left than the longest answer, the answer is limited to that.

    `tokens` are read and written ones, `usd` what model calls cost, `seconds` wall time, `iterations` model calls.
    """

    def __new__(
        cls,
        *,
        tokens: int | None = None,
        usd: float | None = None,
        seconds: float | None = None,
        iterations: int | None = None,
        tool_calls: int | None = None,
    ) -> Budget: ...
    @property
    def tokens(self) -> int | None: ...
    @property
    def usd(self) -> float | None: ...
    @property
    def seconds(self) -> float | None: ...
    @property
    def iterations(self) -> int | None: ...
    @property
    def tool_calls(self) -> int | None: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Document:
    """A text with a name, and what is known about it: what loaders make, splitters cut, indexes keep and retrievers
    find.

    `id` is what replaces it, removes it and tells it from others. `metadata` is a copy; keys that are filtered by are
    flat. `score` says how well it fits what was asked, higher is better. `span` says where in its source a piece
    stands.
    """

    def __new__(
        cls,
        id: str,
        text: str,
        metadata: dict[str, Any] | None = None,
        *,
        score: float | None = None,
        span: Span | None = None,
    ) -> Document: ...
    @staticmethod
    def from_dict(value: dict[str, Any]) -> Document: ...
    @property
    def id(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def metadata(self) -> dict[str, Any]: ...
    @property
    def score(self) -> float | None: ...
    @property
    def span(self) -> Span | None: ...
    def to_dict(self) -> dict[str, Any]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Span:
    """The place of a piece in the document it was cut from: half-open ranges of bytes (UTF-8) and of characters."""

    def __new__(cls, source: str, bytes: tuple[int, int], chars: tuple[int, int]) -> Span: ...
    @staticmethod
    def from_dict(value: dict[str, Any]) -> Span: ...
    @property
    def source(self) -> str: ...
    @property
    def bytes(self) -> tuple[int, int]: ...
    @property
    def chars(self) -> tuple[int, int]: ...
    def to_dict(self) -> dict[str, Any]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Message:
    """One entry of a transcript."""

    def __new__(cls, role: str, content: str | list[dict[str, Any]]) -> Message:
        """`role` is one of system, user, assistant, tool; `content` is text or a list of parts."""
    @staticmethod
    def system(text: str) -> Message: ...
    @staticmethod
    def user(text: str) -> Message: ...
    @staticmethod
    def assistant(text: str) -> Message: ...
    @staticmethod
    def from_dict(value: dict[str, Any]) -> Message: ...
    @property
    def role(self) -> str: ...
    @property
    def parts(self) -> list[dict[str, Any]]: ...
    @property
    def text(self) -> str: ...
    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        """The tool calls of an assistant message: `{"id", "name", "raw"}`."""
    def to_dict(self) -> dict[str, Any]: ...
    def __eq__(self, other: object, /) -> bool: ...

@final
class Usage:
    """Tokens used by one model call or by several together."""

    @staticmethod
    def from_dict(value: dict[str, Any]) -> Usage: ...
    @property
    def input_tokens(self) -> int: ...
    @property
    def output_tokens(self) -> int: ...
    @property
    def total_tokens(self) -> int: ...
    @property
    def cached_input_tokens(self) -> int | None: ...
    @property
    def cache_write_tokens(self) -> int | None: ...
    @property
    def reasoning_tokens(self) -> int | None: ...
    @property
    def raw(self) -> dict[str, Any] | None: ...
    def to_dict(self) -> dict[str, Any]: ...
    def __eq__(self, other: object, /) -> bool: ...

@final
class Event:
    """Something that happened in a run. Fields that an event of this kind does not have are `None`."""

    @staticmethod
    def from_dict(value: dict[str, Any]) -> Event:
        """The event that `to_dict` gave."""
    @property
    def kind(self) -> EventKind:
        """What happened."""
    @property
    def run_id(self) -> str: ...
    @property
    def parent_run_id(self) -> str | None:
        """The run that started this run; `parent` in `to_dict`."""
    @property
    def seq(self) -> int:
        """Position in the run, from 1. A delta has that of the event it follows."""
    @property
    def index(self) -> int:
        """Position among the deltas after event `seq`, from 1; 0 for what is no delta."""
    @property
    def path(self) -> str:
        """Where in the tree of agents it happened, as `planner/writer`; empty at the root."""
    @property
    def time_ms(self) -> int:
        """Milliseconds since 1970."""
    @property
    def agent(self) -> str | None:
        """The name of the agent whose run began."""
    @property
    def approved(self) -> bool | None:
        """Whether the tool call may be made."""
    @property
    def arguments(self) -> str | None:
        """What the model wrote, as text; of `tool_call_streamed` a piece of it."""
    @property
    def attempt(self) -> int | None:
        """From 1: how often it was tried, or rejected."""
    @property
    def byte(self) -> int | None:
        """Where the prompt first differs from that of the last call."""
    @property
    def cache(self) -> str | None:
        """The cache that answered."""
    @property
    def call_id(self) -> str | None:
        """The provider's id of the tool call."""
    @property
    def call_index(self) -> int | None:
        """Position among the tool calls of one answer, from 0."""
    @property
    def channels(self) -> list[str] | None:
        """The channels that were written."""
    @property
    def cost(self) -> float | None:
        """US dollars, where the price is known. `to_dict` has millionths of a dollar."""
    @property
    def elapsed_ms(self) -> int | None:
        """How long it took."""
    @property
    def error(self) -> str | None:
        """The kind of error."""
    @property
    def finish(self) -> str | None:
        """Why the model stopped, in the provider's word."""
    @property
    def from_(self) -> str | None:
        """The model or the agent that had it before; `from` in `to_dict`."""
    @property
    def prompt_hash(self) -> str | None:
        """`model_requested`, with `watch_prompt`: a hash of the prompt as the provider reads it, in hex."""
    @property
    def harness(self) -> str | None:
        """The harness."""
    @property
    def interrupt(self) -> str | None:
        """What an answer names."""
    @property
    def iteration(self) -> int | None:
        """Which model call of the run or iteration of the harness, from 1; of the beginning and the end of a harness,
        how many have ended."""
    @property
    def label(self) -> str | None:
        """What the strategy called the iteration."""
    @property
    def message(self) -> str | None:
        """What went wrong, in words; the `reason`, where there is one."""
    @property
    def messages(self) -> int | None:
        """How many messages the model was sent."""
    @property
    def missed(self) -> int | None:
        """How many events this listener was too slow for."""
    @property
    def model(self) -> str | None:
        """The model."""
    @property
    def name(self) -> str | None:
        """The tool's name; of `run_started` the agent's."""
    @property
    def node(self) -> str | None:
        """The step of the graph."""
    @property
    def ok(self) -> bool | None:
        """Whether the tool, or the step, succeeded."""
    @property
    def owner(self) -> str | None:
        """Which part of the prompt changed."""
    @property
    def pending(self) -> int | None:
        """How many tool calls wait for somebody's word."""
    @property
    def reason(self) -> str | None:
        """Why it was tried again, or elsewhere, or ended."""
    @property
    def remaining_tokens(self) -> int | None:
        """How many are left of the budget."""
    @property
    def result(self) -> str | None:
        """What the model sees of the tool call."""
    @property
    def source(self) -> str | None:
        """Why the checkpoint was made: `input`, `step`, `update`, `goto`."""
    @property
    def step(self) -> int | None:
        """The super-step of the graph."""
    @property
    def text(self) -> str | None:
        """A piece of text."""
    @property
    def to(self) -> str | None:
        """The model or the agent that has it now."""
    @property
    def tokens(self) -> int | None:
        """How many were reserved or used."""
    @property
    def tool_calls(self) -> int | None:
        """How many tools the model asked for."""
    @property
    def tools(self) -> int | None:
        """How many tools the model was offered."""
    @property
    def usage(self) -> Usage | None:
        """Tokens of the model call, or of the whole run."""
    @property
    def wait_ms(self) -> int | None:
        """How long until it is tried again."""
    def to_dict(self) -> dict[str, Any]:
        """The fields that it has, as JSON values."""

def count_tokens(text: str, model: str) -> int:
    """How many tokens a text is for a model: exactly for OpenAI's models, estimated from above for others."""
