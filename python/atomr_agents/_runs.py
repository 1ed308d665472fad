"""A run as Python sees it: what it produced, and what it is doing."""

from __future__ import annotations

from ._light import Generic, TypeVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from types import TracebackType
    from typing import Any

    from ._native.agent import PendingRun, RunHandle, RunOutcome
    from ._native.observability import Subscription
    from ._output import Output
    from .core import Event, Message, Usage

Out = TypeVar("Out")

BATCH = 256


class RunResult(Generic[Out]):
    """What a run produced.

    Example:
        >>> from atomr_agents import Agent
        >>> from atomr_agents.testkit import ScriptedModel
        >>> result = Agent(ScriptedModel().text("Rain.")).run_sync("Oslo?")
        >>> result.output, result.iterations, [message.role for message in result.messages]
        ('Rain.', 1, ['user', 'assistant'])
    """

    __slots__ = ("_outcome", "_output")

    def __init__(self, output: Out, outcome: RunOutcome) -> None:
        self._output = output
        self._outcome = outcome

    @property
    def output(self) -> Out:
        """The answer: text, or a value of the agent's `output_type`.

        Raises:
            ApprovalError: there is none yet, as the run waits for approvals: see `pending`.
        """
        if (pending := self._outcome.pending) is not None:
            from .errors import ApprovalError

            names = ", ".join(call.name for call in pending.calls)
            raise ApprovalError(f"the run has no output yet: it waits for approval of {names}; see `pending`")
        return self._output

    @property
    def pending(self) -> PendingRun | None:
        """The run itself, when it waits for approvals; `Agent.resume` takes it up."""
        return self._outcome.pending

    @property
    def agent(self) -> str:
        """The name of the agent that had the conversation at the end."""
        return self._outcome.agent

    @property
    def values(self) -> dict[str, Any]:
        """What tools left for you with `ToolControl.update`, by name."""
        return self._outcome.values

    @property
    def messages(self) -> list[Message]:
        """The whole transcript, ready to be the `history` of the next run."""
        return self._outcome.messages

    @property
    def new_messages(self) -> list[Message]:
        """What this run added: the input, everything said and every tool result."""
        return self._outcome.new_messages

    @property
    def usage(self) -> Usage:
        """Tokens of all model calls of this run, those that were made again too. Runs inside of it have their own."""
        return self._outcome.usage

    @property
    def cost(self) -> float | None:
        """What they cost in USD; None when the price of a model is not known, or an answer broke off and was asked for
        again."""
        return self._outcome.cost

    @property
    def run_id(self) -> str:
        """The run."""
        return self._outcome.run_id

    @property
    def finish_reason(self) -> str:
        """Why the model stopped: `stop`, or `length` when the text is cut."""
        return self._outcome.finish_reason

    @property
    def iterations(self) -> int:
        """How many times the model was called."""
        return self._outcome.iterations

    @property
    def event_count(self) -> int:
        """How many events the run emitted."""
        return self._outcome.event_count

    def __repr__(self) -> str:
        said = repr(self._output) if self.pending is None else repr(self.pending)
        return f"RunResult({said}, run_id={self.run_id!r})"


