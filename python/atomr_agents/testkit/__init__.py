"""Agents tested without a provider: a model that says what a test tells it to, a server that replays recordings or
serves a script and breaks it where the test wants, and runs that are recorded and played again.

Example:
    >>> from atomr_agents import Agent
    >>> from atomr_agents.testkit import ReplayServer, ScriptedModel
    >>> model = ScriptedModel().text("Rain.")
    >>> Agent(model).run_sync("Oslo?").output
    'Rain.'
    >>> model.requests[0]["messages"][-1]["parts"]
    [{'type': 'text', 'text': 'Oslo?'}]
"""

from __future__ import annotations

from .. import _checks as checks
from .._native import testkit as _native
from .._native.testkit import NativeReplayServer, NativeScript, sample_events
from ..errors import BY_KIND, AgentError, ConfigError
from ._cassette import Recording, Replay, record, replay
from ._conformance import check_inference_client, check_store
from ._fault import Fault, specs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike
    from types import TracebackType
    from typing import Any, Literal

    from .._native.agent import InferenceClient
    from ..observability import EventBus

__all__ = [
    "Fault",
    "Recording",
    "Replay",
    "ReplayServer",
    "ScriptedModel",
    "check_inference_client",
    "check_store",
    "flood",
    "record",
    "replay",
    "sample_events",
]


async def flood(bus: EventBus, events: int, *, producers: int = 1) -> None:
    """Publishes so many `text_delta` events on a bus as fast as the core can: what do your listeners do then?

    Each producer is a run of its own, on a thread of its own.
    """
    checks.whole(0)("events", events)
    checks.whole(1)("producers", producers)
    await _native.flood(bus.native, events, producers=producers)


class ScriptedModel:
    """A model that says what a test tells it to, answer by answer, and keeps what it was asked.

    Write the whole script before an agent is made of it. A call beyond its end is a `ConfigError` that says so. Every
    method gives the model itself.

    Example:
        >>> from atomr_agents import Agent
        >>> model = ScriptedModel().tool_calls(("add", {"a": 1, "b": 2})).text("It is 3.")
        >>> def add(a: int, b: int) -> int:
        ...     return a + b
        >>> Agent(model, tools=[add]).run_sync("1 + 2?").output
        'It is 3.'
        >>> len(model.requests)
        2
    """

    __slots__ = ("_native", "_used")

    def __init__(self) -> None:
        self._native = NativeScript()
        self._used = False

    def _script(self) -> NativeScript:
        """The script, while it is written: what is added later would be overheard."""
        if self._used:
            raise ConfigError("an agent was made of this model already; write its whole script before that")
        return self._native

    def text(self, text: str) -> ScriptedModel:
        """The next answer is this text, streamed word by word."""
        checks.text("text", text)
        self._script().text(text)
        return self

    def tool_calls(self, *calls: tuple[str, dict[str, Any] | str], text: str = "") -> ScriptedModel:
        """The next answer asks for these tools: pairs of a name and its arguments (text is sent as it is)."""
        if not calls:
            raise ConfigError("tool_calls needs at least one call, such as ('add', {'a': 1}); use text() for an answer")
        for call in calls:
            _check_call(call)
        checks.text("text", text)
        self._script().tool_calls(calls, text)
        return self

    def error(self, kind: str, message: str) -> ScriptedModel:
        """The next answer is a provider's error of this kind, such as `rate_limited`; see `errors.BY_KIND`."""
        checks.one_of(*BY_KIND)("kind", kind)
        checks.text("message", message)
        self._script().error(kind, message)
        return self

    def delay(self, seconds: float) -> ScriptedModel:
        """How long each piece takes."""
        checks.seconds("seconds", seconds)
        self._script().delay(seconds)
        return self

    def repeat(self) -> ScriptedModel:
        """Begins again when the script is at its end."""
        self._script().repeat()
        return self

    def by_conversation(self) -> ScriptedModel:
        """Chooses the turn by how many answers of the model the conversation has, beginning again at the end.

        So one script serves many conversations at once, and one that another process goes on with.

        Example:
            >>> from atomr_agents import Agent
            >>> agent = Agent(ScriptedModel().text("Hello.").text("Bye.").by_conversation())
            >>> first = agent.run_sync("Hi")
            >>> agent.run_sync("Hi").output, agent.run_sync("See you.", history=first.messages).output
            ('Hello.', 'Bye.')
        """
        self._script().by_conversation()
        return self

    @property
    def requests(self) -> list[dict[str, Any]]:
        """What it was asked so far, oldest first: `model`, `messages`, `tools` and the settings."""
        return self._native.requests()

    def client(self) -> InferenceClient:
        """The client that an agent calls. The script is finished with it."""
        self._used = True
        return self._native.client()

    def __repr__(self) -> str:
        return f"<ScriptedModel, asked {len(self.requests)} times>"


