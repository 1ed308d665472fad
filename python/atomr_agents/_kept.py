"""What can be done with a run that is kept in a store."""

from __future__ import annotations

from ._light import Generic, TypeVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ._native.agent import AgentCore, Replay
    from ._native.core import Message

Deps = TypeVar("Deps")
Out = TypeVar("Out")

NO_DEPS: Any = None


class Kept(Generic[Deps, Out]):
    """What an agent with a store can do with its runs."""

    __slots__ = ()

    if TYPE_CHECKING:
        _core: AgentCore

    async def replay(self, run_id: str, *, deps: Deps = NO_DEPS) -> Replay:
        """Does a recorded run again without a model or a tool: both are served from its log, and nothing is written.

        What the agent asks for now is compared with what was asked for then; `divergence` names the first thing that
        is another one. Middleware is left out; instructions and memory are asked as in a run.

        Raises:
            ConflictError: there is no such run.
            CorruptError: it is damaged.

        Example:
            >>> import asyncio
            >>> from atomr_agents import Agent
            >>> from atomr_agents.state import in_memory_store
            >>> from atomr_agents.testkit import ScriptedModel
            >>> store = in_memory_store()
            >>> agent = Agent(ScriptedModel().text("Rain."), instructions="Be short.", store=store)
            >>> _ = agent.run_sync("Oslo?", run_id="r1")
            >>> other = Agent(ScriptedModel(), instructions="Be long.", store=store)
            >>> asyncio.run(other.replay("r1")).divergence
            Divergence(instructions at 1:agent#1)
        """
        return await self._core.replay(run_id, deps)

    async def fork(
        self,
        run_id: str,
        *,
        at: int | None = None,
        name: str = "",
        messages: Sequence[Message] | None = None,
        instructions: str | None = None,
    ) -> str:
        """Makes a run that shares what another one did, and stores nothing of it again. `resume` goes on with it.

        Args:
            run_id: The run that is shared. It does not change.
            at: The number (`seq`) of an event: what was written with it and before is shared. All of it, where it is
                not said.
            name: The name of the new run.
            messages: The whole transcript that the model is to see next, history included.
            instructions: The whole system message instead of the agent's.

        Returns:
            The name of the new run.

        Raises:
            ConflictError: there is no such run or event, or the name is taken.

        Example:
            >>> import asyncio
            >>> from atomr_agents import Agent
            >>> from atomr_agents.core import Message
            >>> from atomr_agents.state import in_memory_store
            >>> from atomr_agents.testkit import ScriptedModel
            >>> agent = Agent(ScriptedModel().text("Rain.").text("Wind."), store=in_memory_store())
            >>> result = agent.run_sync("Oslo?", run_id="r1")
            >>> said = [*result.messages, Message.user("And Bergen?")]
            >>> name = asyncio.run(agent.fork("r1", name="r2", messages=said))
            >>> asyncio.run(agent.resume(name)).output
            'Wind.'
        """
        return await self._core.fork(run_id, at, name, messages, instructions)

    async def resolve(self, run_id: str, key: str, result: Any = None, *, error: str | None = None) -> None:
        """Says what a person found out about a call of which nobody knew whether it happened. Then `resume` goes on.

        Args:
            run_id: The run, `run_id` of the `OutcomeUnknownError`.
            key: The call, `key` of it.
            result: What the tool would have returned, or `Reconciled.DID_NOT_HAPPEN`: then it is made.
            error: That it failed, and what the model is told.

        Raises:
            ConflictError: nobody asks about that call.
            LockedError: somebody works on the run.
        """
        await self._core.resolve(run_id, key, (result, error))