class RunStream(Generic[Out]):
    """A run, event by event: `async for event in agent.stream(...)`.

    Nothing happens before it is first asked for something. Leaving early, cancelling whoever iterates, `aclose()` and
    dropping it all stop the run: its model stream, its tools, everything below it. When a run fails, its events come
    to their end and then the error is raised.

    Example:
        >>> import asyncio
        >>> from atomr_agents import Agent
        >>> from atomr_agents.testkit import ScriptedModel
        >>> async def main() -> str:
        ...     async with Agent(ScriptedModel().text("4 degrees, rain.")).stream("Oslo?") as stream:
        ...         async for event in stream:
        ...             if event.kind == "text_delta":
        ...                 pass  # show event.text
        ...         return (await stream.result()).output
        >>> asyncio.run(main())
        '4 degrees, rain.'
    """

    __slots__ = ("__weakref__", "_events", "_finish", "_handle", "_output", "_over", "_result", "_subscription")

    def __init__(
        self,
        handle: RunHandle,
        finish: Callable[[RunOutcome, RunHandle], RunResult[Out]],
        output: Output | None = None,
    ) -> None:
        self._output = output
        self._handle = handle
        self._finish = finish
        self._subscription: Subscription | None = None
        self._result: RunResult[Out] | None = None
        # The events of a batch, the last one first: taking from the end of a list costs nothing.
        self._events: list[Event] = []
        self._over = False

    @property
    def run_id(self) -> str:
        """The run."""
        return self._handle.run_id

    @property
    def messages(self) -> list[Message]:
        """The transcript so far, at any time, also after an error. It may be sent to a model again."""
        return self._handle.partial().messages

    def __aiter__(self) -> RunStream[Out]:
        return self

    async def __anext__(self) -> Event:
        if self._events:
            return self._events.pop()
        if self._over:
            raise StopAsyncIteration
        subscription = self._start()
        batch = subscription.try_batch(BATCH)
        if batch == []:
            batch = await self._guarded(subscription.batch(BATCH))
        if batch is None:
            self._over = True
            await self.result()
            raise StopAsyncIteration
        batch.reverse()
        self._events = batch
        return batch.pop()

    async def result(self) -> RunResult[Out]:
        """Waits for the end of the run; events that were not read are passed over. May be asked for again."""
        if self._result is None:
            self._start()
            outcome = await self._guarded(self._handle.outcome())
            self._result = self._finish(outcome, self._handle)
        return self._result

    async def text(self) -> AsyncGenerator[str, None]:
        """The text alone, piece by piece, of all answers of the run.

        When a model call has to be made again (an event of the kind `model_retried`), its text starts anew.
        """
        try:
            async for event in self:
                if event.kind == "text_delta" and event.text:
                    yield event.text
        finally:
            await self.aclose()

    async def partials(self) -> AsyncGenerator[Any, None]:
        """The answer while it is being written, as plain JSON values: each time it has grown, the whole of it so far.

        What is shown fits the output type's schema as far as an unfinished value can: types and known fields are
        checked, what is missing may still come. `await stream.result()` gives the finished value, as the output type.

        Raises:
            ConfigError: the agent has no `output_type`.

        Example:
            >>> import asyncio
            >>> from dataclasses import dataclass
            >>> from atomr_agents import Agent
            >>> from atomr_agents.testkit import ScriptedModel
            >>> @dataclass
            ... class Weather:
            ...     city: str
            ...     days: int
            >>> model = ScriptedModel().text('{"city": "Oslo", "days": 3}')
            >>> async def main():
            ...     async with Agent(model, output_type=Weather).stream("Oslo?") as stream:
            ...         seen = [value async for value in stream.partials()]
            ...         return seen[-1], (await stream.result()).output
            >>> asyncio.run(main())
            ({'city': 'Oslo', 'days': 3}, Weather(city='Oslo', days=3))
        """
        if self._output is None:
            from .errors import ConfigError

            raise ConfigError("there are no partial values of plain text; give the agent an output_type, or use text()")
        from ._native.agent import PartialOutput
        from ._output import WRAPPED

        answer = PartialOutput(self._output.schema)
        async for event in self:
            if event.kind in ("model_requested", "model_retried"):
                answer.restart()
            if event.path != self._handle.path:
                continue  # of an agent that runs inside this run
            piece = event.text if event.kind == "text_delta" else None
            if event.kind == "tool_call_streamed" and str(event.name).startswith("final_answer"):
                piece = event.arguments
            if piece and (value := answer.feed(piece)) is not None:
                if not self._output.wrapped:
                    yield value
                elif WRAPPED in value:
                    yield value[WRAPPED]

    async def aclose(self) -> None:
        """Stops the run and waits until nothing of it goes on. Harmless when it is over."""
        self._over = True
        self._events = []
        self._handle.cancel()
        if self._subscription is not None and self._result is None:
            await self._handle.settled()

    async def __aenter__(self) -> RunStream[Out]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _start(self) -> Subscription:
        if self._subscription is None:
            self._subscription = self._handle.start()
        return self._subscription

    async def _guarded(self, waiting: Any) -> Any:
        """Waits; whatever ends the wait early ends the run too."""
        try:
            return await waiting
        except GeneratorExit:
            self._handle.cancel()
            raise
        except BaseException as error:
            self._over = True
            try:
                self._handle.cancel()
                await self._handle.settled()
            finally:
                keep_partial(error, self._handle)
            raise

    def __repr__(self) -> str:
        return f"<RunStream {self.run_id}>"


def keep_partial(error: BaseException, handle: RunHandle) -> None:
    """Puts what the run had produced on the error that ends it."""
    if getattr(error, "partial", None) is None:
        try:
            error.partial = handle.partial()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        except AttributeError:
            # An exception of the user without room for attributes is raised as it is.
            pass
