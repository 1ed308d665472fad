"""How an agent is run: to its end, event by event, and taken up again."""

from __future__ import annotations

from ._kept import Kept
from ._light import TypeVar
from ._native.core import Message
from ._runs import RunResult, RunStream, keep_partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ._native.agent import AgentCore, Decision, PendingRun, RunHandle, RunOutcome, SessionOptions, Sessions
    from ._output import Output
    from ._session import Session

Deps = TypeVar("Deps")
Out = TypeVar("Out")

NO_DEPS: Any = None


class Running(Kept[Deps, Out]):
    """What every agent can do."""

    __slots__ = ()

    if TYPE_CHECKING:
        _core: AgentCore
        _durable: bool
        _output: Output | None
        _session_options: SessionOptions | str
        _sessions: Sessions | None
        deps_type: Any

        @property
        def name(self) -> str: ...

    async def run(
        self,
        prompt: str | Message | Sequence[Message],
        *,
        deps: Deps = NO_DEPS,
        history: Sequence[Message] | None = None,
        run_id: str | None = None,
        session: str | None = None,
        thread: str | None = None,
    ) -> RunResult[Out]:
        """Runs to the end.

        Args:
            prompt: What is asked: text, a message, or several.
            deps: What tools see as `RunContext.deps`.
            history: What was said before, such as the `messages` of an earlier result.
            run_id: The name under which the run is kept; the agent must have a `store`. Without one it is kept under
                the `run_id` of the result.
            session: The conversation that this is a turn of: its history comes before the prompt, and what is said
                joins it. In the agent's `store`, or in memory without one; see `Agent.session`.
            thread: The same as `session`.

        Raises:
            ConflictError: a run of that name is there already.
            AgentError: what went wrong; `error.partial` holds the transcript, usage and cost up to then. The
                `asyncio.CancelledError` of a cancelled task has it too.
        """
        named = session if session is not None else thread
        return await self._ended(self._begin(prompt, deps, history, run_id, named), named is not None)

    def run_sync(
        self,
        prompt: str | Message | Sequence[Message],
        *,
        deps: Deps = NO_DEPS,
        history: Sequence[Message] | None = None,
        run_id: str | None = None,
        session: str | None = None,
        thread: str | None = None,
    ) -> RunResult[Out]:
        """As `run`, where no event loop runs. Ctrl-C stops it."""
        from ._sync import run

        named = session if session is not None else thread
        running = lambda: self.run(prompt, deps=deps, history=history, run_id=run_id, session=named)  # noqa: E731
        return run(running, "run_sync()", "`await agent.run(...)`")

    def stream(
        self,
        prompt: str | Message | Sequence[Message],
        *,
        deps: Deps = NO_DEPS,
        history: Sequence[Message] | None = None,
        run_id: str | None = None,
        session: str | None = None,
        thread: str | None = None,
    ) -> RunStream[Out]:
        """As `run`, event by event: `async for event in agent.stream(...)`."""
        named = session if session is not None else thread
        return RunStream(self._begin(prompt, deps, history, run_id, named), self._finish, self._output)

    async def resume(
        self, pending: PendingRun | str, decisions: Decision | Sequence[Decision] = (), *, deps: Deps = NO_DEPS
    ) -> RunResult[Out]:
        """Takes a run up again, in whatever process: one that waits for approvals, or one that is kept, by its name.

        Calls that nobody decided about go on waiting: the result has a `pending` again then. Of a run that is kept,
        what is recorded is not done again; what has no outcome is, unless it must not happen twice.

        Args:
            pending: The `pending` of a result, perhaps read back with `PendingRun.from_json`, or the name of a run that
                is kept.
            decisions: What was said about its calls: `call.approve()`, `call.edit({...})`, `call.deny("why")`.
            deps: What tools see as `RunContext.deps`.

        Raises:
            ApprovalError: a decision is about no call that waits, as its arguments were changed since, or it was used
                before. Nothing was run.
            OutcomeUnknownError: nobody knows whether a call happened that must not happen twice; see `resolve`.
            ConflictError: there is no run of that name, or it is over.
            LockedError: somebody else works on it.
            IncompatibleError: it was begun by another version of the agent.
            AgentError: as `run`.

        Example:
            >>> import asyncio
            >>> from atomr_agents import Agent, tool
            >>> from atomr_agents.testkit import ScriptedModel
            >>> @tool(requires_approval=True)
            ... def pay(usd: int) -> str:
            ...     return f"paid {usd}"
            >>> model = ScriptedModel().tool_calls(("pay", {"usd": 5})).text("Done.")
            >>> agent = Agent(model, tools=[pay])
            >>> waiting = agent.run_sync("Pay 5.").pending
            >>> waiting.calls
            [PendingCall(pay({"usd":5}))]
            >>> asyncio.run(agent.resume(waiting, [call.approve() for call in waiting.calls])).output
            'Done.'
        """
        return await self._ended(self._resumed(pending, decisions, deps))

    def resume_sync(
        self, pending: PendingRun | str, decisions: Decision | Sequence[Decision] = (), *, deps: Deps = NO_DEPS
    ) -> RunResult[Out]:
        """As `resume`, where no event loop runs."""
        from ._sync import run

        return run(lambda: self.resume(pending, decisions, deps=deps), "resume_sync()", "`await agent.resume(...)`")

    def resume_stream(
        self, pending: PendingRun | str, decisions: Decision | Sequence[Decision] = (), *, deps: Deps = NO_DEPS
    ) -> RunStream[Out]:
        """As `resume`, event by event."""
        return RunStream(self._resumed(pending, decisions, deps), self._finish, self._output)

    async def _ended(self, handle: RunHandle, in_session: bool = False) -> RunResult[Out]:
        if self._durable or in_session:
            # In the background of the loop: when the task is cancelled, the run still writes how it ended.
            return await RunStream(handle, self._finish, self._output).result()
        try:
            outcome = await handle.run()
        except BaseException as error:
            keep_partial(error, handle)
            raise
        return self._finish(outcome, handle)

    def _begin(
        self,
        prompt: str | Message | Sequence[Message],
        deps: Any,
        history: Sequence[Message] | None,
        run_id: str | None = None,
        session: str | None = None,
    ) -> RunHandle:
        messages = self._asked(prompt, deps)
        if session is not None:
            if history is not None or run_id is not None:
                from .errors import ConfigError

                raise ConfigError("a session has its own history and its runs their own ids; leave the others away")
            return self.session(session).begin_turn(messages, deps)
        before = () if history is None else _transcript("history", "a list of Messages", history)
        if run_id is not None:
            from . import _checks

            _checks.filled("run_id", run_id)
        return self._core.begin(messages, before, deps, run_id)

    def session(self, name: str) -> Session[Deps, Out]:
        """The conversation of this name: many turns, one at a time, each with the history of those before.

        It is kept in the agent's `store`, where other processes may serve it, too; without one the agent remembers it.

        Raises:
            ConfigError: a name that cannot be one.

        Example:
            >>> from atomr_agents import Agent
            >>> from atomr_agents.testkit import ScriptedModel
            >>> import asyncio
            >>> agent = Agent(ScriptedModel().text("Rain.").text("Wind."))
            >>> agent.run_sync("Oslo?", session="u1").output
            'Rain.'
            >>> asyncio.run(agent.session("u1").send("And Bergen?")).output
            'Wind.'
        """
        from ._session import Session, of

        return Session(self, of(self).session(name))

    def _asked(self, prompt: str | Message | Sequence[Message], deps: Any) -> Sequence[Message]:
        if self.deps_type is not None:
            self._check_deps(deps)
        if isinstance(prompt, str):
            return (_asked(prompt),)
        if isinstance(prompt, Message):
            return (prompt,)
        return _transcript("prompt", "text, a Message or a list of them", prompt)

    def _resumed(self, pending: PendingRun | str, decisions: Decision | Sequence[Decision], deps: Any) -> RunHandle:
        from . import _settings

        if self.deps_type is not None:
            self._check_deps(deps)
        if self._durable and isinstance(pending, str):
            return self._core.resume_run(pending, _settings.decisions(decisions), deps)
        return self._core.resume(_settings.pending(pending), _settings.decisions(decisions), deps)

    def _check_deps(self, deps: object) -> None:
        wanted = getattr(self.deps_type, "__origin__", self.deps_type)
        try:
            fits = isinstance(deps, wanted)
        except TypeError:
            # A TypedDict or a protocol cannot be asked.
            return
        if not fits:
            from .errors import ContractError

            name = getattr(wanted, "__qualname__", wanted)
            raise ContractError(
                f"agent {self.name!r} was made for deps of the type {name}, it was given {type(deps).__qualname__}"
            )

    def _finish(self, outcome: RunOutcome, handle: RunHandle) -> RunResult[Out]:
        output: Any = outcome.text
        # Another agent may have the last word, and one that waits for people has said nothing yet.
        if self._output is not None and outcome.pending is None and outcome.agent == self._core.name:
            from .errors import ArgumentError, InvalidOutputError

            try:
                output = self._output.read(outcome.value)
            except ArgumentError as error:
                invalid = InvalidOutputError(f"the answer is not of the output type: {error}")
                keep_partial(invalid, handle)
                raise invalid from error
        return RunResult(output, outcome)


def _asked(prompt: str) -> Message:
    try:
        return Message.user(prompt)
    except UnicodeEncodeError as error:
        from .errors import ContractError

        raise ContractError(
            f"the prompt holds a lone surrogate at {error.start}, which UTF-8 cannot carry; "
            'encode it with errors="replace" first'
        ) from error


def _transcript(name: str, wanted: str, given: Any) -> Sequence[Message]:
    """What was given, when it is messages."""
    odd: list[Any] = [given]
    if isinstance(given, (list, tuple)):
        odd = [each for each in given if not isinstance(each, Message)]  # pyright: ignore[reportUnknownVariableType]
        if not odd:
            return given  # pyright: ignore[reportUnknownVariableType]
    from .errors import ContractError

    what = type(odd[0]).__qualname__
    raise ContractError(f"{name} must be {wanted}, not {what}; `Message.from_dict(...)` makes a message of a dict")
