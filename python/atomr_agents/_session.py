"""A conversation: many turns under one name, one at a time."""

from __future__ import annotations

from ._light import Generic, TypeVar
from ._native.agent import SessionOptions, Sessions
from ._runs import RunResult, RunStream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ._native.agent import Decision, RunHandle, SessionCore
    from ._native.core import Message
    from ._running import Running

Deps = TypeVar("Deps")
Out = TypeVar("Out")

NO_DEPS: Any = None


def of(agent: Running[Any, Any]) -> Sessions:
    """The sessions of an agent."""
    holder: Any = agent  # its slots are those of `Agent`
    made: Sessions | None = holder._sessions
    if made is None:
        given: SessionOptions | str = holder._session_options
        if isinstance(given, str):
            given = SessionOptions(policy=given)
        made = holder._sessions = Sessions(holder._core, given)
    return made


class Session(Generic[Deps, Out]):
    """A conversation of an agent. `agent.session("u1")` makes one; it costs nothing until something is sent.

    Its history, its inbox and the turn that runs belong to the name, not to this object: two of them, also in two
    processes that share a store, are the same conversation.

    Example:
        >>> import asyncio
        >>> from atomr_agents import Agent
        >>> from atomr_agents.testkit import ScriptedModel
        >>> async def main() -> list[str]:
        ...     agent = Agent(ScriptedModel().text("Rain.").text("Wind."))
        ...     session = agent.session("u1")
        ...     await session.send("Oslo?")
        ...     await session.send("And Bergen?")
        ...     return [message.text for message in await session.messages()]
        >>> asyncio.run(main())
        ['Oslo?', 'Rain.', 'And Bergen?', 'Wind.']
    """

    __slots__ = ("_agent", "_core")

    def __init__(self, agent: Running[Deps, Out], core: SessionCore) -> None:
        # Its own parts are not for others.
        self._agent: Any = agent
        self._core = core

    @property
    def name(self) -> str:
        """Its name."""
        return self._core.name

    @property
    def is_busy(self) -> bool:
        """Whether a turn of this process runs or waits to run."""
        return self._core.is_busy

    async def send(
        self,
        prompt: str | Message | Sequence[Message],
        *,
        deps: Deps = NO_DEPS,
        policy: str | None = None,
        input_id: str | None = None,
    ) -> RunResult[Out]:
        """Sends an input and waits for the end of its turn.

        Args:
            prompt: What is said: text, a message, or several.
            deps: What tools see as `RunContext.deps`.
            policy: What becomes of it while a turn runs: `queue`, `steer`, `interrupt` or `reject`; the agent's
                `session_policy` where it is not said.
            input_id: Its name: in a store an input is taken once, however often it is sent under the same one, and
                whoever sends it again is given what came of it.

        Raises:
            LockedError: a turn runs, and the policy is `reject`.
            OverloadedError: too many inputs wait already.
            RunCancelledError: another input interrupted the turn.
            FencedError: another process took the session over.
            ConflictError: the last turn waits for somebody's word: see `resume` and `abandon`.
            AgentError: as `Agent.run`.
        """
        handle = self._begin(prompt, deps, policy, input_id)
        result: RunResult[Out] = await self._agent._ended(handle, True)
        return result

    def stream(
        self,
        prompt: str | Message | Sequence[Message],
        *,
        deps: Deps = NO_DEPS,
        policy: str | None = None,
        input_id: str | None = None,
    ) -> RunStream[Out]:
        """As `send`, event by event. The events begin with the turn; an input that joins another one has none."""
        return self._stream(self._begin(prompt, deps, policy, input_id))

    def interrupt(self) -> bool:
        """Stops the turn that runs in this process; what it did stays in the history. False if there is none.

        `send(..., policy="interrupt")` stops it wherever it runs, and takes its place.
        """
        return self._core.interrupt()

    async def resume(self, decisions: Decision | Sequence[Decision] = (), *, deps: Deps = NO_DEPS) -> RunResult[Out]:
        """Goes on with the turn that has not ended: one that waits for approvals, failed, was stopped or killed.

        Raises:
            ConflictError: there is none.
            AgentError: as `Agent.resume`.
        """
        from . import _settings

        handle = self._core.resume(_settings.decisions(decisions), deps)
        result: RunResult[Out] = await self._agent._ended(handle, True)
        return result

    async def post(
        self, prompt: str | Message | Sequence[Message], *, policy: str | None = None, input_id: str | None = None
    ) -> str:
        """Puts an input into the inbox and waits for nothing. With a store it outlives the process when this returns.

        It joins the turn that runs, or stops it, if the policy says so; else it is run by whoever sends something next,
        or calls `drain`.

        Returns:
            The input's name.

        Raises:
            OverloadedError: too many inputs wait already.
        """
        return await self._core.post(self._agent._asked(prompt, NO_DEPS), policy, input_id)

    async def drain(self, *, deps: Deps = NO_DEPS) -> int:
        """Runs the turns of the inputs that wait, in their order. Gives how many.

        Raises:
            AgentError: the first that did not end well.
        """
        return await self._core.drain(deps)

    async def messages(self, *, everything: bool = False) -> list[Message]:
        """The transcript that the next turn goes on from; with `everything` also what was compacted or cleared."""
        return await self._core.messages(everything)

    async def abandon(self) -> bool:
        """Gives the turn up that has not ended; what it did stays in the history. False if there is none."""
        return await self._core.abandon()

    async def clear(self) -> None:
        """Forgets what was said: the next turn begins anew. The log keeps it until it is pruned."""
        await self._core.clear()

    async def fork(self, name: str) -> Session[Deps, Out]:
        """Another session that has said what this one had said by the end of its last turn.

        Raises:
            ConflictError: the name is taken, or no turn has ended yet.
        """
        return Session(self._agent, await self._core.fork(name))

    def _begin(
        self, prompt: str | Message | Sequence[Message], deps: Any, policy: str | None, input_id: str | None
    ) -> RunHandle:
        messages = self._agent._asked(prompt, deps)
        return self._core.begin(messages, deps, policy, input_id)

    def begin_turn(self, messages: Sequence[Message], deps: Any) -> RunHandle:
        """For the agent: a turn that is begun."""
        return self._core.begin(messages, deps, None, None)

    def _stream(self, handle: RunHandle) -> RunStream[Out]:
        return RunStream(handle, self._agent._finish, self._agent._output)

    def __repr__(self) -> str:
        return f"<Session {self.name}>"
