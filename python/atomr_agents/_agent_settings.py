"""The settings of an agent, for type checkers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ._native.agent import ApprovalLedger, SessionOptions
    from ._native.cache import InMemoryLlmCache
    from ._native.core import Budget
    from ._native.tool import Grants
    from .middleware import Middleware
    from .observability import EventBus
    from .strategy import Instructions, Memory, Skill, Skills, Tools


class AgentSettings(TypedDict, total=False):
    """The settings of an agent; `Agent` says what each of them is."""

    instructions: Instructions
    tools: Sequence[Any] | Tools
    memory: Memory | None
    skills: Sequence[Skill] | Skills
    output_mode: str | None
    output_retries: int
    description: str
    handoffs: Sequence[Any]
    middleware: Sequence[Middleware | object]
    budget: Budget | None
    grants: Grants | str | Sequence[str] | None
    approvals: ApprovalLedger | None
    store: Any
    session_policy: str | None
    sessions: SessionOptions | None
    fallbacks: Sequence[Any]
    cache: InMemoryLlmCache | None
    base_url: str | None
    api_key: str | None
    model_name: str | None
    name: str
    max_iterations: int
    max_parallel_tools: int
    timeout: float | None
    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    stop: Sequence[str]
    seed: int | None
    reasoning_effort: str | None
    thinking_budget: int | None
    tool_choice: str
    extra_body: dict[str, Any] | None
    metadata: dict[str, Any] | None
    prompt_cache: Sequence[str]
    watch_prompt: bool
    prices: Mapping[str, tuple[float, float, float]] | None
    bus: EventBus | Sequence[EventBus] | None
    connect_timeout: float | None
    first_byte_timeout: float | None
    idle_timeout: float | None
    max_attempts: int | None
    max_connections: int | None