class ReplayServer:
    """An HTTP server on the loopback that answers with bytes that a provider sent, or with a script.

    It serves from the moment it is made until it is closed; use it with `with` or `async with`.

    Args:
        exchanges: A folder of one recording or several folders; None is the built-in demonstration. A `ScriptedModel`
            is served in the format that the request asks for (chat completions, Responses, Anthropic, Gemini); its
            answers are chosen by how many answers a request holds.
        mode: `sequence` gives the recordings in order, `conversation` chooses by how many answers a request holds.
        cut: How the bytes are cut on their way: `whole`, `event`, `byte` or `seeded`.
        seed: For `seeded`.
        delay_ms: The pause between two pieces.
        faults: What goes wrong: one `Fault` for the first answer, or a list for the first, second, … (None is none).

    Example:
        >>> from atomr_agents import Agent
        >>> with ReplayServer(cut="byte") as server:
        ...     agent = Agent("openai:gpt-4o-mini", base_url=server.base_url, api_key="any")
        ...     _ = agent
        ...     server.requests
        []
    """

    __slots__ = ("_native", "_seen")

    def __init__(
        self,
        exchanges: str | PathLike[str] | Sequence[str | PathLike[str]] | ScriptedModel | None = None,
        *,
        mode: Literal["sequence", "conversation"] = "sequence",
        cut: Literal["whole", "event", "byte", "seeded"] = "whole",
        seed: int = 0,
        delay_ms: int = 0,
        faults: Fault | Sequence[Fault | None] = (),
    ) -> None:
        checks.one_of("sequence", "conversation")("mode", mode)
        checks.one_of("whole", "event", "byte", "seeded")("cut", cut)
        checks.whole(0)("seed", seed)
        checks.whole(0)("delay_ms", delay_ms)
        script = exchanges._native if isinstance(exchanges, ScriptedModel) else None  # pyright: ignore[reportPrivateUsage]
        folders = None if exchanges is None or script is not None else _folders(exchanges)
        try:
            self._native = NativeReplayServer(folders, script, mode, cut, seed, delay_ms, specs(faults))
        except RuntimeError as error:
            if folders is None or isinstance(error, AgentError):
                raise
            raise ConfigError(
                f"{error}; a recording is a folder with request.json, response.meta.json, response.body"
            ) from error
        self._seen: list[dict[str, Any]] | None = None

    @property
    def base_url(self) -> str:
        """What to give to `Agent(base_url=...)`."""
        if self._seen is not None:
            raise ConfigError("the replay server was closed; make agents of it while it serves")
        return self._native.base_url

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The requests so far, oldest first: dicts of `method`, `path`, `headers` and `body`. They outlive `close`."""
        return self._native.requests() if self._seen is None else self._seen

    def close(self) -> None:
        """Stops serving."""
        if self._seen is None:
            self._seen = self._native.requests()
        self._native.close()

    def __enter__(self) -> ReplayServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> ReplayServer:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ReplayServer {self.base_url}>" if self._seen is None else "<ReplayServer, closed>"


def _check_call(call: Any) -> None:
    pair = checks.items("each call", "a pair of a tool's name and its arguments, such as ('add', {'a': 1})", call)
    if len(pair) != 2 or not isinstance(pair[0], str):
        raise ConfigError(f"each call must be a pair of a tool's name and its arguments, not {call!r:.80}")
    if not isinstance(pair[1], (dict, str)):
        checks.fail(f"the arguments of {pair[0]}", "a dict, or text that is sent as it is", pair[1])


def _folders(exchanges: Any) -> list[str]:
    import os

    one = isinstance(exchanges, (str, os.PathLike))
    several: Sequence[Any] = (
        [exchanges] if one else checks.items("exchanges", "a folder or a list of folders", exchanges)
    )
    folders: list[str] = []
    for each in several:
        if not isinstance(each, (str, os.PathLike)) or not os.path.isdir(each):  # pyright: ignore[reportUnknownArgumentType]
            raise ConfigError(f"exchanges must be a folder or a list of folders, and {each!r:.80} is none")
        folders.append(str(each))  # pyright: ignore[reportUnknownArgumentType]
    if not folders:
        raise ConfigError("exchanges is an empty list; leave it away for the built-in demonstration")
    return folders
