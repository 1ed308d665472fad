"""What a tool may know of the run that calls it."""

from __future__ import annotations

from ._light import Generic, TypeVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Deps = TypeVar("Deps")


class RunContext(Generic[Deps]):
    """The run that calls a tool. A tool that wants it names it as its first parameter.

    Example:
        >>> from atomr_agents import RunContext, tool
        >>> @tool
        ... async def balance(ctx: RunContext[dict[str, int]], account: str) -> int:
        ...     '''The balance of an account.'''
        ...     return ctx.deps[account]
        >>> list(balance.parameters["properties"])
        ['account']
    """

    __slots__ = ("deps", "metadata", "path", "run_id", "tags", "tool_call_id", "tool_name")

    deps: Deps
    """What the run was given as `deps=`."""
    run_id: str
    """The run."""
    tool_name: str
    """The name under which the tool was called; empty outside tools."""
    tool_call_id: str
    """The provider's id for the call; empty outside tools."""
    path: str
    """Where in the tree of agents and steps this is; empty at the root."""
    tags: tuple[str, ...]
    """The tags of every `with_config` around this, the outer ones first."""
    metadata: dict[str, Any]
    """The data of every `with_config` around this; of one name, the inner one's."""

    def __init__(
        self,
        deps: Deps,
        run_id: str,
        tool_name: str,
        tool_call_id: str,
        path: str,
        config: tuple[tuple[str, ...], dict[str, Any]] | None = None,
    ) -> None:
        self.deps = deps
        self.run_id = run_id
        self.tool_name = tool_name
        self.tool_call_id = tool_call_id
        self.path = path
        self.tags, self.metadata = ((), {}) if config is None else config

    def __repr__(self) -> str:
        return f"RunContext(run_id={self.run_id!r}, tool_name={self.tool_name!r}, path={self.path!r})"
