"""Agents that work together: one takes the conversation over, one is a tool of another."""

from __future__ import annotations

from . import _checks as checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._native.agent import AgentCore
    from .agent import Agent
    from .tool import Tool


class Handoff:
    """Somebody who may take a conversation over: an agent, or the name of one that the run knows already, so that two
    agents can hand to each other.

    Example:
        >>> from atomr_agents import Agent, Handoff
        >>> from atomr_agents.testkit import ScriptedModel
        >>> billing = Agent(ScriptedModel().text("You owe nothing."), name="billing")
        >>> model = ScriptedModel().tool_calls(("transfer_to_billing", {}))
        >>> triage = Agent(model, name="triage", handoffs=[Handoff(billing, "Invoices.")])
        >>> result = triage.run_sync("What do I owe?")
        >>> result.output, result.agent
        ('You owe nothing.', 'billing')
    """

    __slots__ = ("description", "target")

    target: Agent[Any, Any] | str
    """The agent, or its name."""
    description: str
    """What it is good for, told to the model."""

    def __init__(self, target: Agent[Any, Any] | str, description: str | None = None) -> None:
        from .agent import Agent

        if not isinstance(target, Agent):
            checks.filled("the target of a handoff", target)
        checks.optional(checks.text)("description", description)
        self.target = target
        self.description = getattr(target, "description", "") if description is None else description

    def __repr__(self) -> str:
        name = self.target if isinstance(self.target, str) else self.target.name
        return f"<Handoff to {name}>"


def handoff_tool(target: Agent[Any, Any] | str, description: str | None = None) -> Tool[..., Any]:
    """A tool `transfer_to_<name>` that hands the conversation over, to be put among other tools, for instance into a
    `ToolSet`. The agent must be reachable in the run: the one that began it, or one of somebody's `handoffs`.

    Example:
        >>> from atomr_agents import handoff_tool
        >>> handoff_tool("billing", "Invoices.").name
        'transfer_to_billing'
    """
    from ._native.tool import NativeTool
    from .tool import Tool, ToolControl

    _, name, told = of(Handoff(target, description))
    native = NativeTool.handoff(name, told)

    def call(note: str = "") -> ToolControl:
        return ToolControl.handoff(name, note or None)

    return Tool(call, call, native, native.parameters, None, call)


def of(given: Any) -> tuple[AgentCore | None, str, str]:
    """What the core takes: the agent, its name, what it is good for."""
    from .agent import Agent

    if not isinstance(given, (Handoff, Agent, str)):
        checks.fail("each of handoffs", "an agent, a Handoff or the name of an agent", given)
    handoff = given if isinstance(given, Handoff) else Handoff(given)  # pyright: ignore[reportUnknownArgumentType]
    target = handoff.target
    if isinstance(target, str):
        return None, target, handoff.description
    return target._core, target.name, handoff.description  # pyright: ignore[reportPrivateUsage]


def agent_tool(
    agent: Agent[Any, Any],
    core: AgentCore,
    name: str | None,
    description: str | None,
    timeout: float | None,
    requires_approval: bool,
    max_concurrency: int,
) -> Tool[..., Any]:
    """The tool that an agent is."""
    from .tool import Tool

    checks.optional(checks.filled)("name", name)
    checks.optional(checks.text)("description", description)
    checks.optional(checks.seconds)("timeout", timeout)
    checks.flag("requires_approval", requires_approval)
    checks.whole(0)("max_concurrency", max_concurrency)
    native = core.as_tool(
        name=name or agent.name,
        description=agent.description if description is None else description,
        timeout=timeout,
        requires_approval=requires_approval,
        max_concurrency=max_concurrency,
    )

    async def call(task: str) -> Any:
        return (await agent.run(task)).output

    return Tool(agent, call, native, native.parameters, None, agent)
