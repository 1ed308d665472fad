"""Strategies, as the core asks them."""

from collections.abc import Coroutine, Sequence
from typing import Any, final

from .core import Message
from .tool import NativeTool

__all__ = ["InstructionStrategyHandle", "MemoryStrategyHandle", "SkillStrategyHandle", "ToolStrategyHandle"]

@final
class InstructionStrategyHandle:
    """What writes the instructions of each run. Give it to `Agent(instructions=...)`."""

    @staticmethod
    def guest(target: object, key: str) -> InstructionStrategyHandle:
        """One written in Python."""
    def render(
        self, prompt: str | Message | Sequence[Message], *, history: Sequence[Message] | None = None, deps: Any = None
    ) -> Coroutine[Any, Any, str]:
        """The instructions for such a turn."""

@final
class ToolStrategyHandle:
    """What selects the tools of each run. Give it to `Agent(tools=...)`."""

    @staticmethod
    def guest(target: object, key: str) -> ToolStrategyHandle:
        """One written in Python."""
    @staticmethod
    def fixed(tools: Sequence[NativeTool], keywords: Sequence[tuple[str, Sequence[str]]] | None) -> ToolStrategyHandle:
        """The same tools for every run, or those that the keywords call for."""
    def select(
        self, prompt: str | Message | Sequence[Message], *, history: Sequence[Message] | None = None, deps: Any = None
    ) -> Coroutine[Any, Any, list[str]]:
        """The names of the tools for such a turn."""

@final
class MemoryStrategyHandle:
    """What remembers. Give it to `Agent(memory=...)`."""

    @staticmethod
    def guest(target: object, key: str) -> MemoryStrategyHandle:
        """One written in Python."""
    def retrieve(
        self, prompt: str | Message | Sequence[Message], *, history: Sequence[Message] | None = None, deps: Any = None
    ) -> Coroutine[Any, Any, list[dict[str, str]]]:
        """What is worth remembering in such a turn: `text` and `source` of each."""
    def store(
        self,
        prompt: str | Message | Sequence[Message],
        messages: Sequence[Message],
        *,
        history: Sequence[Message] | None = None,
        deps: Any = None,
    ) -> Coroutine[Any, Any, None]:
        """Keeps the messages of such a turn."""

@final
class SkillStrategyHandle:
    """What chooses the skills of each run. Give it to `Agent(skills=...)`."""

    @staticmethod
    def guest(target: object, key: str) -> SkillStrategyHandle:
        """One written in Python."""
    @staticmethod
    def fixed(skills: Sequence[tuple[str, str, Sequence[NativeTool]]]) -> SkillStrategyHandle:
        """The same skills for every run."""
    def applicable(
        self, prompt: str | Message | Sequence[Message], *, history: Sequence[Message] | None = None, deps: Any = None
    ) -> Coroutine[Any, Any, list[dict[str, Any]]]:
        """The skills for such a turn: `name`, `instructions` and the names of the `tools` of each."""
