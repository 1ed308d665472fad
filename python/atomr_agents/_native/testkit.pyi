"""A scripted model, a replay server, recordings and the conformance suite, for tests."""

from collections.abc import Coroutine, Sequence
from typing import Any, final

from .agent import InferenceClient
from .core import Event
from .observability import EventBus

__all__ = [
    "NativeReplay",
    "NativeReplayServer",
    "NativeScript",
    "conformance_of",
    "flood",
    "record",
    "sample_events",
    "store_conformance",
]

def flood(bus: EventBus, events: int, *, producers: int = 1) -> Coroutine[Any, Any, None]: ...
def sample_events() -> list[Event]:
    """One event of each kind, with something in every field."""

@final
class NativeScript:
    """A scripted model."""

    def __new__(cls) -> NativeScript: ...
    def text(self, text: str) -> None:
        """The next answer is this text, streamed word by word."""
    def tool_calls(self, calls: Sequence[tuple[str, dict[str, Any] | str]], text: str = "") -> None:
        """The next answer asks for these tools."""
    def error(self, kind: str, message: str) -> None:
        """The next answer is a provider's error of this kind."""
    def delay(self, seconds: float) -> None:
        """How long each piece takes."""
    def repeat(self) -> None:
        """Begin again when the script is at its end."""
    def by_conversation(self) -> None:
        """Choose the turn by how many answers the conversation has."""
    def requests(self) -> list[dict[str, Any]]:
        """The requests that were made."""
    def client(self) -> InferenceClient: ...

@final
class NativeReplayServer:
    """Answers over real HTTP on the loopback with bytes that a provider sent."""

    def __new__(
        cls,
        exchanges: Sequence[str] | None,
        script: NativeScript | None,
        mode: str,
        cut: str,
        seed: int,
        delay_ms: int,
        faults: Sequence[dict[str, Any] | None],
    ) -> NativeReplayServer:
        """`exchanges` are folders of recordings, `None` the built-in demonstration; a `script` is served instead of
        them in the format that is asked for; `mode` is `sequence` or `conversation`; `cut` is `whole`, `event`, `byte`
        or `seeded`."""
    @property
    def base_url(self) -> str: ...
    def requests(self) -> list[dict[str, Any]]:
        """The bodies of the requests that were made, as JSON, with `path` and `headers` beside them."""
    def close(self) -> None: ...

@final
class NativeReplay:
    """Answers from a recording."""

    def __new__(cls, path: str, paced: bool) -> NativeReplay: ...
    @property
    def model(self) -> str | None:
        """The model that the first call asked for."""
    def remaining(self) -> int:
        """How many calls were not made yet."""
    def client(self) -> InferenceClient: ...

def record(client: InferenceClient, path: str, hide: Sequence[str]) -> InferenceClient:
    """A client that records what `client` is asked and answers."""

def conformance_of(
    client: InferenceClient, model: str, question: str, tools: Sequence[dict[str, Any]]
) -> Coroutine[Any, Any, str | None]:
    """Runs the conformance suite; what is wrong, or `None`."""

def store_conformance(make: object) -> Coroutine[Any, Any, str | None]:
    """The first rule that the stores made by `make` break; None if they keep all of them."""
